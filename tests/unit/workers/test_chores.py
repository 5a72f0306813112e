"""The chores of a shop, and the pools that they run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.options import Problem
from cli.process_commands import _asked
from settings.environment import read
from workers.app import QUEUES, app
from workers.chores import CHORES, LOOKUPS, REFUNDS, TRACKING, WEBHOOKS, chores
from workers.pools import POOLS
from workers.pools import QUEUES as NAMED

NOWHERE = Path("/nowhere")
BUSY = {
    "ORDERS_CARRIERS": "ups=http://127.0.0.1:1,cj=http://127.0.0.1:2",
    "ORDERS_REFUND_URL": "http://127.0.0.1:3",
    "ORDERS_PORTONE_SECRETS": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "ORDERS_TOSS_API_KEY": "key",
}


def test_each_whom_a_shop_asks_has_a_chore_of_its_own():
    found = {each.name: each.queue for each in chores(read(BUSY, NOWHERE))}
    assert found["orders.tracking:ups"] == found["orders.tracking:cj"] == TRACKING
    assert found["orders.inbox:portone"] == found["orders.inbox:toss"] == LOOKUPS
    assert (found["orders.effects:standard"], found["orders.effects"]) == (REFUNDS, CHORES)
    assert found["orders.webhooks"] == WEBHOOKS


def test_every_chore_has_a_task_and_a_queue_that_a_worker_answers():
    app.loader.import_default_modules()
    for each in chores(read(BUSY, NOWHERE)):
        assert each.task in app.tasks
        assert each.queue in NAMED.values()
    assert set(QUEUES) == set(NAMED.values())


@pytest.mark.parametrize(
    ("queues", "pools"),
    [
        ("drain", {"drain": ["drain"]}),
        ("outside", {"outside": list(POOLS["outside"])}),
        ("webhooks,tracking", {"outside": ["tracking", "webhooks"]}),
        ("drain,chores,outside", {"drain": ["drain"], "chores": ["chores"], "outside": list(POOLS["outside"])}),
    ],
)
def test_queues_are_answered_by_the_pool_of_their_kind(queues: str, pools: dict[str, list[str]]):
    assert _asked(queues) == pools


def test_a_queue_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(Problem, match="'carriers' is none of drain, chores, outside, refunds"):
        _asked("drain,carriers")
