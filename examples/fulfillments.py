"""Where the parcels of an order are: ORDER_ID."""

import os
import sys
from datetime import datetime

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])


def day(at: datetime | None) -> str:
    """When it happened, if it did."""
    return f"{at:%Y-%m-%d}" if at else "not yet"


# Fulfillment info for an order
fulfillments = client.from_("fulfillments").find(where={"order": {"equals": order_id}}, sort="createdAt")

for fulfillment in fulfillments.docs:
    # fulfillment.carrier → free-form text (e.g. "CJ Logistics", "FedEx", "UPS")
    # fulfillment.status → "pending" | "packed" | "shipped" | "delivered" | "failed"
    print(f"{fulfillment.status} by {fulfillment.carrier}, tracking number {fulfillment.tracking_number}")
    print(f"  shipped {day(fulfillment.shipped_at)}, delivered {day(fulfillment.delivered_at)}")
