"""tracker.delivery's GraphQL API by httpx: what happened to a parcel, and who is told when something does.

From tracker.delivery/docs: a client's id and secret get an access token (“Authentication”, OAuth client credentials); an
answer with status 200 may hold `errors`, whose `extensions.code` says which (“Error Handling”); a callback is registered
per parcel for some 48 hours, and registering it again prolongs it (“Tracking Webhook API”). Ten questions per second are
reported to be answered. Its queries are held against its public schema by tests/unit/providers/carriers.

A GraphQL library would add a query builder and a transport to two fixed texts and one POST, so there is none.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from providers import http_client
from providers.base import NoAnswer, ParcelRefused, ParcelUnknown, RateLimited, Scan
from providers.by_carrier import OneCarrier
from providers.carriers.tracker_delivery_events import MAX_SCANS, Parcel, scans_of
from providers.http_client import MAX_ANSWER

if TYPE_CHECKING:
    import httpx

SOURCE = "tracker_delivery"
TOKEN_EARLY_S = 60.0  # so long before its end an access token is got anew
TOKEN_S = 600.0  # life of a token that names none
REGISTERED = timedelta(hours=48)  # as its documentation recommends
RENEWED_S = 24 * 3600.0  # so long before a registration is renewed
PARCELS = 100_000  # whose registrations are remembered; another is registered again
LIMITED_S = 5.0  # pause after a 429 that names none
WRONG_S = 86_400.0  # pause after an error that only a person can mend
log = logging.getLogger(__name__)

TRACK = """\
query Track($carrierId: ID!, $trackingNumber: String!, $last: Int!) {
  track(carrierId: $carrierId, trackingNumber: $trackingNumber) {
    trackingNumber
    events(last: $last) {
      edges {
        node { time description status { code name } location { name countryCode } }
      }
    }
  }
}"""
REGISTER = """\
mutation Register($input: RegisterTrackWebhookInput!) {
  registerTrackWebhook(input: $input)
}"""


class _Extensions(BaseModel):
    code: str | None = None


class _Fault(BaseModel):
    message: str = ""
    extensions: _Extensions | None = None


class _Data(BaseModel):
    track: Parcel | None = None


class _Answer(BaseModel):
    data: _Data | None = None
    errors: list[_Fault] | None = None


class _Token(BaseModel):
    access_token: Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[!-~]+$")]
    expires_in: Annotated[float, Field(ge=0, le=10_000_000)] | None = None


class TrackerDelivery:
    """An `Aggregator`. Opens no connection before the first question; may be shared by threads.

    With `callback` (a URL) and a secret each parcel that is polled is registered for callbacks there, once a day.
    """

    def __init__(
        self,
        api_url: str,
        auth_url: str,
        client_id: str,
        client_secret: str,
        callback: str | None = None,
        secrets: Sequence[str] = (),
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._client = http_client.connection(api_url, transport=transport)
        self._auth = http_client.connection(auth_url, transport=transport)
        self._credentials = (client_id, client_secret)
        self._secrets = (quote(secrets[0], safe=""), secrets[0]) if secrets else ()  # as it is sent, and as it is
        self._callback = f"{callback}/{self._secrets[0]}" if callback and self._secrets else None
        self._lock = threading.Lock()
        self._token, self._token_until = "", 0.0
        self._registered: OrderedDict[tuple[str, str], float] = OrderedDict()

    def of_carrier(self, carrier_id: str) -> OneCarrier:
        """The client for one carrier, by its id there (`kr.cjlogistics`)."""
        return OneCarrier(self.track, carrier_id)

    def track(self, carrier_id: str, number: str) -> list[Scan]:
        """All scans known of a parcel, oldest first; raises NoAnswer only."""
        about = {"carrierId": carrier_id, "trackingNumber": number}
        data = self._ask(TRACK, {**about, "last": MAX_SCANS}, number)
        if data.track is None:
            raise ParcelUnknown(f"{SOURCE}: parcel {number} of {carrier_id} is unknown, or not known yet")
        if data.track.number != number:
            raise _strange(number, f"about another parcel, {data.track.number[:80]!r}")
        scans = scans_of(data.track)
        self._register(carrier_id, number)
        return scans

    def _register(self, carrier_id: str, number: str) -> None:
        """Have the callback called when something changes. What was told of the parcel counts, whatever becomes of this."""
        key, now = (carrier_id, number), monotonic()
        if self._callback is None or self._registered.get(key, now) > now:
            return
        about = {"carrierId": carrier_id, "trackingNumber": number, "callbackUrl": self._callback}
        until = datetime.now(UTC) + REGISTERED  # noqa: TID251 - theirs to compare with their clock, whole days away
        try:
            self._ask(REGISTER, {"input": {**about, "expirationTime": until.isoformat(timespec="seconds")}}, number)
        except NoAnswer as error:
            said = str(error)  # whoever refuses an address may repeat it
            for secret in self._secrets:
                said = said.replace(secret, "…")
            log.warning("%s: no callbacks for parcel %s until it is polled again: %s", SOURCE, number, said)
            return
        with self._lock:
            self._registered[key] = now + RENEWED_S
            self._registered.move_to_end(key)
            if len(self._registered) > PARCELS:
                self._registered.popitem(last=False)

    # -- asking

    def _ask(self, query: str, variables: dict[str, Any], number: str) -> _Data:
        """The data of an answer; an access token that is refused is got anew, once."""
        try:
            return self._once(query, variables, number)
        except _TokenRefused as refused:
            with self._lock:
                if self._token == refused.token:
                    self._token = ""
            try:
                return self._once(query, variables, number)
            except _TokenRefused as error:
                raise NoAnswer(
                    f"{SOURCE}: refuses its own access token ({error}); check the client's id and secret"
                ) from None

    def _once(self, query: str, variables: dict[str, Any], number: str) -> _Data:
        token = self._access_token()
        headers = {"Authorization": f"Bearer {token}"}
        response = self._post(self._client, "/graphql", headers, json={"query": query, "variables": variables})
        if response.status_code == 401:
            raise _TokenRefused(token, "401")
        try:
            answer = _Answer.model_validate_json(response.content)
        except ValidationError as error:
            if response.status_code != 200:
                raise _refused(response) from None
            raise _strange(number, _first_fault(error)) from error
        for fault in answer.errors or ():
            code = fault.extensions.code if fault.extensions else None
            if code == "UNAUTHENTICATED":
                raise _TokenRefused(token, code)
            raise _failure(code, fault.message, number)
        if response.status_code != 200:
            raise _refused(response)
        if answer.data is None:
            raise _strange(number, "it holds neither data nor errors")
        return answer.data

    def _access_token(self) -> str:
        with self._lock:  # one thread asks, the others wait for what it gets
            if self._token and monotonic() < self._token_until:
                return self._token
            form = {"grant_type": "client_credentials"}
            response = self._post(self._auth, "/oauth2/token", {}, data=form, auth=self._credentials)
            if response.status_code in (400, 401, 403):
                hint = "check ORDERS_TRACKER_DELIVERY_CLIENT_ID and _CLIENT_SECRET"
                raise NoAnswer(f"{SOURCE}: gives no access token ({response.status_code}); {hint}")
            if response.status_code != 200:
                raise _refused(response)
            try:
                token = _Token.model_validate_json(response.content)
            except ValidationError as error:
                raise NoAnswer(f"{SOURCE}: an access token in another shape: {_first_fault(error)}") from error
            life = TOKEN_S if token.expires_in is None else token.expires_in
            self._token, self._token_until = token.access_token, monotonic() + max(life - TOKEN_EARLY_S, life / 2)
            return self._token

    def _post(self, client: httpx.Client, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        import httpx

        try:
            response = client.post(path, headers=headers, **body)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{SOURCE}: no answer ({type(error).__name__})") from error
        if len(response.content) > MAX_ANSWER:
            raise NoAnswer(f"{SOURCE}: an answer of {len(response.content)} bytes")
        return response


class _TokenRefused(Exception):
    """The access token is not, or no longer, believed."""

    def __init__(self, token: str, code: str) -> None:
        super().__init__(code)
        self.token = token


# -- errors ----------------------------------------------------------------------------------------------------


def _failure(code: str | None, message: str, number: str) -> NoAnswer:
    """What an error of the API's means, by its code (its schema, `ErrorCode`)."""
    said = " ".join(message.split())[:300]
    if code == "NOT_FOUND":
        return ParcelUnknown(f"{SOURCE}: parcel {number} is unknown, or not known yet ({said})")
    if code == "BAD_REQUEST":
        return ParcelRefused(f"{SOURCE}: takes no parcel {number}: {said}; correct the number or the carrier", WRONG_S)
    if code == "FORBIDDEN":
        return NoAnswer(f"{SOURCE}: refuses this client: {said}; see its console for what the plan allows", WRONG_S)
    return NoAnswer(f"{SOURCE}: {code or 'error'}: {said}; parcel {number} is asked for again")


def _refused(response: httpx.Response) -> NoAnswer:
    status, named = response.status_code, http_client.retry_after(response)
    says = f"{SOURCE}: answered {status} {response.reason_phrase}"
    if status == 429:
        return RateLimited(says, LIMITED_S if named is None else named)
    return NoAnswer(says, named)


def _strange(number: str, why: str) -> NoAnswer:
    return NoAnswer(f"{SOURCE}: an answer in another shape: {why}; parcel {number} is asked for again")


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}"
