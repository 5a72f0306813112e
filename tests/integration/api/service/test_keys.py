"""Access by keys, their revocation, and customers' tokens; 401 and 403 tell no more."""

# No `from __future__ import annotations`: FastAPI reads those of a door made inside a function.

from datetime import UTC, datetime
from typing import Annotated

import pytest
from fastapi import Depends

from api import key_cache
from api.auth import Caller, anyone, reader, secret
from api.responses import Json
from domain.ids import format_id
from storage import keys
from tests.integration.api.service.conftest import SECRET

UNKNOWN = {
    "errors": [
        {
            "message": "Unauthorized: send a valid API key as `Authorization: Bearer KEY`; `orders keys add` makes one",
            "name": "UnauthorizedError",
        }
    ]
}
TAKES = {"secret": "a secret key", "reader": "a secret key, or a customer's token beside a publishable one"}


@pytest.fixture
def doors(shell):
    """The shell with a door for each of the dependencies."""
    for name, dependency in (("secret", secret), ("reader", reader), ("anyone", anyone)):

        def who(caller: Annotated[Caller, Depends(dependency)]) -> Json:
            return Json({"kind": caller.kind, "customer": caller.customer, "source": caller.source})

        shell.app.get(f"/for/{name}", name=name)(who)
    return shell


@pytest.mark.parametrize(
    ("kind", "customer", "may"),
    [
        ("secret", None, {"secret": "secret", "reader": "secret", "anyone": "secret"}),
        ("secret", "c1", {"secret": "secret", "reader": "secret", "anyone": "secret"}),
        ("publishable", None, {"anyone": "publishable"}),
        ("publishable", "c1", {"reader": "customer", "anyone": "customer"}),
    ],
)
def test_each_caller_may_do_what_the_contract_says(doors, kind, customer, may):
    headers = doors.headers(kind) | (doors.token(customer) if customer else {})
    for door in ("secret", "reader", "anyone"):
        answer = doors.client.get(f"/for/{door}", headers=headers)
        if door in may:
            assert answer.status_code == 200
            told = answer.json()
            assert told["kind"] == may[door]
            assert told["customer"] == (customer if may[door] == "customer" else None)
            assert told["source"].startswith("api/key_")
        else:
            message = f"You are not allowed to perform this action: it takes {TAKES[door]}"
            assert (answer.status_code, answer.json()) == (403, {"errors": [{"message": message, "name": "Forbidden"}]})


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk01_",
        "Bearer sk01_" + "A" * 28,
        "Bearer pk01_" + "A" * 28,
        "Basic c2swMV86",
        "Bearer " + "x" * 5_000,
        "Bearer sk01_' or true --",
        "sk01_" + "A" * 28,
    ],
)
def test_without_a_valid_key_everybody_is_told_the_same(doors, authorization):
    for door in ("secret", "reader", "anyone"):
        answer = doors.client.get(f"/for/{door}", headers={"Authorization": authorization} if authorization else {})
        assert (answer.status_code, answer.json()) == (401, UNKNOWN)
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_is_not_ours_is_told_the_same(doors, open_shell):
    other = open_shell(ORDERS_TOKEN_SECRET=SECRET[::-1]).token("c1")
    for wrong in (other, {"X-Customer-Token": "x.y.z"}, {"X-Customer-Token": ""}):
        answer = doors.client.get("/for/reader", headers=doors.headers("publishable") | wrong)
        assert (answer.status_code, answer.json()) == (401, UNKNOWN)


def test_a_revoked_key_is_refused_within_five_seconds(shell, monkeypatch):
    assert key_cache.KEPT_S < 5
    moment = 1000.0
    monkeypatch.setattr(key_cache, "monotonic", lambda: moment)
    key = shell.key()
    headers = {"Authorization": f"Bearer {key}"}
    name = shell.client.get("/api/me", headers=headers).json()["key"]
    with shell.doors.engine.begin() as conn:
        revoked = keys.revoke(conn, name, "test", datetime.now(UTC))
    assert revoked is not None
    assert revoked.name == name
    assert shell.client.get("/api/me", headers=headers).status_code == 200  # believed for a moment
    moment += key_cache.KEPT_S
    assert shell.client.get("/api/me", headers=headers).status_code == 401


def test_a_key_that_is_known_is_not_looked_up_again(shell):
    headers = shell.headers()
    shell.client.get("/api/me", headers=headers)
    with shell.doors.engine.begin() as conn:
        conn.exec_driver_sql("alter table api_keys rename to away")
    assert shell.client.get("/api/me", headers=headers).status_code == 200
    with shell.doors.engine.begin() as conn:
        conn.exec_driver_sql("alter table away rename to api_keys")


def test_a_key_is_stored_as_its_digest_alone(shell):
    key = shell.key("publishable")
    with shell.doors.reader.connect() as conn:
        row = conn.exec_driver_sql("select api_keys::text, digest, hint from api_keys").one()
        assert key not in row[0]
        assert (bytes(row[1]), row[2]) == (keys.digest(key), key[-4:])
        assert len(keys.every(conn)) == 1
        assert conn.exec_driver_sql("select actor, action from audit").all() == [("test", "add key")]


def test_keys_never_repeat_and_are_long_enough(shell):
    made = {shell.key() for _ in range(50)}
    assert len(made) == 50
    assert all(keys.well_formed(key) and len(key) == 33 for key in made)  # log2(62**28) > 160


def test_the_key_check_tells_a_publishable_key_what_it_is(shell):
    headers = shell.headers("publishable")
    told = shell.client.get("/api/me", headers=headers).json()
    with shell.doors.reader.connect() as conn:
        assert told == {"key": format_id("api-keys", keys.every(conn)[0].id), "kind": "publishable", "customer": None}
    assert shell.client.get("/api/me", headers=headers | shell.token("c 7")).json()["customer"] == "c 7"


def test_a_customers_token_lasts_an_hour_or_as_long_as_asked(shell):
    headers = shell.headers()
    for body, seconds in ((None, 3600), ({"expiresIn": 60}, 60), ({"expiresIn": 86_400}, 86_400)):
        answer = shell.client.post("/api/customers/c1/token", headers=headers, json=body)
        assert answer.status_code == 200
        left = (datetime.fromisoformat(answer.json()["expiresAt"]) - datetime.now(UTC)).total_seconds()
        assert seconds - 5 < left <= seconds


@pytest.mark.parametrize("body", [{"expiresIn": 86_401}, {"expiresIn": 59}, {"expiresIn": "long"}, {"lasts": 60}, []])
def test_a_token_that_cannot_be_is_refused_by_its_field(shell, body):
    answer = shell.client.post("/api/customers/c1/token", headers=shell.headers(), json=body)
    assert answer.status_code == 400
    error = answer.json()["errors"][0]
    assert error["name"] == "ValidationError"
    assert [fault["path"] for fault in error["data"]["errors"]] == [next(iter(body), "")]


def test_a_customer_whose_name_cannot_be_one_gets_no_token(shell):
    for name in ("%00", "a%0Ab", "x" * 256):
        assert shell.client.post(f"/api/customers/{name}/token", headers=shell.headers()).status_code == 400


@pytest.mark.parametrize("kind", ["publishable", "customer"])
def test_only_a_secret_key_makes_tokens(shell, kind):
    headers = shell.headers("publishable") | (shell.token("c1") if kind == "customer" else {})
    assert shell.client.post("/api/customers/c2/token", headers=headers).status_code == 403


def test_without_a_secret_to_sign_with_the_remedy_is_told(open_shell):
    shell = open_shell(ORDERS_TOKEN_SECRET="")
    answer = shell.client.post("/api/customers/c1/token", headers=shell.headers())
    assert answer.status_code == 503
    assert "ORDERS_TOKEN_SECRET" in answer.json()["errors"][0]["message"]
