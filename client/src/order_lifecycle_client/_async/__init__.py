"""The client for asyncio; the blocking one, `_sync`, is made of it (client/write_sync.py).

connection    a call, sent, and sent again
collection    find, find_by_id, count, iterate
api           the Server API
customer_api  what of it a customer may call
carts         carts and the catalogue
refunds       money that goes back without a return
client        the clients that one makes and holds
"""
