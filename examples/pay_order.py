"""Tell that a payment succeeded: PAYMENT_ID. Your provider's webhooks do this by themselves, once they point here."""

import os
import sys

from order_lifecycle_client import create_server_client

payment_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
server_client = create_server_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    secret_key=os.environ["ORDERS_SECRET_KEY"],
    base_url=os.environ["ORDERS_URL"],
)

transaction = server_client.api.update_transaction(payment_id=payment_id, status="paid", payment_method="card")
print(f"payment {transaction.payment_id}: {transaction.status} by {transaction.payment_method}")
