"""Create an order directly. Numbers are made at random: where one is taken, another is tried.

A call that gets no answer is sent again by the client, under one idempotency key: the order is created once.
"""

import os

from order_lifecycle_client import Conflict, Order, create_server_client, generate_order_number

server_client = create_server_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    secret_key=os.environ["ORDERS_SECRET_KEY"],
    base_url=os.environ["ORDERS_URL"],
)


def create(tries: int = 5) -> Order:
    order_number = generate_order_number()
    try:
        return server_client.api.create_order(
            order_number=order_number,
            customer="customer_john",  # your own id of the customer
            customer_snapshot={"name": "John Doe", "email": "john@example.com", "phone": "010-1234-5678"},
            shipping_address={
                "recipient_name": "John Doe",
                "phone": "010-1234-5678",
                "postal_code": "06123",
                "address1": "123 Main St",
                "address2": "Apt 4B",
            },
            order_products=[
                {"product": "mug", "variant": "mug-blue", "option": "gift-wrap", "quantity": 2, "unit_price": 10000},
            ],
            total_amount=20000,
            payment_id=f"pay_{order_number}",  # optional for free orders
        )
    except Conflict as error:
        if error.name != "order_number_taken" or tries == 1:
            raise
        return create(tries - 1)


order = create()
print(f"order {order.id}, number {order.order_number}: {order.status}, {order.total_amount:,} {order.currency}")
