"""See what of an order goes back to its payer, and why; then give a little more back for goodwill: ORDER_ID.

No more than was captured goes back: beyond that the request is refused, and the refusal has the figures.
"""

import os
import sys

from order_lifecycle_client import Conflict, create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
server_client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

for refund in server_client.from_("refunds").find(where={"order": {"equals": order_id}}, sort="createdAt").docs:
    reasons = ", ".join(f"{each.amount:,} {each.reason}" for each in refund.reasons)
    print(f"{refund.amount:,} {refund.currency} ({reasons}): {refund.status}")

try:
    asked = server_client.api.create_refund(order=order_id, amount=500, reason="goodwill")
    print(f"500 go back, {asked.given_back_before:,} were given back before")
except Conflict as error:
    print(f"{error.data['refundable']:,} of {error.data['captured']:,} may still go back")
