"""tracker.delivery's API against its schema and every bad answer; no sockets."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from graphql import GraphQLEnumType, build_schema, parse, validate

from providers.base import Aggregator, NoAnswer, ParcelUnknown, Scan
from providers.carriers import tracker_delivery_api
from providers.carriers.tracker_delivery_api import LIMITED_S, REGISTER, TRACK, WRONG_S, TrackerDelivery
from providers.carriers.tracker_delivery_events import STATUSES
from tests.webhooks import shared

NUMBER, CJ = "640001", "kr.cjlogistics"
# Mutation.registerTrackWebhook as tracker.delivery/docs/api-schema tells it; the public schema has no mutation.
MUTATION = """
type Mutation { registerTrackWebhook(input: RegisterTrackWebhookInput!): Boolean }
input RegisterTrackWebhookInput { carrierId: ID!, trackingNumber: String!, callbackUrl: String!, expirationTime: DateTime! }
"""


def event(code="IN_TRANSIT", time="2026-11-01T21:00:00.000+09:00", name=None, description=None, place="옥천HUB"):
    where = None if place is None else {"name": place, "countryCode": "KR"}
    return {"status": {"code": code, "name": name}, "time": time, "description": description, "location": where}


def a_parcel(*events, number=NUMBER):
    track = {"trackingNumber": number, "events": {"edges": [{"node": each} for each in events]}}
    return httpx.Response(200, json={"data": {"track": track}})


def failed(code, message="said", status=200):
    return httpx.Response(status, json={"data": None, "errors": [{"message": message, "extensions": {"code": code}}]})


class Service:
    """tracker.delivery: tokens that it gives, and `answers` one by one, the last for ever."""

    def __init__(self, *answers, token=None, **about):
        self.answers, self.tokens, self.asked, self.token = list(answers), 0, [], token
        self.client = TrackerDelivery(
            "https://apis", "https://auth", "id", "secret", transport=httpx.MockTransport(self), **about
        )

    def __call__(self, request):
        if request.url.host == "auth":
            self.tokens += 1
            self.token_request = request
            return self.token or httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 3600})
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def track(self, number=NUMBER, carrier=CJ):
        return self.client.of_carrier(carrier).track(number)

    def refused(self):
        with pytest.raises(NoAnswer) as caught:
            self.track()
        return caught.value


def sent(request):
    return json.loads(request.content)


# -- the queries ---------------------------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize("query", [TRACK, REGISTER], ids=["track", "register"])
def test_each_query_is_one_of_the_schema_s(query):
    schema = build_schema(shared("tracker-delivery", "schema.graphql").read_text() + MUTATION)
    assert validate(schema, parse(query)) == []


@pytest.mark.shared_data
def test_every_status_of_the_schema_s_has_one_of_ours():
    schema = build_schema(shared("tracker-delivery", "schema.graphql").read_text())
    codes = schema.type_map["TrackEventStatusCode"]
    assert isinstance(codes, GraphQLEnumType)
    assert set(codes.values) == set(STATUSES)


def test_no_personal_data_is_asked_for():
    assert not {"sender", "recipient", "contact", "phoneNumber"} & set(TRACK.split())


def test_a_question_names_carrier_and_number_and_has_a_token():
    service = Service(a_parcel(event()))
    assert isinstance(service.client, Aggregator)
    service.track()
    (request,) = service.asked
    assert (request.method, request.url.path) == ("POST", "/graphql")
    assert request.headers["authorization"] == "Bearer token-1"
    assert sent(request)["variables"] == {"carrierId": CJ, "trackingNumber": NUMBER, "last": 200}
    form = service.token_request
    assert (form.url.path, parse_qs(form.content.decode())) == (
        "/oauth2/token",
        {"grant_type": ["client_credentials"]},
    )
    assert form.headers["authorization"] == f"Basic {b64encode(b'id:secret').decode()}"


# -- access tokens -------------------------------------------------------------------------------------------


def test_a_token_is_kept_until_shortly_before_its_end(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tracker_delivery_api, "monotonic", lambda: now[0])
    service = Service(a_parcel(event()))
    for passed, tokens in ((0, 1), (3500, 1), (45, 2)):
        now[0] += passed
        service.track()
        assert service.tokens == tokens


@pytest.mark.parametrize("refusal", [failed("UNAUTHENTICATED"), httpx.Response(401, json={})])
def test_a_token_that_is_refused_is_got_anew_once(refusal):
    service = Service(refusal, a_parcel(event()))
    assert len(service.track()) == 1
    assert [each.headers["authorization"] for each in service.asked] == ["Bearer token-1", "Bearer token-2"]
    never = Service(refusal)
    assert "check the client's id and secret" in str(never.refused())
    assert len(never.asked) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "check ORDERS_TRACKER_DELIVERY_CLIENT_ID"),
        (httpx.Response(401), "check ORDERS_TRACKER_DELIVERY_CLIENT_ID"),
        (httpx.Response(503), "answered 503"),
        (httpx.Response(200, json={"token": "x"}), "an access token in another shape: access_token"),
        (httpx.Response(200, content=b"<html>"), "an access token in another shape"),
        (httpx.Response(200, json={"access_token": "a\r\nb"}), "an access token in another shape"),
    ],
)
def test_no_token_no_answer_and_why(answer, says):
    assert says in str(Service(a_parcel(event()), token=answer).refused())


# -- what it tells -------------------------------------------------------------------------------------------


def test_scans_come_oldest_first_in_utc_wherever_their_offset():
    found = Service(a_parcel(
        event("DELIVERED", "2026-11-03T09:30:00.000+09:00", "배달완료"),
        event("IN_TRANSIT", "2026-11-01T21:00:00.000+09:00", "간선상차", "옥천에서 출발"),
        event("OUT_FOR_DELIVERY", "2026-11-02T20:00:00-05:00", place=None),
    )).track()  # fmt: skip
    assert [scan.time for scan in found] == [
        datetime(2026, 11, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 3, 0, 30, tzinfo=UTC),
        datetime(2026, 11, 3, 1, tzinfo=UTC),
    ]
    assert found[0] == Scan(found[0].id, found[0].time, "in_transit", "옥천에서 출발", "옥천HUB, KR", "간선상차")
    assert found[1].description == "배달완료"
    assert found[2].location is None


@pytest.mark.parametrize(("theirs", "ours"), sorted({**STATUSES, "NEW_ONE": "unknown"}.items()))
def test_every_code_is_a_unified_status(theirs, ours):
    assert Service(a_parcel(event(theirs))).track()[0].status == ours


@pytest.mark.parametrize(
    ("code", "name", "description", "status"),
    [
        ("EXCEPTION", "반송", None, "return_to_sender"),
        ("IN_TRANSIT", None, "반송 처리되었습니다", "return_to_sender"),
        ("DELIVERED", "반송 배달완료", None, "return_to_sender"),
        ("IN_TRANSIT", "발송인에게 반환", None, "return_to_sender"),
        ("IN_TRANSIT", None, "Return to Shipper", "return_to_sender"),
        ("IN_TRANSIT", None, "Package returned to the sender", "return_to_sender"),
        ("EXCEPTION", "ご返送", None, "return_to_sender"),
        ("IN_TRANSIT", "반송취소", None, "in_transit"),
        ("DELIVERED", "배달완료", "반송 불필요", "delivered"),
        ("AT_PICKUP", "반품집하", "고객 반품", "picked_up"),
        ("IN_TRANSIT", None, "Return label link emailed to return sender", "in_transit"),
    ],
)
def test_a_return_to_the_sender_is_read_in_what_is_told(code, name, description, status):
    assert Service(a_parcel(event(code, name=name, description=description))).track()[0].status == status


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("배송출발(배송담당: 홍길동 010-1234-5678)", "배송출발(배송담당: ***)"),
        ("배달 +82 10-1234-5678", "***"),
        ("배송예정(18~20시)", "배송예정(18~20시)"),
        ("운송장 640001234567 접수", "운송장 640001234567 접수"),
    ],
)
def test_a_driver_s_name_and_number_are_left_out_and_a_word_before_a_number_is_taken_for_a_name(said, kept):
    assert Service(a_parcel(event(description=said))).track()[0].description == kept


def test_an_event_is_the_same_scan_in_every_poll_and_alike_ones_without_a_time_stay_several():
    timeless = event(time=None)
    first = Service(a_parcel(event(), timeless)).track()
    then = Service(a_parcel(event(), timeless, timeless, event("DELIVERED", "2026-11-02T00:00:00Z"))).track()
    assert then[:2] == first
    assert [scan.time is None for scan in then] == [False, True, True, False]
    assert len({scan.id for scan in then}) == 4


def test_a_parcel_may_have_no_events():
    for events in (None, {"edges": None}, {"edges": [None, {"node": None}]}):
        track = {"trackingNumber": NUMBER, "events": events}
        assert Service(httpx.Response(200, json={"data": {"track": track}})).track() == []


# -- bad answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says", "pause"),
    [
        (failed("BAD_REQUEST", "운송장 번호는 10자리 혹은 12자리입니다."), "takes no parcel 640001: 운송장", WRONG_S),
        (failed("FORBIDDEN"), "see its console for what the plan allows", WRONG_S),
        (failed("INTERNAL", "Please try again"), "INTERNAL: Please try again; parcel 640001 is asked for again", None),
        (failed("NEW_ONE"), "NEW_ONE: said", None),
        (failed("INTERNAL", status=500), "INTERNAL: said", None),
        (httpx.Response(200, json={"errors": [{"message": "no code"}]}), "error: no code", None),
        (httpx.Response(429, json={"message": "Too Many"}), "answered 429", LIMITED_S),
        (httpx.Response(429, headers={"Retry-After": "9"}), "answered 429", 9.0),
        (httpx.Response(503, headers={"Retry-After": "5"}, content=b"<html>"), "answered 503", 5.0),
        (httpx.ReadTimeout("late"), "no answer (ReadTimeout)", None),
        (httpx.ConnectError("nobody"), "no answer (ConnectError)", None),
    ],
)
def test_an_error_says_what_to_do_and_how_long_to_wait(answer, says, pause):
    caught = Service(answer).refused()
    assert not isinstance(caught, ParcelUnknown)
    assert says in str(caught)
    assert caught.retry_after == pause


@pytest.mark.parametrize("answer", [failed("NOT_FOUND"), httpx.Response(200, json={"data": {"track": None}})])
def test_a_number_that_is_not_known_is_told_apart(answer):
    with pytest.raises(ParcelUnknown, match="640001"):
        Service(answer).track()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"null", b"[" * 100_000, b"{}", b'{"data": 7}', b'{"data": {"track": {"trackingNumber": 7}}}',
        b'{"data": {"track": {"trackingNumber": "other"}}}', b'{"errors": "x"}', b'{"data": {"track": {}}}',
        json.dumps({"data": {"track": {"trackingNumber": NUMBER, "events": {"edges": [{"node": event(time="soon")}]}}}}).encode(),
        json.dumps({"data": {"track": {"trackingNumber": NUMBER, "events": {"edges": [{"node": event(time="2026-11-01T09:00:00")}]}}}}).encode(),
        json.dumps({"data": {"track": {"trackingNumber": NUMBER, "events": {"edges": [{"node": {"time": None}}]}}}}).encode(),
    ],
)  # fmt: skip
def test_nonsense_moves_nothing_and_says_why(body):
    caught = Service(httpx.Response(200, content=body)).refused()
    assert "another shape" in str(caught)
    assert not isinstance(caught, ParcelUnknown)


def test_a_huge_answer_is_refused(monkeypatch):
    monkeypatch.setattr(tracker_delivery_api, "MAX_ANSWER", 1000)
    assert "an answer of" in str(Service(a_parcel(*[event(description="x" * 100)] * 20)).refused())


# -- callbacks -----------------------------------------------------------------------------------------------

DONE = httpx.Response(200, json={"data": {"registerTrackWebhook": True}})
CALLBACK = {"callback": "https://shop.example/webhooks/carriers/tracker_delivery", "secrets": ("a/b secret",)}


class Registering(Service):
    def __call__(self, request):
        if request.url.host == "apis" and "registerTrackWebhook" in sent(request)["query"]:
            self.registered = [*getattr(self, "registered", []), sent(request)["variables"]["input"]]
            return self.answers_to_registering
        return super().__call__(request)

    answers_to_registering = DONE


def test_a_parcel_is_registered_for_two_days_and_renewed_after_one(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tracker_delivery_api, "monotonic", lambda: now[0])
    service = Registering(a_parcel(event()), **CALLBACK)
    for passed, registrations in ((0, 1), (23 * 3600, 1), (2 * 3600, 2)):
        now[0] += passed
        service.track()
        assert len(service.registered) == registrations
    told = service.registered[0]
    assert (told["carrierId"], told["trackingNumber"]) == (CJ, NUMBER)
    assert told["callbackUrl"] == f"{CALLBACK['callback']}/a%2Fb%20secret"
    until = datetime.fromisoformat(told["expirationTime"]) - datetime.now(UTC)
    assert timedelta(hours=47, minutes=59) < until < timedelta(hours=48, minutes=1)


def test_a_registration_that_fails_costs_no_scan_and_is_tried_again(caplog):
    service = Registering(a_parcel(event()), **CALLBACK)
    service.answers_to_registering = failed("INTERNAL")
    assert len(service.track()) == len(service.track()) == 1
    assert len(service.registered) == 2
    assert "no callbacks for parcel 640001" in caplog.text


@pytest.mark.parametrize("repeated", ["a%2Fb%20secret", "a/b secret"])
def test_the_secret_of_its_callback_is_told_by_no_refusal(caplog, repeated):
    service = Registering(a_parcel(event()), **CALLBACK)
    service.answers_to_registering = failed("BAD_REQUEST", f"callbackUrl {CALLBACK['callback']}/{repeated} is no URL")
    service.track()
    assert "tracker_delivery/… is no URL" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("without", ["callback", "secrets"])
def test_without_a_url_or_a_secret_nothing_is_registered(without):
    service = Service(a_parcel(event()), **{name: value for name, value in CALLBACK.items() if name != without})
    service.track()
    assert len(service.asked) == 1


def test_a_parcel_that_is_not_known_is_not_registered():
    service = Registering(failed("NOT_FOUND"), **CALLBACK)
    with pytest.raises(ParcelUnknown):
        service.track()
    assert not hasattr(service, "registered")
