"""Documents of a simulated payment API, which whoever plays the shop's customers puts there, in memory.

    PUT PATH     put a payment's document there, without a key and without a mishap: it is not the provider's API
    GET PATH     the document, for whoever has the key

The mishaps of a question: an outage, an answer cut short, an answer in another shape, silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from providers.simulators.process import Dropped, Mishaps, silence

MISHAPS = {"unavailable": 5, "cut": 2, "shape": 1, "silent": 1}

Fault = Callable[[int, str, str], Response]


class Records:
    """One provider's payments, by name; `key` is what an Authorization header must be."""

    def __init__(self, key: str, mishaps: Mishaps, fault: Fault) -> None:
        self._key, self._mishaps, self._fault = key, mishaps, fault
        self.documents: dict[str, dict[str, Any]] = {}

    async def put(self, request: Request, name: str) -> Response:
        """Keep a document under `name`."""
        try:
            document = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            return self._fault(400, "INVALID_REQUEST", str(error))
        self.documents[name] = document
        return JSONResponse(document)

    async def answer(self, request: Request, document: dict[str, Any] | None) -> Response:
        """The provider's answer about a payment."""
        mishap = self._mishaps.next(request.url.path, MISHAPS)
        if mishap == "silent":
            await silence(request)
        if mishap in ("silent", "unavailable"):
            return self._fault(503, "UNAVAILABLE", "try again")
        if mishap == "cut":
            return Dropped()
        if mishap == "shape":
            return JSONResponse({"id": 1, "status": None})
        if request.headers.get("authorization") != self._key:
            return self._fault(401, "UNAUTHORIZED_KEY", "the key is missing or wrong")
        return JSONResponse(document) if document else self._fault(404, "NOT_FOUND_PAYMENT", "no such payment")
