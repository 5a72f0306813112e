"""Finish a return, then take back the rest at once and refund it: ORDER_ID RETURN_ID.

A status that does not fit is refused, and the refusal tells what would.
"""

import os
import sys

from order_lifecycle_client import Conflict, create_server_client

order_id, return_id = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
server_client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

try:
    server_client.api.update_return(return_id, status="approved")
except Conflict as error:
    print(f"it is {error.status}; it may become {error.allowed}")
done = server_client.api.update_return(return_id, status="completed")
print(f"{done.status}, refund {done.refund_amount:,}")

rest = server_client.api.return_with_refund(order=order_id, reason="defective")
print(f"{rest.return_.status}, refund {rest.return_.refund_amount:,}")
if rest.transaction is not None:
    print(f"it goes back on {rest.transaction.payment_id}")
