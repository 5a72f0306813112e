"""EasyPost's API by EasyPost's own library: trackers, made where there are none yet, and what they tell.

From docs.easypost.com: a tracker is asked for by its id (“Retrieve a Tracker”), and made with a tracking code and a
carrier (“Create a Tracker”). Made again within three months by the same user it is the original one, so nothing is kept
here but its id. Listing trackers is an index endpoint, of which five per second are answered (“Rate Limiting and Backoff
Guide”), and is not used. Times have the zone of their place where EasyPost knows it, else UTC. Errors: “Errors Guide”.

The library is imported at the first question: it takes half a second. It retries nothing itself: when a parcel is asked
for again is the tracker's affair (outbound/tracking).
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from events.field_types import TrackingStatus
from providers import http_client
from providers.base import NoAnswer, ParcelRefused, ParcelUnknown, RateLimited, Scan
from providers.by_carrier import OneCarrier
from providers.carriers.scans import estimate, in_order, scan_id

if TYPE_CHECKING:
    from easypost.easypost_client import EasyPostClient

SOURCE = "easypost"
MAX_SCANS = 200  # of one parcel; more are no history
WORDS, PLACE = 1000, 255  # characters of a message, and of a place, that are kept
YEARS = range(2000, 2200)  # in which a scan may lie, so that no offset can push it off the calendar
IDS = 100_000  # trackers whose ids are kept; another is made again, and is the original one
LIMITED_S = 5.0  # pause after a 429 that names none: the shortest that the guide's back-off comes to after some tries
WRONG_S = 86_400.0  # pause after an error that only a person can mend
_ID = re.compile(r"[\w-]{1,100}")

ENDED = frozenset(("delivered", "return_to_sender", "failure", "cancelled", "error"))
_SAYS_NOTHING = frozenset(("", "unknown", "status_update"))

STATUSES: dict[str, TrackingStatus] = {
    "unknown": "unknown",
    "pre_transit": "pending",
    "in_transit": "in_transit",
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "available_for_pickup": "ready_for_pickup",
    "return_to_sender": "return_to_sender",
    "failure": "delivery_failed",
    "cancelled": "cancelled",
    "error": "unknown",
}


class EasyPost:
    """An `Aggregator`. Opens no connection before the first question; may be shared by threads."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url, self._api_key = base_url, api_key
        self._made: EasyPostClient | None = None
        self._lock = threading.Lock()
        self._answer = threading.local()  # .status and .pause of this thread's last one
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()  # (carrier, number) → tracker

    def of_carrier(self, carrier_id: str) -> OneCarrier:
        """The client for one carrier, by EasyPost's word for it (`FedEx`, `DHLExpress`)."""
        return OneCarrier(self.track, carrier_id)

    def track(self, carrier_id: str, number: str) -> list[Scan]:
        """All scans known of a parcel, oldest first; raises NoAnswer only."""
        from easypost.errors.general.easypost_error import EasyPostError

        self._answer.status = self._answer.pause = None
        key = (carrier_id, number)
        try:
            tracker = self._ask(key)
        except EasyPostError as error:
            raise self._failed(error, key) from error
        except (AttributeError, TypeError, ValueError, RecursionError) as error:  # the library, on what is no tracker
            raise _strange(number, f"{type(error).__name__}: {error}") from error
        return scans_of(tracker, number)

    def _ask(self, key: tuple[str, str]) -> dict[str, Any]:
        client = self._client()
        with self._lock:
            known = self._ids.get(key)
        if known is not None:
            found = client.tracker.retrieve(known)
        else:
            carrier_id, number = key
            found = client.tracker.create(tracking_code=number, carrier=carrier_id)
        tracker = _plain(found)
        with self._lock:
            if isinstance(own := tracker.get("id"), str) and _ID.fullmatch(own):
                self._ids[key] = own
                self._ids.move_to_end(key)
            if len(self._ids) > IDS:
                self._ids.popitem(last=False)
        return tracker

    def _failed(self, error: Exception, key: tuple[str, str]) -> NoAnswer:
        """What an error of the library's means, by its status."""
        carrier_id, number = key
        status, pause = self._answer.status, self._answer.pause
        said = _line(getattr(error, "message", None) or error)
        if status is None:
            return NoAnswer(f"{SOURCE}: no answer: {said}")
        if status < 300:
            return _strange(number, said)
        if status == 404:  # a tracker that somebody deleted there: the next question makes another
            with self._lock:
                self._ids.pop(key, None)
        if status == 422:
            hint = f"EasyPost takes no parcel {number} of {carrier_id}: correct the number or the carrier"
            return ParcelRefused(f"{SOURCE}: answered {status} {said}; {hint}", WRONG_S if pause is None else pause)
        if status == 429:
            return RateLimited(f"{SOURCE}: answered {status} {said}", LIMITED_S if pause is None else pause)
        hint = ""
        if status in (401, 403):
            hint = "; check ORDERS_EASYPOST_API_KEY"
        elif status == 402:
            hint = "; EasyPost wants its account paid"
        return NoAnswer(f"{SOURCE}: answered {status} {said}{hint}", pause)

    def _client(self) -> EasyPostClient:
        with self._lock:
            if self._made is None:
                import requests
                from easypost.easypost_client import EasyPostClient

                client = EasyPostClient(self._api_key, f"{self._base_url}/v2", timeout=http_client.TIMEOUT_S)  # type: ignore[arg-type]
                session = requests.Session()  # the library's own retries three times, and takes proxies that are set
                session.trust_env = False
                client._requests_session = session
                client.subscribe_to_response_hook(self._note)  # type: ignore[no-untyped-call]
                self._made = client
            return self._made

    def _note(self, *, http_status: int, response_body: str, **answer: Any) -> None:
        """Keep what the library does not hand on of an answer; called in the thread that asked."""
        headers: Mapping[str, str] = answer["headers"]
        self._answer.status, self._answer.pause = http_status, http_client.pause_of(str(headers.get("retry-after", "")))
        if len(response_body) > http_client.MAX_ANSWER:
            raise ValueError(f"an answer of {len(response_body)} characters")


# -- reading, for polls and webhooks alike -------------------------------------------------------------------


def scans_of(tracker: Mapping[str, Any], number: str) -> list[Scan]:
    """The scans that a tracker tells, oldest first. Raises NoAnswer where it is none, ParcelUnknown where it knows none."""
    if tracker.get("object") != "Tracker" or tracker.get("tracking_code") != number:
        raise _strange(number, f"it is no tracker of this parcel, but {str(tracker.get('tracking_code'))[:80]!r}")
    details = tracker.get("tracking_details")
    if not isinstance(details, list) or not all(isinstance(each, Mapping) for each in details):
        raise _strange(number, "tracking_details must be a list of objects")
    if not details and tracker.get("status") in (None, "unknown"):
        raise ParcelUnknown(f"{SOURCE}: parcel {number} is unknown, or not known yet")
    try:
        scans = in_order(_scan(each) for each in details[-MAX_SCANS:])
    except ValueError as error:
        raise _strange(number, f"tracking_details: {error}") from error
    expected = estimate_of(tracker, scans[-1] if scans else None)
    return scans if expected is None else in_order([*scans, expected])


def estimate_of(tracker: Mapping[str, Any], newest: Scan | None) -> Scan | None:
    """EasyPost's estimate for a parcel that has not arrived, as a note of its own; None where it gives none."""
    if tracker.get("status") in ENDED or not tracker.get("est_delivery_date"):
        return None
    try:
        when = time_of(tracker["est_delivery_date"])
        told_at = time_of(tracker["updated_at"]) if tracker.get("updated_at") else None
    except ValueError:  # of an estimate nobody's order depends
        return None
    return estimate(when, told_at, newest)


def _scan(detail: Mapping[str, Any]) -> Scan:
    time = time_of(detail["datetime"]) if detail.get("datetime") else None
    status = STATUSES.get(str(detail.get("status")), "unknown")
    message, place = detail.get("message"), place_of(detail)
    message = message[:WORDS] if isinstance(message, str) and message else None
    return Scan(scan_id(time, status, message, place), time, status, message, place or None, detail_of(detail))


def detail_of(detail: Mapping[str, Any]) -> str | None:
    """EasyPost's finer word for a status, where it says anything beyond it (“Trackers”, status_detail)."""
    found = detail.get("status_detail")
    return found[:PLACE] if isinstance(found, str) and found not in _SAYS_NOTHING else None


def place_of(detail: Mapping[str, Any]) -> str:
    """City, state and country of a scan, as far as they are told."""
    place = detail.get("tracking_location")
    parts = [place.get(name) for name in ("city", "state", "country")] if isinstance(place, Mapping) else []
    return ", ".join(part for part in parts if isinstance(part, str) and part)[:PLACE]


def time_of(value: Any) -> datetime:
    """A time of EasyPost's in UTC; without an offset it is that. ValueError where it is none."""
    try:
        time = datetime.fromisoformat(value)
        if time.year in YEARS:
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{str(value)[:40]!r} is no time such as 2026-11-01T09:30:00Z") from None


def _plain(found: Any) -> dict[str, Any]:
    """An object of the library as the dict that it came as; TypeError where it is none."""
    to_dict = getattr(found, "to_dict", None)
    plain = to_dict() if to_dict is not None else found
    if not isinstance(plain, dict):
        raise TypeError(f"a {type(plain).__name__}")
    return plain


def _strange(number: str, why: str) -> NoAnswer:
    return NoAnswer(f"{SOURCE}: an answer in another shape: {why}; parcel {number} is asked for again")


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300]
