"""Money, from the outside: signed webhooks and the API in, real servers and simulated providers around.

shop_floor     a shop with its API, its workers and three providers in processes of their own
storm          a storm of refunds over that floor, with kills; what must hold afterwards
test_storm     a small storm, in every run of the suite; the whole one is a proof (`make proofs`)
"""
