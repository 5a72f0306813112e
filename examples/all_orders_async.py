"""Every order of a status, page by page, with asyncio: STATUS."""

import asyncio
import os
import sys

from order_lifecycle_client import create_async_server_client

status = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)


async def main() -> None:
    async with create_async_server_client(
        secret_key=os.environ["ORDERS_SECRET_KEY"], base_url=os.environ["ORDERS_URL"]
    ) as client:
        orders = client.from_("orders")
        print(await orders.count(where={"status": {"equals": status}}), status)
        async for order in orders.iterate(where={"status": {"equals": status}}, page_size=100):
            print(order.order_number)


asyncio.run(main())
