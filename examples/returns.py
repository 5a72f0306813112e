"""The returns of an order: ORDER_ID."""

import os
import sys

from order_lifecycle_client import create_server_client

order_id = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

returns = client.from_("returns").find(where={"order": {"equals": order_id}})

for each in returns.docs:
    # each.status → "requested" | "approved" | "rejected" | "processing" | "completed"
    # each.reason → "change_of_mind" | "defective" | "wrong_delivery" | "damaged" | "other"
    print(f"{each.status}: {each.reason}, {each.note!r}")
