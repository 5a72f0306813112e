"""What a customer sees of their own orders: CUSTOMER_ID.

Your backend asks for a token once it knows who is signed in; the page then reads with the publishable key and that token.
"""

import os
import sys

from order_lifecycle_client import create_client, create_server_client

customer_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)

# On your backend
server_client = create_server_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    secret_key=os.environ["ORDERS_SECRET_KEY"],
    base_url=os.environ["ORDERS_URL"],
)
token = server_client.api.customer_token(customer_id)

# Where the customer is
client = create_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    customer_token=token.token,
    base_url=os.environ["ORDERS_URL"],
)

# My orders
page = client.from_("orders").find(where={"customer": {"equals": customer_id}}, sort="-createdAt", limit=10)

for order in page.docs:
    print(
        f"{order.created_at:%Y-%m-%d}  {order.order_number}  {order.status:10} {order.total_amount:,} {order.currency}"
    )
print(f"{page.total_docs} in all, page {page.page} of {page.total_pages}")
