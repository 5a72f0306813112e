"""The Server API: writes, with the secret key (a customer may ask for a return of their own order, withdraw it, and tell its bank account).

route_table        all paths as one router
write_endpoint     one write: its transaction, its idempotency key, its refusals
json_body          JSON bodies with exact numbers, as JSON or in the form field `_payload`
request_models     bodies of requests
fulfillment_models  the body of a correction of a fulfillment
catalogue_models   those that tell the catalogue
response_schemas   bodies of answers, for the OpenAPI document
written_documents  documents as they are after a write
lookups            the order, the items, the part that a request names

orders             createOrder, updateOrder
order_creation     the event of a new order, and the order that answers
carts              carts, checkout
corrections        cancelItems, hold, release
payments           updateTransaction
fulfillments       createFulfillment, updateFulfillment, correctFulfillment
findings           resolveFinding: what differs between a payment provider and us
refund_accounts    the bank account that an order's refunds go to
returns            createReturn, updateReturn, withdrawReturn, returnWithRefund
refunds            createRefund, settleRefund, allocateRefund, retryRefund
privacy            eraseCustomer
pauses             createPause, resumePause
catalogue          products, variants, options
"""
