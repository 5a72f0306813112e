"""Everything that happened to an order, and what became of it: ORDER_ID."""

import os
import sys

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

for entry in client.timeline(order_id, limit=0).docs:
    step = f"{entry.step_from} → {entry.step_to}" if entry.step_to else entry.text or ""
    print(f"{entry.type:24} {entry.outcome:8} {step}".rstrip())
