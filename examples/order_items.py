"""The items of an order with product, variant and option: ORDER_ID."""

import os
import sys

from order_lifecycle_client import Product, create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

# Order items
items = client.from_("order-items").find(
    where={"order": {"equals": order_id}},
    depth=1,  # includes product, variant, option info
)

for item in items.docs:
    # What the catalogue does not know stays an id.
    goods = [each for each in (item.product, item.variant, item.option) if each is not None]
    print(" / ".join(each.title if isinstance(each, Product) else each for each in goods))
    print(f"  {item.quantity} ordered, {item.shipped_quantity} shipped, {item.delivered_quantity} delivered")
