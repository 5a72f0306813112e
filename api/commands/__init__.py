"""The Server API: writes, with the secret key (a customer may ask for a return of their own order).

exact          JSON bodies with exact numbers, as JSON or in the form field `_payload`
writing        one write: its transaction, its idempotency key, its refusals
sending        what the requests hold
answering      what the answers hold, for the OpenAPI document
documents      documents as they are after a write
finding        the order, the items, the part that a request names
orders         createOrder, updateOrder
placing        the event of a new order, and the order that answers
carts          carts, checkout
payments       updateTransaction
parcels        createFulfillment, updateFulfillment
backs          createReturn, updateReturn, returnWithRefund
catalogue      products, variants, options
routes         all of it as one router
"""
