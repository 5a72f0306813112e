"""The schemas of the events say what the catalogue takes."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema_rs
import pytest

from events.catalogue import CATALOGUE, Malformed, decode
from events.envelope import Envelope, EnvelopeError
from events.schema import schemas, version_of
from tests.scenario_generator import a_life

ROOT = "#/definitions/"
SCHEMAS = schemas(ROOT)
LIVES = 150

by_kind = pytest.mark.parametrize("kind", CATALOGUE)


def validator(name: str) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator({"$ref": f"{ROOT}{name}", "definitions": SCHEMAS}, validate_formats=True)


def least(kind: str) -> dict[str, Any]:
    """A body of what the schema requires, and no more."""
    made = {
        "items": [{"item": "mug", "product": "mug", "quantity": 1, "unitPrice": "5"}], "totalAmount": "5", "amount": 5.5,
        "refundedAmount": "5.25", "status": "delivered", "kind": "processing",
        "reason": "goodwill" if kind.startswith("Refund") else "defective",
    }  # fmt: skip
    required = [*SCHEMAS[kind].get("required", ()), *SCHEMAS[kind].get("anyOf", [{}])[0].get("required", ())]
    return {name: made.get(name, "a name") for name in required}


def told(kind: str, /, **changed: Any) -> dict[str, Any]:
    """An event, with a subject; what is changed to None is left out."""
    document = {
        "specversion": "1.0", "id": "1", "source": "shop", "type": kind, "time": "2026-11-01T09:30:00+09:00",
        "subject": "261101000001", "dataschema": f"https://shop.example/{kind}/{version_of(kind)}", "data": least(kind),
    }  # fmt: skip
    return {name: value for name, value in {**document, **changed}.items() if value is not None}


def test_every_schema_is_one_and_every_reference_leads_somewhere():
    assert {*CATALOGUE, *(f"{kind}Event" for kind in CATALOGUE)} <= SCHEMAS.keys()
    for name in SCHEMAS:
        validator(name)  # raises for what is no schema
    text = json.dumps(SCHEMAS)
    named = {part.partition('"')[0] for part in text.split(f'"$ref": "{ROOT}')[1:]}
    assert named <= SCHEMAS.keys()


@by_kind
def test_what_a_schema_requires_is_what_its_type_needs(kind):
    body = least(kind)
    validator(kind).validate(body)
    decode(kind, version_of(kind), "261101000001", body)
    for name in body:
        less = {other: value for other, value in body.items() if other != name}
        assert not validator(kind).is_valid(less), name
        with pytest.raises(Malformed, match=name):
            decode(kind, version_of(kind), "261101000001", less)


@by_kind
def test_a_subject_is_required_where_nothing_else_leads_to_the_order(kind):
    without = told(kind, subject=None)
    try:
        decode(kind, version_of(kind), None, least(kind))
        needed = False
    except Malformed:
        needed = True
    assert validator(f"{kind}Event").is_valid(without) is not needed


@by_kind
def test_what_no_door_takes_fits_no_schema(kind):
    event = validator(f"{kind}Event")
    event.validate(told(kind))
    Envelope.parse(told(kind))
    for wrong in (
        {"id": ""}, {"id": None}, {"source": "order-lifecycle"}, {"source": "order-lifecycle/timer"}, {"time": None},
        {"time": "yesterday"}, {"specversion": "0.3"}, {"subject": "x" * 256}, {"data": [1]},
    ):  # fmt: skip
        document = told(kind, **wrong)
        assert not event.is_valid(document), wrong
        with pytest.raises(EnvelopeError):
            Envelope.parse(document)


def test_the_events_of_made_up_lives_fit():
    events = {kind: validator(f"{kind}Event") for kind in CATALOGUE}
    seen = set()
    for seed in range(LIVES):
        for envelope in a_life(Random(seed)).events:
            seen.add(envelope.type)
            if envelope.version < version_of(envelope.type):
                continue  # taken as ever, and described no more
            document = json.loads(json.dumps(envelope.as_document(), default=str))
            errors = [str(error) for error in events[envelope.type].iter_errors(document)]
            assert not errors, f"seed {seed}: {envelope.type}: {errors[0]}"
    assert len(seen) > 15


def test_personal_fields_are_the_senders_and_their_row_is_ours():
    order = SCHEMAS["OrderCreated"]
    assert {"customerSnapshot", "shippingAddress", "notes"} <= order["properties"].keys()
    assert "note" in SCHEMAS["ReturnRequested"]["properties"]
    assert not any("personal" in schema["properties"] for schema in SCHEMAS.values())
    assert "personal" not in order["description"]


@pytest.mark.parametrize(
    ("amount", "fits"),
    [("12000", True), ("12.50", True), (12.5, True), (0, True), ("", False), ("-1", False), (-1, False), ("1.00001", False),
     ("1e3", False), ("9" * 15, False), (1e15, False), (True, False), (None, False)],
)  # fmt: skip
def test_money_is_a_text_or_a_number(amount, fits):
    assert validator("PaymentSucceeded").is_valid({"paymentId": "pay", "amount": amount}) is fits
    if fits:
        decode("PaymentSucceeded", 1, None, {"paymentId": "pay", "amount": amount})
