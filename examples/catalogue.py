"""Tell what your shop sells, so that order items can show it. The ids are your own."""

import os

from order_lifecycle_client import create_server_client

server_client = create_server_client(
    publishable_key=os.environ["ORDERS_PUBLISHABLE_KEY"],
    secret_key=os.environ["ORDERS_SECRET_KEY"],
    base_url=os.environ["ORDERS_URL"],
)

products = server_client.api.put_products(
    [
        {"id": "mug", "title": "Mug", "sku": "MUG", "price": 10000},
        {"id": "tea", "title": "Green tea", "sku": "TEA", "price": 6000},
    ]
)
variant = server_client.api.put_product_variant("mug-blue", product="mug", title="Blue", sku="MUG-B", price=10000)
option = server_client.api.put_product_option("gift-wrap", variant="mug-blue", title="Gift wrap")

print(", ".join(product.title for product in products), "·", variant.title, "·", option.title)
