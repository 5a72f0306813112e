"""Cancel an order by its number: ORDER_NUMBER. What was paid goes back by itself."""

import os
import sys

from order_lifecycle_client import create_server_client

order_number = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
server_client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])

order = server_client.api.update_order(order_number=order_number, status="canceled")
print(f"{order.order_number} is {order.status}")
