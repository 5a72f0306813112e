"""One order with what hangs on it: ORDER_ID. At depth 0 these would be ids."""

import os
import sys

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

# Order detail (with order products)
order = client.from_("orders").find_by_id(order_id, depth=1)

print(f"{order.order_number} is {order.status}")
if order.shipping_address is not None:
    print(f"to {order.shipping_address.recipient_name}, {order.shipping_address.address1}")
for item in order.products.documents:
    print(f"{item.quantity} × {item.unit_price:,} = {item.total_price:,} {order.currency}")
