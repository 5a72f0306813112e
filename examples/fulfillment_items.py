"""What is in a parcel: FULFILLMENT_ID."""

import os
import sys

from order_lifecycle_client import OrderItem, create_server_client

fulfillment_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

# Fulfillment items detail
items = client.from_("fulfillment-items").find(where={"fulfillment": {"equals": fulfillment_id}}, depth=1)

for item in items.docs:
    assert isinstance(item.order_item, OrderItem)  # at depth 1
    print(f"{item.quantity} of {item.order_item.quantity} × {item.order_item.product}")
