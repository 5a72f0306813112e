"""Events that can happen: the shape of an event and the catalogue of all of them. Pure; imports no other room.

money        amounts with their currency's exponent; never floats
times        a time as people write it, in UTC
envelope     an event as it travels: identity, times, subject, version, body
field_types  types of fields: bounded texts, links, amounts
body         the bases of all bodies, and the key of a payment
refunds      bodies about payments under way, refunds and accepted prices
corrections  bodies about edits, items that are canceled, and holds
returns      bodies about returns on their way
catalogue    every type and version of an event's data, and how old versions become new
errors       the one tree of our errors, with codes and remedies
schema       the catalogue as JSON Schema
"""
