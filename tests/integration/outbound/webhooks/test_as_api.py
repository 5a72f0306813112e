"""A webhook's data is the document that the query API answers at depth 0."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.testclient import TestClient

from api.app import create_app
from api.resources import open_doors
from journal.change_capture import COLLECTIONS
from settings.environment import read
from storage import keys
from tests.builders import a_refund, asked_back, created, delivered, paid, shipped


def test_what_is_posted_is_what_the_api_answers(shop, receiver, database_url, redis_url):
    shop.subscribe(receiver.url, COLLECTIONS)
    person = {"name": "Kim", "email": "kim@shop.example"}
    for event in (
        created(customerSnapshot=person),
        paid(),
        shipped(),
        delivered(),
        asked_back(note="a crack"),
        a_refund(),
    ):
        shop.tell(event)
    shop.send()
    posted = {}
    for post in receiver.posts:
        posted[post.body["collection"], post.body["data"]["id"]] = post.body["data"]
    assert {collection for collection, _ in posted} == set(COLLECTIONS)
    with shop.engine.begin() as conn:
        key, _ = keys.add(conn, "secret", None, "test", datetime.now(UTC))
    doors = open_doors(read({"DATABASE_URL": database_url, "REDIS_URL": redis_url}))
    try:
        client = TestClient(create_app(doors), headers={"Authorization": f"Bearer {key}"})
        for collection in COLLECTIONS:
            for document in client.get(f"/api/{collection}", params={"depth": 0}).json()["docs"]:
                assert posted[collection, document["id"]] == document
    finally:
        doors.close()
