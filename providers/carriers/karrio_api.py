"""karrio's connectors, each a `TrackingClient`: a shop's own accounts at FedEx, UPS, USPS, DHL, Canada Post, DPD and others.

karrio (karrio.io, LGPL-3.0; an optional extra) brings the dialect of each carrier: how to log in, what to ask, and what
the words of its answer mean. `karrio_answers` reads times out of the same answer, `karrio_transport` opens the
connections. Of karrio a connector's own modules are imported and nothing else: its gateway imports all that are installed,
which takes up to half a minute. Nothing is imported before the first question.

What a carrier says of a parcel decides which error it is: that it does not know the number (ParcelUnknown, by its
words, which all have some like these), or anything else (NoAnswer).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from providers.base import NoAnswer, ParcelRefused, ParcelUnknown, ProviderError, Scan
from providers.carriers.karrio_answers import Strange, mended, scans_of
from providers.carriers.karrio_transport import import_karrio

SOURCE = "karrio"
WRONG_S = 86_400.0  # pause after an error that only a person can mend
# Whose parser asks once more, for the picture of the receiver's signature, once a parcel is delivered: nobody needs it here.
_SIGNATURES = {"fedex": "karrio.providers.fedex.utils"}
# karrio writes a number into URLs and XML as it is.
_NUMBER = re.compile(r"[A-Za-z0-9-]{4,64}")
_UNKNOWN = re.compile(
    r"not (?:be |yet )?(?:found|available)|(?:no|unknown) [\w\s]{0,40}\b(?:found|history|information|number|record)",
    re.I,
)
_INVALID = re.compile(r"invalid[\w\s]{0,40}\bnumber|number[\w\s]{0,40}\binvalid|NUMBER\.INVALID", re.I)
_REFUSED = re.compile(
    r"authenti|unauthori[sz]ed|credential|invalid_client|forbidden|not authori[sz]ed|\b40[13]\b", re.I
)

Connection = Mapping[str, Any]


class NotInstalled(ProviderError):
    """A connector of karrio's that a setting names, and that is not installed."""

    code = "karrio_not_installed"
    remedy = "Install it beside the application: `pip install 'order-lifecycle-workers[karrio]'`, or its own package."


@dataclass(slots=True)
class _Connector:
    """karrio's objects for one account: they keep its access token."""

    proxy: Any
    mapper: Any
    country: str | None


class KarrioCarrier:
    """A `TrackingClient` for one carrier, by one account. Opens no connection before the first question; may be shared by threads.

    `name` is karrio's of the carrier, `account` has the fields that karrio's documentation names. Errors: NotInstalled.
    """

    def __init__(self, name: str, account: Connection) -> None:
        if find_spec(SOURCE) is None or find_spec(f"karrio.mappers.{name}") is None:
            package = f"karrio-{name.replace('_', '-')}"
            raise NotInstalled(f"{SOURCE}: there is no connector {name} here; its package is {package}")
        self._name, self._account = name, dict(account)
        self._lock = threading.Lock()
        self._made: _Connector | None = None

    def track(self, number: str) -> list[Scan]:
        """All scans known of a parcel, oldest first; raises NoAnswer only."""
        if not _NUMBER.fullmatch(number):
            raise ParcelRefused(f"{self._who}: takes no parcel {number[:80]!r}: correct the number", WRONG_S)
        try:
            connector = self._connector()
            answer, parcels, messages = self._ask(connector, number)
        except NoAnswer as error:  # of the transport, which does not know whom it asks
            raise type(error)(f"{self._who}: {error}", error.retry_after) from error
        except Exception as error:  # karrio's, on whatever it did not expect
            raise self._failed(number, _said(error), getattr(error, "messages", ())) from error
        # A carrier's error beside a parcel's scans is about something else; without scans it says why there are none.
        mine = [each for each in messages if (each.details or {}).get("tracking_number") == number]
        if not parcels or (mine and parcels[0].tracking_number != number):
            raise self._failed(number, "it tells neither scans nor a reason", mine or messages)
        try:
            return scans_of(self._name, answer, parcels[0], number, connector.country)
        except Strange as error:
            raise self._strange(number, str(error)) from error

    @property
    def _who(self) -> str:
        return f"{SOURCE}: {self._name}"

    def _ask(self, connector: _Connector, number: str) -> tuple[Any, Sequence[Any], Sequence[Any]]:
        """The raw answer, and the parcels and messages that karrio reads in it."""
        models = import_karrio("karrio.core.models")
        question = connector.mapper.create_tracking_request(models.TrackingRequest(tracking_numbers=[number]))
        told = connector.proxy.get_tracking(question)
        for each in told.value if isinstance(told.value, list) else ():
            if isinstance(each, Exception):  # karrio asks in threads of its own, and hands on what they raised
                raise each
        answer = mended(self._name, told.deserialize())
        serializable = import_karrio("karrio.core.utils.serializable")
        parcels, messages = connector.mapper.parse_tracking_response(serializable.Deserializable(answer))
        return answer, parcels or (), messages or ()

    def _connector(self) -> _Connector:
        with self._lock:
            if self._made is None:
                self._made = _connect(self._name, self._account)
            return self._made

    def _failed(self, number: str, why: str, messages: Sequence[Any]) -> NoAnswer:
        """What a carrier's messages mean; `why`, where it has none."""
        said = "; ".join(filter(None, (_line(f"{each.code or ''} {each.message or ''}") for each in messages)))
        if not said:
            return self._strange(number, why)
        if _REFUSED.search(said):
            with self._lock:
                self._made = None  # and its access token, which may be what is refused
            return NoAnswer(f"{self._who}: {said}; check its fields in ORDERS_KARRIO_CONNECTIONS")
        if _INVALID.search(said):
            return ParcelRefused(f"{self._who}: takes no parcel {number}: {said}; correct the number", WRONG_S)
        if _UNKNOWN.search(said):
            return ParcelUnknown(f"{self._who}: parcel {number} is unknown, or not known yet ({said})")
        return NoAnswer(f"{self._who}: {said}; parcel {number} is asked for again")

    def _strange(self, number: str, why: str) -> NoAnswer:
        return NoAnswer(f"{self._who}: an answer in another shape: {why}; parcel {number} is asked for again")


def _connect(name: str, account: Connection) -> _Connector:
    """karrio's proxy and mapper for an account; `server_url` among its fields says where the carrier is asked instead."""
    connector = import_karrio(f"karrio.mappers.{name}")
    if name in _SIGNATURES:
        setattr(import_karrio(_SIGNATURES[name]), "get_proof_of_delivery", lambda *_: None)  # noqa: B010 - untyped
    caching, tracing = import_karrio("karrio.core.utils.caching"), import_karrio("karrio.core.utils.tracing")
    fields = {field: value for field, value in account.items() if field != "server_url"}
    shape = connector.Settings
    if "server_url" in account:
        shape = type(shape.__name__, (shape,), {"server_url": account["server_url"]})
    known = {each.name for each in shape.__attrs_attrs__}
    if wrong := sorted(set(fields) - known):
        raise NoAnswer(f"its connection has no field {wrong[0]!r}; it has {', '.join(sorted(known))}", WRONG_S)
    try:
        settings = shape(**fields)
    except TypeError as error:  # "missing 1 required positional argument: 'client_secret'"
        raise NoAnswer(f"its connection is not whole: {_line(error)}", WRONG_S) from error
    settings.cache, settings.tracer = caching.Cache(), _quiet(tracing.Tracer)
    return _Connector(connector.Proxy(settings), connector.Mapper(settings), settings.account_country_code)


def _quiet(tracer: Any) -> Any:
    """A tracer that keeps nothing: karrio's own keeps each request and answer, for as long as it lives."""

    class Quiet(tracer):  # type: ignore[misc]
        def trace(self, *about: object, **more: object) -> None:
            """Nothing."""

    return Quiet()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {_line(error)}"


def _line(said: object) -> str:
    return " ".join(str(said).split())[:300]
