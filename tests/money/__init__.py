"""Money, from the outside: signed webhooks and the API in, real servers and simulated providers around.

shop_floor     a shop with its API, its workers and three providers in processes of their own
till           one shop for the cases: its application, its drain, its books as the API tells them
stripe_documents  Stripe's objects, by its reference
test_payments  units, captures, payments under way, disputes: each test is a case by its name
test_refunds   money that goes back: by hand, by returns, failed, settled; likewise
test_virtual_accounts  deposits at PortOne and Toss Payments, and their way back
storm          a storm of refunds over that floor, with kills; what must hold afterwards
test_storm     a small storm, in every run of the suite; the whole one is a proof (`make proofs`)
"""
