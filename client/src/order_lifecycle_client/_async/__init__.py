"""The client for asyncio; the blocking one, `_sync`, is made of it (client/write_sync.py).

connection   sends a call, and sends it again
collection   find, find_by_id, count, iterate
api          the Server API; carts: carts and the catalogue
client       what one makes and holds
"""
