"""The HTTP face of what was given up: the same acts as `orders given-up`, with a secret key alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.ids import format_id
from operations import replay_steps
from tests.builders import ORDER, canceled, created, paid
from tests.integration.api.commands.conftest import Shop

WHERE = {"where": {"reason": "currency_mismatch"}}
PATCH = [{"op": "replace", "path": "/data/currency", "value": "KRW"}]
WHY = {"reason": "the sender omits it", "by": "kim"}


@pytest.fixture
def shop(database_url, redis_url):
    """A shop with three payments in another currency than their order's."""
    with_dead = Shop(database_url, redis_url)
    with_dead.tell(created(), *(paid(10_000, f"pay-{n}", currency="USD") for n in range(3)))
    yield with_dead
    with_dead.close()


def get(shop: Shop, path: str):
    return shop.call("GET", path)


def post(shop: Shop, path: str, body: dict):
    return shop.call("POST", path, body)


def test_found_edited_and_replayed_to_the_end(shop):
    listed = get(shop, "/api/given-up?reason=currency_mismatch&limit=2").json()
    assert (listed["totalDocs"], len(listed["docs"]), listed["docs"][0]["order_number"]) == (3, 2, ORDER)
    [group] = get(shop, "/api/given-up/causes").json()["causes"]
    assert (group["count"], group["field"]) == (3, "currency")
    ref = listed["docs"][0]["ref"]
    assert get(shop, f"/api/given-up/{ref}").json()["ifReplayedNow"]["outcomes"] == {"dead: currency_mismatch": 1}

    preview = post(shop, "/api/given-up/edit/preview", {**WHERE, "patch": PATCH}).json()
    assert (preview["refused"], len(preview["edits"])) == (0, 3)
    wrong = post(shop, "/api/given-up/edit", {**WHERE, **WHY, "patch": [{"op": "remove", "path": "/data/amount"}]})
    assert (wrong.status_code, "3 of 3 events are refused" in wrong.text) == (409, True)
    edited = post(shop, "/api/given-up/edit", {**WHERE, **WHY, "patch": PATCH}).json()
    assert edited["edited"] == 3
    assert post(shop, "/api/given-up/forecast", WHERE).json()["outcomes"] == {"applied": 3}

    begun = post(shop, "/api/given-up/replays", {**WHERE, **WHY, "rate": 1000})
    assert (begun.status_code, begun.json()["doc"]["state"]) == (202, "running")
    name = begun.json()["doc"]["id"]
    assert post(shop, f"/api/given-up/replays/{name}/stop", WHY).json()["doc"]["state"] == "stopped"
    assert post(shop, f"/api/given-up/replays/{name}/stop", WHY).status_code == 409
    assert post(shop, f"/api/given-up/replays/{name}/resume", WHY).json()["doc"]["state"] == "running"
    doors = shop.doors
    with doors.engine.connect() as conn:
        [replay_id] = replay_steps.running(conn)
    replay_steps.advance(doors.engine, doors.settings.policy, doors.shop, replay_id, seconds=20)
    told = get(shop, f"/api/given-up/replays/{name}").json()
    assert (told["doc"]["state"], told["report"][0]["outcomes"]) == ("done", {"applied": 3})
    assert [each["id"] for each in get(shop, "/api/given-up/replays").json()["replays"]] == [name]
    actors = {row[0] for row in shop.do("select distinct actor from audit where action = 'given-up replay'")}
    assert len(actors) == 1
    assert actors.pop().endswith(": kim")

    rebuilt = get(shop, f"/api/given-up/rebuild/{ORDER}").json()
    assert (rebuilt["order"], rebuilt["differences"]) == (ORDER, [])
    assert post(shop, f"/api/given-up/rebuild/{ORDER}", WHY).json()["differences"] == []


def test_refused_without_a_secret_key_a_condition_or_a_reason(shop):
    for headers in (None, shop.customer("c1"), {"Authorization": f"Bearer {shop.key('publishable')}"}):
        answer = shop.client.get("/api/given-up", headers=headers or {})
        assert answer.status_code == (401 if headers is None else 403)
    cases = (
        ("/api/given-up/discard", WHY, 400, "given_up_filter_empty"),
        ("/api/given-up/discard", {**WHERE, "where": {}, **WHY}, 400, "given_up_filter_empty"),
        ("/api/given-up/discard", WHERE, 400, "ValidationError"),
        ("/api/given-up/discard", {"refs": ["nobody"], **WHY}, 404, "given_up_unknown"),
        ("/api/given-up/edit", {**WHERE, **WHY, "patch": [{"op": "copy", "path": "/data/a"}]}, 400, "ValidationError"),
        ("/api/given-up/edit", {**WHERE, **WHY, "patch": [{"op": "add", "path": "/x"}]}, 400, "patch_refused"),
        ("/api/given-up/replays", {"where": {"reason": "bug"}, **WHY}, 409, "replay_empty"),
        ("/api/given-up/replays/rpl_x/stop", WHY, 404, "replay_unknown"),
    )
    for path, body, status, name in cases:
        answer = post(shop, path, body)
        assert (answer.status_code, answer.json()["errors"][0].get("name")) == (status, name), (path, answer.text)
    assert get(shop, "/api/given-up").json()["totalDocs"] == 3
    done = post(shop, "/api/given-up/discard", {**WHERE, **WHY}).json()
    assert done["discarded"] == 3


def test_an_order_says_what_it_waits_for_and_dwell_times_are_told(shop):
    shop.tell(replace(created(payments=("other",)), id="waits", subject="waits"), replace(canceled(), subject="waits"))
    ids = {row[0]: row[1] for row in shop.do("select order_number, cast(id as text) from orders")}
    said = get(shop, f"/api/orders/{format_id('orders', ids[ORDER])}/why").json()
    assert (said["waits_for"], said["order"]) == ("person", ORDER)
    ended = get(shop, f"/api/orders/{format_id('orders', ids['waits'])}/why").json()
    assert (ended["waits_for"], ended["sentence"]) == (None, "order waits is canceled and waits for nothing")
    assert get(shop, "/api/orders/ord_x/why").status_code == 404
    told = get(shop, "/api/dwell").json()
    assert [each["status"] for each in told["statuses"]] == ["pending"]
    assert told["overdue"]["refunds"] == 0
    assert shop.client.get("/api/dwell", headers=shop.customer("c")).status_code == 403
