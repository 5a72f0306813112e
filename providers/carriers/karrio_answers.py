"""Answers of single carriers about a parcel, read beside karrio's own parsers.

karrio's parsers know the carriers' words, and lose what we need: offsets of times (FedEx), seconds (all), the afternoon
(DPD writes 7:11 PM, karrio reads 07:11) and codes that its tables lack. So each event is read twice: by karrio for its
words, and here, from the same raw answer, for its time and its code. The two must agree in number and dates, else the
answer is no answer. A carrier without a reader here is read by karrio alone: its times are local ones, of the country that
an event's place names or its account has.

Where the fields of an answer are described:

    fedex           developer.fedex.com, "Track API"
    ups             developer.ups.com, "Tracking": activity
    usps            developers.usps.com, "Tracking v3": trackingEvents; codes: Publication 199, "Event codes"
    dhl_universal   developer.dhl.com, "Shipment Tracking - Unified": shipments
    canadapost      canadapost-postescanada.ca, "Get Tracking Details": significant-events
    dpd             DPD, ParcelLifeCycleService 2.0: statusInfo
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, cast, get_args

from events.field_types import TrackingStatus
from providers.base import Scan
from providers.carriers.local_time import utc_of
from providers.carriers.poll_schedule import watch_ends
from providers.carriers.scans import estimate, in_order, scan_id

MAX_SCANS = 200  # of one parcel; more are no history
WORDS, PLACE = 1000, 255  # characters of a description, and of a place, that are kept
YEARS = range(2000, 2200)  # in which a scan may lie, so that no offset can push it off the calendar
KNOWN = frozenset(get_args(TrackingStatus))

# Codes that karrio's tables lack, or take for something else.
CODES: dict[str, dict[str, TrackingStatus]] = {
    "ups": {  # types of a status; karrio lacks P, O, RS and takes what reached a freight station for announced
        "P": "picked_up", "O": "out_for_delivery", "RS": "return_to_sender", "MV": "cancelled",
        "DO": "in_transit", "DD": "in_transit", "W": "in_transit",
    },
    "usps": {  # karrio goes by words; codes do not change with them
        "01": "delivered", "02": "delivery_failed", "03": "picked_up", "04": "delivery_failed", "05": "delivery_failed",
        "07": "in_transit", "10": "in_transit", "14": "ready_for_pickup", "16": "ready_for_pickup",
        "21": "delivery_failed", "22": "delivery_failed", "27": "return_to_sender", "29": "return_to_sender",
        "53": "delivery_failed", "81": "pending", "82": "pending", "A1": "in_transit", "GX": "pending",
        "MA": "pending", "NT": "in_transit", "OF": "out_for_delivery", "SF": "in_transit", "T1": "in_transit",
        "TL": "in_transit", "undelivered": "unknown",
    },
    "dhl_universal": {  # karrio looks for these in the words, too, and takes unknown for delayed
        "pre-transit": "pending", "transit": "in_transit", "delivered": "delivered", "failure": "delivery_failed",
        "unknown": "unknown",
    },
    "canadapost": {"100": "in_transit"},  # "Item processed": karrio takes it for picked up
    "dpd": {  # karrio has no word for the first four, and takes what came back to the depot for out for delivery
        "SHIPMENT": "pending", "PickedUp": "picked_up", "BetweenDepots": "in_transit", "Depot": "in_transit",
        "ReturningFromDelivery": "delivery_failed",
    },
}  # fmt: skip
# Codes that say it roughly, where karrio knows nothing finer: FedEx's `derivedStatusCode`.
ROUGH: dict[str, dict[str, TrackingStatus]] = {
    "fedex": {
        "IN": "pending", "PU": "picked_up", "IT": "in_transit", "OD": "out_for_delivery", "DL": "delivered",
        "DE": "delivery_failed", "DY": "delivery_delayed", "HL": "ready_for_pickup", "CA": "cancelled",
        "RS": "return_to_sender",
    },
}  # fmt: skip
# Canada Post's abbreviations, and their hours from UTC.
CANADIAN = {
    "NST": -3.5, "NDT": -2.5, "AST": -4, "ADT": -3, "EST": -5, "EDT": -4,
    "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
_COUNTRY = re.compile(r"\(([A-Z]{2})\)\s*$|(?:^|,)\s*([A-Z]{2})\s*$")


class Strange(ValueError):
    """An answer that does not fit; its text ends the sentence "an answer in another shape: …"."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event as its carrier tells it: the day as it is written there, the time in UTC, its code, and a rougher one."""

    day: date
    time: datetime
    code: str | None
    rough: str | None = None


Reader = Callable[[Any, str], Sequence[RawEvent]]


def scans_of(carrier: str, answer: Any, parcel: Any, number: str, country: str | None) -> list[Scan]:
    """The scans of a parcel, oldest first: `parcel` as karrio parsed it out of a raw `answer`; raises Strange.

    `country` is that of the account, for carriers that tell neither an offset nor a place.
    """
    events = parcel.events or ()
    if not events:
        return []
    reader = READERS.get(carrier)
    try:
        if reader is None and _bare(parcel.tracking_number) != _bare(number):
            raise Strange(f"it is about another parcel, {str(parcel.tracking_number)[:80]!r}")
        raw = reader(answer, number) if reader else [_by_karrio(each, country) for each in events]
    except Strange:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Strange(f"{type(error).__name__}: {error}") from error
    days = [str(each.date)[:10] for each in events]
    if [each.day.isoformat() for each in raw] != days:
        raise Strange(f"{len(raw)} events are not the {len(days)} that karrio reads in it")
    pairs = list(zip(events, raw, strict=True))
    # Carriers list the newest first; of two scans of one second the one that is listed later happened before.
    scans = in_order(_scan(carrier, each, told) for each, told in reversed(pairs[:MAX_SCANS]))
    expected = _estimate(parcel, scans, country)
    return scans if expected is None else [*scans, expected]


def _estimate(parcel: Any, scans: Sequence[Scan], country: str | None) -> Scan | None:
    """The day on which the carrier expects a parcel that has not arrived; karrio keeps no hour of it."""
    if not parcel.estimated_delivery or any(watch_ends(scan.status) for scan in scans):
        return None
    try:
        day = datetime.fromisoformat(str(parcel.estimated_delivery)[:10])
        _, end = _placed(day + timedelta(days=1, seconds=-1), country)
    except ValueError:  # of an estimate nobody's order depends
        return None
    return estimate(end, None, scans[-1])


def mended(carrier: str, answer: Any) -> Any:
    """A raw answer as karrio's parser of that carrier can read it: Canada Post writes 0174 and 174 for one code."""
    if carrier == "canadapost":
        for node in answer.iter("{*}event-identifier"):
            node.text = (node.text or "").lstrip("0") or "0"
    return answer


def _scan(carrier: str, event: Any, raw: RawEvent) -> Scan:
    found = CODES.get(carrier, {}).get(raw.code or "")
    if found is None and event.status in KNOWN:
        found = cast(TrackingStatus, event.status)
    found = found or ROUGH.get(carrier, {}).get(raw.rough or "") or "unknown"
    words = " ".join(str(event.description or "").split())[:WORDS] or None
    place = " ".join(str(event.location or "").split())[:PLACE] or None
    own = str(event.code or "")[:PLACE] or None
    return Scan(scan_id(raw.time, raw.code, words, place), raw.time, found, words, place, own)


def _told(text: str, country: str | None = None, state: str | None = None) -> tuple[date, datetime]:
    """The day as it is written, and the time in UTC, of an ISO 8601 time with an offset or without."""
    return _placed(datetime.fromisoformat(text), country, state)


def _placed(local: datetime, country: str | None, state: str | None = None) -> tuple[date, datetime]:
    if local.year not in YEARS:
        raise Strange(f"{local} is no time of a scan")
    return local.date(), utc_of(local, country, state)


# -- a carrier each ------------------------------------------------------------------------------------------


def _fedex(answer: Any, number: str) -> list[RawEvent]:
    """Of several parcels that had the number the one with the newest scan: the one that karrio takes, too."""
    (result,) = (each for each in answer["output"]["completeTrackResults"] if each["trackingNumber"] == number)
    lives = []
    for each in result["trackResults"]:
        found = []
        for event in each.get("scanEvents") or ():
            place = event.get("scanLocation") or {}
            told = _told(event["date"], place.get("countryCode"), place.get("stateOrProvinceCode"))
            found.append(RawEvent(*told, event.get("eventType"), event.get("derivedStatusCode")))
        if found:
            lives.append(found)
    return max(lives, key=lambda life: max(event.time for event in life))


def _ups(answer: Any, number: str) -> list[RawEvent]:
    shipments = [each for _, told in answer for each in told["trackResponse"]["shipment"]]
    (shipment,) = (each for each in shipments if each.get("inquiryNumber", number) == number)
    return [_ups_event(each) for each in shipment["package"][0]["activity"]]


def _ups_event(activity: Mapping[str, Any]) -> RawEvent:
    """Its time is told in local time, and of late in GMT beside it."""
    place = (activity.get("location") or {}).get("address") or {}
    local = datetime.strptime(activity["date"] + activity["time"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - _placed reads its zone
    day, time = _placed(local, place.get("countryCode") or place.get("country"), place.get("stateProvince"))
    if activity.get("gmtDate") and activity.get("gmtTime"):
        _, time = _told(f"{activity['gmtDate']}T{activity['gmtTime'].replace(':', '')}Z")
    return RawEvent(day, time, (activity.get("status") or {}).get("type"))


def _usps(answer: Any, number: str) -> list[RawEvent]:
    (told,) = (each for _, each in answer if each.get("trackingNumber") == number)
    return [_usps_event(each) for each in told["trackingEvents"]]


def _usps_event(event: Mapping[str, Any]) -> RawEvent:
    """GMTTimestamp has the seconds that eventTimestamp, the local time, lacks."""
    local = event["eventTimestamp"].removesuffix("Z")
    place = event.get("eventCountry") or "US", event.get("eventState")
    day, time = _told(local + (event.get("GMTOffset") or ""), *place)
    if event.get("GMTTimestamp"):
        _, time = _told(event["GMTTimestamp"])
    words, code = str(event.get("eventType") or "").casefold(), event.get("eventCode")
    if code not in CODES["usps"] and "delivered" in words and not words.startswith("delivered"):
        code = "undelivered"  # "could not be delivered": karrio finds "delivered" in it
    return RawEvent(day, time, code)


def _dhl(answer: Any, number: str) -> list[RawEvent]:
    """Events are told in local time; the newest one is told again as the parcel's status, there with its offset."""
    shipments = [each for told in answer for each in told.get("shipments", ())]
    (shipment,) = (each for each in shipments if str(each["id"]) == number)
    newest = datetime.fromisoformat((shipment.get("status") or {}).get("timestamp") or "0001-01-01")
    return [_dhl_event(each, newest) for each in shipment["events"]]


def _dhl_event(event: Mapping[str, Any], newest: datetime) -> RawEvent:
    told = datetime.fromisoformat(event["timestamp"])
    if newest.tzinfo is not None and newest.replace(tzinfo=None) == told:
        told = newest
    place = (event.get("location") or {}).get("address") or {}
    return RawEvent(*_placed(told, place.get("countryCode")), (event.get("statusCode") or "").lower())


def _canada_post(answer: Any, number: str) -> list[RawEvent]:
    (parcel,) = (each for each in answer.iter("{*}tracking-detail") if each.findtext("{*}pin") == number)
    found = []
    for each in parcel.iter("{*}occurrence"):
        local = datetime.fromisoformat(f"{each.findtext('{*}event-date')}T{each.findtext('{*}event-time')}")
        hours = CANADIAN.get((each.findtext("{*}event-time-zone") or "").strip().upper())
        if hours is not None:
            local = local.replace(tzinfo=timezone(timedelta(hours=hours)))
        day, time = _placed(local, "CA", each.findtext("{*}event-province"))
        found.append(RawEvent(day, time, each.findtext("{*}event-identifier")))
    return found


def _dpd(answer: Any, number: str) -> list[RawEvent]:
    """Its answer does not repeat the number; karrio hands it on beside the answer. The oldest event comes first."""
    (told,) = (each for own, each in answer if own == number)
    found = []
    for each in told.iter("{*}statusInfo"):
        local = datetime.strptime(each.findtext("{*}date/{*}content"), "%m/%d/%Y %I:%M:%S %p")  # noqa: DTZ007
        place = each.findtext("{*}location/{*}content")
        found.append(RawEvent(*_placed(local, _country_in(place)), each.findtext("{*}status")))
    return found[::-1]


READERS: dict[str, Reader] = {
    "fedex": _fedex, "ups": _ups, "usps": _usps, "dhl_universal": _dhl, "canadapost": _canada_post, "dpd": _dpd,
}  # fmt: skip


def _by_karrio(event: Any, country: str | None) -> RawEvent:
    """An event of a carrier without a reader. karrio's `timestamp` ends with Z, and is the local time nevertheless."""
    written = next(_written(event))
    local = datetime.fromisoformat(written).replace(tzinfo=None)
    day, time = _placed(local, _country_in(event.location) or country)
    return RawEvent(day, time, event.code)


def _written(event: Any) -> Iterator[str]:
    if event.timestamp:
        yield event.timestamp
    hours = re.match(r"\d{1,2}:\d{2}(?::\d{2})?", str(event.time or ""))  # "14:29 PM": hours are of 24 all the same
    yield f"{str(event.date)[:10]}T{hours[0].rjust(5, '0') if hours else '00:00'}"


def _bare(number: object) -> str:
    """A number as it is compared: carriers write some with blanks, or in another case."""
    return "".join(filter(str.isalnum, str(number))).upper()


def _country_in(place: object) -> str | None:
    """The country that ends a place: `Puurs (BE)`, `Lyon, FR`."""
    found = _COUNTRY.search(str(place or ""))
    return (found[1] or found[2]) if found else None
