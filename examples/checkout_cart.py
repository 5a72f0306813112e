"""Fill a cart and make an order of it, once: a second checkout of the same cart answers the same order."""

import os

from order_lifecycle_client import create_server_client, generate_order_number

server_client = create_server_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    secret_key=os.environ["ORDERS_SECRET_KEY"],
    base_url=os.environ["ORDERS_URL"],
)

cart = server_client.api.create_cart(customer="customer_john")
cart = server_client.api.add_cart_item(cart.id, product="tea", quantity=1, unit_price=6000)
cart = server_client.api.add_cart_item(cart.id, product="mug", quantity=1, unit_price=10000)
tea, mug = cart.items.documents
cart = server_client.api.update_cart_item(cart.id, tea.id, quantity=3)
cart = server_client.api.remove_cart_item(cart.id, mug.id)
print(f"cart {cart.id}: {[(line.quantity, line.product) for line in cart.items.documents]}")

order_number = generate_order_number()
order2 = server_client.api.checkout(
    cart_id=cart.id,
    order_number=order_number,
    customer_snapshot={"name": "John Doe", "email": "john@example.com"},
    payment_id=f"pay_{order_number}",
)
print(f"order {order2.id}, number {order2.order_number}: {order2.status}, {order2.total_amount:,} {order2.currency}")
