"""Findings by HTTP: found, counted, shown and resolved with a note, by a secret key alone."""

from __future__ import annotations

import json

import pytest

from domain.ids import format_id

OWN_ID = "01900000-0000-7000-8000-00000000000a"
SHOWN = format_id("findings", OWN_ID)


@pytest.fixture
def found(shop):
    """An open finding, and one that healed."""
    for own_id, kind, state, events in (
        (OWN_ID, "amount_differs", "open", "{}"),
        (OWN_ID[:-1] + "b", "payment_there", "healed", "{reconciliation/stripe:pay:paid}"),
    ):
        shop.do(
            "insert into findings (id, provider, kind, subject, digest, payment_id, order_number, theirs, ours, state, done, events) "
            "values (cast(:id as uuid), 'stripe', :kind, 'pay', '\\x00', 'pay', 'N1', cast(:theirs as jsonb), cast(:ours as jsonb), "
            ":state, 'look at it', cast(:events as text[]))",
            id=own_id, kind=kind, state=state, events=events,
            theirs=json.dumps({"amount": "10", "status": "paid"}), ours=json.dumps({"amount": "9"}),
        )  # fmt: skip
    return shop


def resolve(shop, own_id=SHOWN, note="a test payment"):
    return shop.call("POST", f"/api/findings/{own_id}/resolve", {"note": note})


def test_they_are_listed_counted_and_shown_as_every_collection(found):
    docs = found.call("GET", "/api/findings?where[state][equals]=open").json()["docs"]
    assert [(doc["id"], doc["kind"], doc["paymentId"], doc["orderNumber"]) for doc in docs] == [
        (SHOWN, "amount_differs", "pay", "N1")
    ]
    assert docs[0]["theirs"] == [{"name": "amount", "value": "10"}, {"name": "status", "value": "paid"}]
    assert found.call("GET", "/api/findings/count").json() == {"totalDocs": 2}
    assert found.call("GET", f"/api/findings/{SHOWN}").json()["done"] == "look at it"


def test_one_is_resolved_with_a_note_once(found):
    doc = resolve(found).json()["doc"]
    assert (doc["state"], doc["note"]) == ("resolved", "a test payment")
    assert doc["resolvedBy"].startswith("api:")
    again = resolve(found)
    assert (again.status_code, again.json()["errors"][0]["data"]["status"]) == (409, "resolved")
    noted = found.do("select actor, action, target, reason from audit where action = 'findings resolve'")
    assert [tuple(row) for row in noted] == [(doc["resolvedBy"], "findings resolve", SHOWN, "a test payment")]


@pytest.mark.parametrize(
    ("own_id", "note", "status"),
    [
        (SHOWN, "", 400),
        (SHOWN, "  ", 400),
        (SHOWN, "x" * 2_001, 400),
        ("fnd_0", "x", 404),
        (SHOWN[:-1] + "f", "x", 404),
    ],
)
def test_what_cannot_be_resolved_is_refused(found, own_id, note, status):
    assert resolve(found, own_id, note).status_code == status
    assert found.do("select count(*) from findings where state = 'resolved'")[0][0] == 0


def test_they_are_for_secret_keys_alone(found):
    for headers in (found.customer("john"), {"Authorization": f"Bearer {found.key('publishable')}"}):
        for path in ("/api/findings", "/api/findings/count", f"/api/findings/{SHOWN}"):
            assert found.call("GET", path, headers=headers).status_code == 403
        assert found.call("POST", f"/api/findings/{SHOWN}/resolve", {"note": "x"}, headers=headers).status_code == 403
