"""`verify` compares the projection of refunds with the fold, and a refold writes it anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from journal.refold import refold_orders
from journal.verify import verify
from tests.builders import ORDER, a_refund, created, paid
from tests.simulators import AShop, a_shop


@pytest.fixture
def shop(database_url: str, redis_url: str) -> Iterator[AShop]:
    """An order with a refund that went back and one that failed, as their provider told."""
    with a_shop(database_url, redis_url) as made:
        made.tell(created(), paid(), a_refund(), a_refund("failed", refund="re_2"))
        yield made


def found(shop: AShop) -> list[str]:
    return [each.path for each in verify(shop.engine).differences]


def test_what_providers_told_stands_as_it_is_folded(shop):
    assert found(shop) == []


DAMAGE = {
    "amount = amount + 1": ["refunds[re_1].amount", "refunds[re_2].amount"],
    "status = 'pending'": ["refunds[re_1].status", "refunds[re_2].status"],
    "settled_method = 'in cash'": ["refunds[re_1].settled_method", "refunds[re_2].settled_method"],
    "ended_at = now()": ["refunds[re_1].ended_at", "refunds[re_2].ended_at"],
    "reference = reference || 'x'": ["refunds[re_1]", "refunds[re_1x]", "refunds[re_2]", "refunds[re_2x]"],
}


@pytest.mark.parametrize(("change", "paths"), DAMAGE.items(), ids=DAMAGE)
def test_what_stands_otherwise_is_found_and_written_anew(shop, change, paths):
    shop.do(f"update refunds set {change}")
    assert sorted(found(shop)) == paths
    assert sorted(each.path for each in next(refold_orders(shop.engine, [ORDER]))) == paths
    assert found(shop) == []


def test_a_row_that_is_gone_is_found_and_written_anew(shop):
    shop.do("delete from refunds where reference = 're_1'")
    assert found(shop) == ["refunds[re_1]"]
    next(refold_orders(shop.engine, [ORDER]))
    assert found(shop) == []


def test_one_of_ours_is_left_alone_for_a_minute_and_compared_then(shop):
    """Its answer writes the row a moment before its event is applied."""
    shop.do("update refunds set origin = 'ours', status = 'pending', ended_at = now(), updated_at = now()")
    assert found(shop) == []
    shop.do("update refunds set updated_at = now() - interval '2 minutes'")
    assert sorted(found(shop)) == ["refunds[re_1].status", "refunds[re_2].status"]
