"""The query API over HTTP: every collection of the contract, asked as Payload's REST API is.

read_endpoints       the HTTP routes
overdue              the condition `overdue` on refunds, by the legal clock
budget               what one request and one caller's requests may cost
openapi_schemas      what is answered, for OpenAPI
openapi_parameters   what may be asked, for OpenAPI
"""
