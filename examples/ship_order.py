"""Ship an order in two parcels: ORDER_ID. Where you name a carrier that is polled, scans move them by themselves."""

import os
import sys

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
server_client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

[item] = server_client.from_("order-items").find(where={"order": {"equals": order_id}}).docs
first = server_client.api.create_fulfillment(
    order=order_id,
    items=[{"order_item": item.id, "quantity": 1}],
    carrier="CJ Logistics",
    tracking_number="6012345678",
)
second = server_client.api.create_fulfillment(order=order_id, carrier="FedEx")  # all that is open

for parcel in (first, second):
    shipped = server_client.api.update_fulfillment(parcel.id, status="shipped")
    delivered = server_client.api.update_fulfillment(parcel.id, status="delivered")
    print(f"fulfillment {parcel.id}: {parcel.status} → {shipped.status} → {delivered.status}")
