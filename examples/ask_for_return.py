"""A customer asks for one item to go back: CUSTOMER_ID ORDER_ID. They may, of their own order."""

import os
import sys

from order_lifecycle_client import Conflict, create_client, create_server_client

customer_id, order_id = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)

# On your backend
server_client = create_server_client(secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"])
token = server_client.api.customer_token(customer_id, expires_in=600)

# Where the customer is
client = create_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    customer_token=token.token,
    base_url=os.environ["ORDERS_URL"],
)
[item] = client.from_("order-items").find(where={"order": {"equals": order_id}}).docs


def ask(quantity: int) -> None:
    try:
        asked = client.api.create_return(
            order=order_id,
            reason="change_of_mind",
            items=[{"order_item": item.id, "quantity": quantity}],
            note="It is bluer than I thought",
        )
    except Conflict as error:
        print(f"not {quantity}: {error.message}")
    else:
        print(f"return {asked.id}: {asked.status}")


ask(5)
ask(1)
