"""EasyPost's trackers through its own library, against every answer; a server on this machine gives them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from providers.base import Aggregator, NoAnswer, ParcelUnknown, Scan
from providers.carriers.easypost_api import LIMITED_S, MAX_SCANS, STATUSES, WRONG_S, EasyPost
from tests.scripted_http import Answer, answering

NUMBER = "EZ1"


def detail(status="in_transit", at="2026-11-01T21:00:00+09:00", message="Left", **place):
    return {"status": status, "datetime": at, "message": message, "tracking_location": place or None}


def tracker(*details, status="in_transit", number=NUMBER, **more):
    return {
        "object": "Tracker", "id": "trk_1", "tracking_code": number, "status": status,
        "tracking_details": list(details), **more,
    }  # fmt: skip


def ask(answer, number=NUMBER, carrier="UPS"):
    """The scans, or what was raised instead."""
    with answering(lambda asked: answer) as (url, _):
        return EasyPost(url, "key").of_carrier(carrier).track(number)


def refused(answer, **about):
    with pytest.raises(NoAnswer) as caught:
        ask(answer, **about)
    return caught.value


def test_a_tracker_is_made_once_and_then_asked_for_by_its_id():
    with answering(lambda asked: Answer(tracker(detail()))) as (url, asked):
        service = EasyPost(url, "EZTK1")
        assert isinstance(service, Aggregator)
        for _ in range(3):
            service.of_carrier("UPS").track(NUMBER)
    assert [(each.method, each.path) for each in asked] == [
        ("POST", "/v2/trackers"), ("GET", "/v2/trackers/trk_1"), ("GET", "/v2/trackers/trk_1"),
    ]  # fmt: skip
    assert asked[0].json() == {"tracker": {"tracking_code": NUMBER, "carrier": "UPS"}}
    assert {each.headers["authorization"] for each in asked} == {"Bearer EZTK1"}


def test_a_tracker_that_was_deleted_there_is_made_anew():
    answers = iter([Answer(tracker(detail())), Answer({"error": {"code": "NOT_FOUND", "message": "no"}}, 404)])
    with answering(lambda asked: next(answers, Answer(tracker(detail())))) as (url, asked):
        carrier = EasyPost(url, "key").of_carrier("UPS")
        assert carrier.track(NUMBER)
        with pytest.raises(NoAnswer, match="404"):
            carrier.track(NUMBER)
        assert carrier.track(NUMBER)
    assert [each.method for each in asked] == ["POST", "GET", "POST"]


def test_scans_come_oldest_first_in_utc_wherever_their_offset():
    found = ask(Answer(tracker(
        detail("delivered", "2026-11-03T00:30:00Z", "Delivered", city="JEJU", state=None, country="KR"),
        detail("in_transit", "2026-11-02T23:00:00-05:00", None),
        detail("in_transit", "2026-11-01T21:00:00", "Left"),
    )))  # fmt: skip
    times = [datetime(2026, 11, 1, 21, tzinfo=UTC), datetime(2026, 11, 3, 0, 30, tzinfo=UTC), datetime(2026, 11, 3, 4, tzinfo=UTC)]  # fmt: skip
    assert [scan.time for scan in found] == times
    assert found[1] == Scan(found[1].id, times[1], "delivered", "Delivered", "JEJU, KR")


def test_a_scan_has_the_same_id_in_every_poll_and_another_has_another():
    one, other = detail(), detail(message="Arrived")
    first = ask(Answer(tracker(one)))
    both = ask(Answer(tracker(one, other, status="delivered")))
    assert both[0] == first[0]
    assert len({scan.id for scan in both}) == 2


def test_a_scan_without_a_time_keeps_its_place():
    found = ask(Answer(tracker(detail(), detail(at=None, message="Somewhere"), detail(at="2026-11-02T00:00:00Z"))))
    assert [scan.time is None for scan in found] == [False, True, False]


@pytest.mark.parametrize(("theirs", "ours"), sorted(STATUSES.items()))
def test_every_status_is_a_unified_one(theirs, ours):
    assert ask(Answer(tracker(detail(theirs), status=theirs)))[0].status == ours


def test_a_new_status_of_easyposts_is_unknown_to_us():
    assert ask(Answer(tracker(detail("teleported"))))[0].status == "unknown"


def test_a_history_that_never_ends_is_cut():
    many = [detail(message=str(place)) for place in range(MAX_SCANS + 50)]
    found = ask(Answer(tracker(*many)))
    assert (len(found), found[-1].description) == (MAX_SCANS, str(MAX_SCANS + 49))


def test_a_number_that_no_carrier_told_of_is_told_apart_from_a_label_that_waits():
    with pytest.raises(ParcelUnknown, match="EZ1 is unknown, or not known yet"):
        ask(Answer(tracker(status="unknown")))
    assert ask(Answer(tracker(status="pre_transit"))) == []


def error(status, message="said", headers=None):
    return Answer({"error": {"code": "C", "message": message, "errors": []}}, status, headers or {})


@pytest.mark.parametrize(
    ("answer", "says", "pause"),
    [
        (error(401), "check ORDERS_EASYPOST_API_KEY", None),
        (error(403), "check ORDERS_EASYPOST_API_KEY", None),
        (error(402), "wants its account paid", None),
        (error(422, "Invalid carrier"), "Invalid carrier; EasyPost takes no parcel EZ1 of UPS: correct the number", WRONG_S),
        (error(429), "answered 429", LIMITED_S),
        (error(429, headers={"Retry-After": "17"}), "answered 429", 17.0),
        (error(503, headers={"Retry-After": "5"}), "answered 503 said", 5.0),
        (error(500), "answered 500 said", None),
        (Answer({"error": "a text"}, 500), "answered 500|another shape", None),
        (Answer({"error": {"message": ["a", {"b": "c"}]}}, 400), "answered 400 a, c", None),
        (Answer(b"<html>We are back soon</html>", 503), "answered 503", None),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do_and_how_long_to_wait(answer, says, pause):
    caught = refused(answer)
    assert not isinstance(caught, ParcelUnknown)
    assert re.search(says, str(caught)), str(caught)
    assert caught.retry_after == pause


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"7", b'"x"', b"null", b"[" * 100_000, {}, {"object": "Tracker"}, {"object": "Shipment"},
        tracker(detail(), number="other"), {**tracker(), "tracking_details": "soon"}, {**tracker(), "tracking_details": [7]},
        tracker(detail(at="soon")), tracker(detail(at="9999-12-31T00:00:00Z")), tracker(detail(at=7)),
        tracker(detail(at="0001-01-01T00:00:00+14:00")),
    ],
)  # fmt: skip
def test_nonsense_moves_nothing_and_says_why(body):
    caught = refused(Answer(body))
    assert "another shape" in str(caught)
    assert not isinstance(caught, ParcelUnknown)


def test_a_huge_answer_is_refused(monkeypatch):
    monkeypatch.setattr("providers.http_client.MAX_ANSWER", 1000)
    assert "an answer of" in str(refused(Answer(tracker(*[detail(message="x" * 100)] * 20))))


def test_nobody_there_is_no_answer(monkeypatch):
    monkeypatch.setattr("providers.http_client.TIMEOUT_S", 0.5)
    with pytest.raises(NoAnswer, match="easypost: no answer"):
        EasyPost("http://127.0.0.1:9", "key").of_carrier("UPS").track(NUMBER)


@pytest.mark.parametrize("number", ["a/b?c#d", "송장 1", "50%"])
def test_any_number_reaches_easypost_as_it_is(number):
    with answering(lambda asked: Answer(tracker(detail(), number=number))) as (url, asked):
        EasyPost(url, "key").of_carrier("UPS").track(number)
    assert json.loads(asked[0].body)["tracker"]["tracking_code"] == number
