"""One write: its transaction, its idempotency key, its refusals.

Every endpoint here is `write.do(work)`: `work` gets the request's transaction and says what is
answered. The answer carries the state after the change, and is kept under the `Idempotency-Key`, if
one came, in that same transaction. Only answers that something was done are kept: a refused request
changed nothing, and may be tried again with the same key.
"""
# No `from __future__ import annotations`: FastAPI reads the annotations of the dependencies.

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Query
from fastapi import Request as HttpRequest
from starlette.responses import Response

from api import auth
from api.auth import Caller
from api.commands.json_body import Sent
from api.errors import ApiError, unavailable, validation_error
from api.publisher import Publisher
from api.resources import Doors, doors_of
from domain.ids import fresh
from domain.outcome import DEAD
from journal.commands import Answer, Busy, Refused, Request, Unfit, claim, keep, perform
from queries.json_encoder import encode
from queries.parser import MOST_DEPTH
from storage.clock import clock

UPDATED = "Updated successfully."
KEY = "Idempotency-Key"
KEY_LENGTH = 255
REPLAYED = {"Idempotent-Replayed": "true"}

Document = dict[str, Any]
Work = Callable[[Request], tuple[int, Document]]  # the status and the body of the answer

# Reasons by which an event would end dead, and that are a matter of the state and not of the request's values.
_CONFLICTS = frozenset(("order_number_taken", "payment_id_taken"))


def conflict(message: str, status: str, allowed: list[str], *, name: str = "Conflict", **more: Any) -> ApiError:
    """409: what was asked for, where the order (or its part) stands instead, and what it may be asked for."""
    return ApiError(409, message, name=name, data={"status": str(status), "allowed": allowed, **more})


@dataclass(frozen=True, slots=True)
class Write:
    """A write request that may come in."""

    doors: Doors
    publisher: Publisher
    caller: Caller
    key: str | None  # its idempotency key, within the caller's own
    digest: bytes  # of method, path and body: another request must not have this one's answer
    depth: int  # of the document in the answer

    def do(self, work: Work) -> Response:
        """Do `work` in one transaction and answer it; `work` may run again where a rival was faster.

        Errors: ApiError, KeyReused or Known, for all that is refused; nothing was changed then.
        """
        doors, caller = self.doors, self.caller
        request_id = self.key or fresh(clock())
        try:
            (answer, replayed), entries = perform(
                doors.engine,
                doors.settings.policy,
                doors.shop,
                caller.source,
                request_id,
                lambda r: self._once(r, work),
            )
        except Refused as error:
            raise _refusal(error) from None
        except Unfit as error:
            raise validation_error([("", f"PostgreSQL cannot keep a value: {error}")]) from None
        except Busy:
            raise unavailable("Too many requests for the same order at once; send the same request again") from None
        if entries:
            self.publisher.publish(entries)
        return Response(answer.body, answer.status, REPLAYED if replayed else None, "application/json")

    def _once(self, request: Request, work: Work) -> tuple[Answer, bool]:
        """The answer, and whether it was given before."""
        if self.key is not None:
            known = claim(request.conn, self.caller.key_id, self.key, self.digest)
            if known is not None:
                return known, True
        status, document = work(request)
        answer = Answer(status, encode(document).decode())
        if self.key is not None:
            keep(request.conn, self.caller.key_id, self.key, answer)
        return answer, False


def _refusal(error: Refused) -> ApiError:
    if error.outcome == DEAD and error.reason not in _CONFLICTS:
        return validation_error([("", str(error))])
    name = error.reason if error.outcome == DEAD else "Conflict"
    return ApiError(409, str(error), name=name, data={"reason": error.reason})


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=KEY,
        description="Names this request: sent again with the same body it is answered again for 24 h, and done once.",
        examples=["4be5b7f3-5d5c-4f0e-9d0e-2a6b4ac9b3a1"],
        json_schema_extra={"minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[!-~]+$"},  # checked in `_write`
    ),
]
_DEPTH = f"0: relationships in the answer are ids. 1: documents. Above {MOST_DEPTH} is answered as {MOST_DEPTH}."
Depth = Annotated[int, Query(ge=0, le=10, description=_DEPTH)]


async def _write(request: HttpRequest, caller: Caller, key: str | None, depth: int) -> Write:
    sent = cast(Sent, request)  # every route here is an ExactRoute
    if sent.fault is not None:
        raise sent.fault
    if key is not None:
        if not (0 < len(key) <= KEY_LENGTH and all("!" <= c <= "~" for c in key)):
            raise validation_error([(KEY, f"must be 1 to {KEY_LENGTH} visible ASCII characters")])
        if caller.customer is not None:  # customers share their shop's key, and must not meet in its idempotency keys
            key = f"{key} {caller.customer}"  # a key holds no blank
    what = [caller.customer, request.method, request.url.path, request.url.query]
    digest = sha256(encode(what) + sent.canonical).digest()
    return Write(doors_of(request), request.app.state.publisher, caller, key, digest, min(depth, MOST_DEPTH))


async def _by_secret(
    request: HttpRequest, caller: Annotated[Caller, Depends(auth.secret)], key: IdempotencyKey = None, depth: Depth = 0
) -> Write:
    return await _write(request, caller, key, depth)


async def _by_reader(
    request: HttpRequest, caller: Annotated[Caller, Depends(auth.reader)], key: IdempotencyKey = None, depth: Depth = 0
) -> Write:
    return await _write(request, caller, key, depth)


BySecret = Annotated[Write, Depends(_by_secret)]  # a write with the secret key
ByReader = Annotated[Write, Depends(_by_reader)]  # … or of a customer
