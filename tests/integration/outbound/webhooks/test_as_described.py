"""Posts are as the AsyncAPI document says."""

from __future__ import annotations

from datetime import UTC, datetime

import jsonschema_rs

from api import asyncapi
from journal.change_capture import COLLECTIONS
from tests.builders import a_refund, asked_back, canceled, created, delivered, paid, shipped

DOCUMENT = asyncapi.document()


def validator(name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


def test_every_post_fits_the_message_of_its_collection(shop, receiver):
    named = {
        DOCUMENT["components"]["schemas"][name]["properties"]["collection"]["const"]: validator(name)
        for name in DOCUMENT["channels"]["changes"]["messages"]
    }
    shop.subscribe(receiver.url, COLLECTIONS)
    person = {"name": "Kim", "email": "kim@shop.example"}
    for event in (
        created(customerSnapshot=person, shippingAddress={"address1": "1 Road"}, notes="ring"),
        paid(provider="stripe", paymentMethod="card"), shipped(carrier="FedEx", trackingNumber="1"), delivered(),
        asked_back(note="a crack"), a_refund(), created(subject="another", payments=()), canceled(subject="another"),
    ):  # fmt: skip
        shop.tell(event)
    shop.send()
    assert {post.body["collection"] for post in receiver.posts} == set(COLLECTIONS)
    for post in receiver.posts:
        named[post.body["collection"]].validate(post.body)
        validator("SignedHeaders").validate(post.headers)
        datetime.fromisoformat(post.body["timestamp"]).astimezone(UTC)
        broken = {**post.body, "data": {**post.body["data"], "id": None}}
        assert not named[post.body["collection"]].is_valid(broken)
