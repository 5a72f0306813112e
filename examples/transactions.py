"""The payments of an order: ORDER_ID."""

import os
import sys

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

# Payment history for an order
transactions = client.from_("transactions").find(where={"order": {"equals": order_id}})

for transaction in transactions.docs:
    # transaction.status → "pending" | "paid" | "failed" | "canceled"
    print(f"{transaction.payment_id}: {transaction.status}, {transaction.amount:,} {transaction.currency}")
    print(f"  by {transaction.payment_method}, {transaction.refunded_amount:,} given back")
