"""Receive changes: PORT. Needs the secret that `orders webhooks add URL --collections orders` showed.

Verify the raw body first, drop what you have seen, answer at once, work afterwards.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from order_lifecycle_client import BadSignature, Order, verify_webhook

port = int(sys.argv[1]) if len(sys.argv) > 1 else sys.exit(__doc__)
secret = os.environ["WEBHOOK_SECRET"]
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            change = verify_webhook(body, self.headers, secret)
        except BadSignature as error:
            self.answer(401)
            print(f"refused: {error}", flush=True)
            return
        self.answer(204)
        if change.id in seen:
            return
        seen.add(change.id)
        if isinstance(change.data, Order):
            print(f"{change.operation}: order {change.data.order_number} is {change.data.status}", flush=True)
        else:
            print(f"{change.operation}: {change.collection}", flush=True)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is printed above."""


HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
