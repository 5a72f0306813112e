"""Peers play, and are told of, where they are installed and the run has its full length."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from bench import peers, report
from bench.measure import Cost
from bench.run import QUICK, SYSTEMS, Measured, Plan

MACHINE = {
    "cpu": "A Processor", "cores": 2, "memory_gb": 8.0, "system": "Linux 6", "python": "3.13.1", "embedded": True,
    "fsync": "on", "synchronous_commit": "on", "celery": "5.6", "SQLAlchemy": "2.1", "psycopg": "3.3", "load_before": 0.1,
}  # fmt: skip


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The libraries that can be imported; none, until a test adds some."""
    there: set[str] = set()
    monkeypatch.setattr(peers, "find_spec", lambda library: object() if library in there else None)
    monkeypatch.setattr(peers, "version", lambda library: "1.2.3")
    return there


def measured(playing: tuple[str, ...]) -> Measured:
    """Two rounds of everybody, the peers last and fastest."""
    found = Measured(playing, follow_ups=7)
    for place, name in enumerate(found.systems):
        for seconds in (1.0, 2.0):
            found.note(name, 1_000 * (place + 1), Cost(seconds, 1_000, 10, 1.0, 1.0))
        found.checked[name] = 20
    found.batches = {"256": {"entries": {"median": 256, "max": 256}, "statements": {"median": 6, "max": 9}}}
    return found


def lines(document: dict) -> list[str]:
    file = StringIO()
    Console(file=file, width=160).print(report.printed({**document, "seconds": 60.0}))
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_who_is_not_installed_does_not_play(installed):
    assert Plan().playing_peers == ()


@pytest.mark.parametrize("name", peers.PEERS)
def test_who_is_installed_plays_in_runs_of_full_length(installed, name):
    installed |= set(peers.PEERS[name].libraries)
    assert Plan().playing_peers == (name,)
    assert replace(Plan(), rounds=1).playing_peers == (name,)
    assert QUICK.playing_peers == replace(QUICK, rounds=5).playing_peers == ()


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_half_installed_does_not_play(installed, name):
    installed |= set(peers.PEERS[name].libraries[1:])
    assert Plan().playing_peers == ()


def test_a_peer_plays_more_lives_than_a_rival_where_it_is_faster():
    assert Plan(orders=4000).peer_orders("faststream") == 200 * peers.PEERS["faststream"].times


def test_a_document_without_peers_has_six_systems_and_no_word_of_peers(installed):
    document = report.document(measured(()), Plan(), MACHINE)
    assert tuple(document["events_per_second"]) == SYSTEMS
    assert "peers" not in document
    assert not any(peer.title in line for peer in peers.PEERS.values() for line in lines(document))


def test_a_document_with_peers_has_the_same_figures_of_them_after_the_six(installed):
    playing = tuple(peers.PEERS)
    document = report.document(measured(playing), Plan(), MACHINE)
    for key in ("events_per_second", "range", "rounds", "per_event", "events_a_round", "orders_checked"):
        assert tuple(document[key]) == SYSTEMS + playing, key
    assert document["range"][playing[0]] == [3500.0, 7000.0]
    told = {name: {"version": "1.2.3", "orders": Plan().peer_orders(name)} for name in playing}
    assert document["peers"] == told


def test_no_target_depends_on_a_peer(installed):
    without, beside = (report.document(measured(who), Plan(), MACHINE) for who in ((), tuple(peers.PEERS)))
    assert without["targets"] == beside["targets"]
    assert without["ratios"] == beside["ratios"]


def test_the_table_the_chart_and_the_page_show_peers(installed):
    document = report.document(measured(("faststream",)), Plan(), MACHINE)
    title = peers.PEERS["faststream"].title
    assert f"{title} 5,250 3,500–7,000 7.0 ×" in lines(document)
    assert sum(line.startswith(title) for line in lines(document)) == 3  # rates, chart, costs
    page = report.markdown({**document, "seconds": 60.0})
    assert f"| {title} | 5,250 | 3,500–7,000 | 7.0 × |" in page
    assert "7,000 (faststream 1.2.3)" in page
