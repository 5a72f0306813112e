"""Sends calls, each as often as it takes."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Mapping
from typing import TypeVar

import httpx

from order_lifecycle_client.errors import ApiError
from order_lifecycle_client.retry_policy import CONNECT_S, NO_ANSWER, Call, wait_before

T = TypeVar("T")


class AsyncConnection:
    """A pool of connections to one API, with one caller's headers."""

    def __init__(self, base_url: str, headers: Mapping[str, str], timeout: float, retries: int) -> None:
        self._retries = retries
        limits = httpx.Timeout(timeout, connect=min(CONNECT_S, timeout))
        self._http = httpx.AsyncClient(base_url=base_url, headers=dict(headers), timeout=limits)

    async def send(self, call: Call[T]) -> T:
        """The result of `call`. Errors: ApiError, the last try's."""
        request = call.request()
        retry = 0
        while True:
            try:
                return call.result(await self._http.request(**request))
            except NO_ANSWER as error:
                failed: ApiError = call.unanswered(error)
                failed.__cause__ = error
            except ApiError as error:
                failed = error
            wait = wait_before(retry, failed) if retry < self._retries else None
            if wait is None:
                raise failed
            await sleep(wait)
            retry += 1

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()
