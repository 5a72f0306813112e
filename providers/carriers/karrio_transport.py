"""The HTTP by which karrio asks: ours, in place of karrio's.

karrio, when it is imported, switches off the verification of certificates for every HTTPS connection that is made by
Python's `urllib` in this process, and waits for an answer without end. Here the former is put back, and karrio's one
function that opens a connection is replaced by one that verifies, waits TIMEOUT_S and reads MAX_ANSWER bytes at most.
An answer that says "later" (429, 5xx), and none at all, ends the question at once: when a parcel is asked for again is the
tracker's affair (outbound/tracking), so nothing is retried here.
"""

from __future__ import annotations

import importlib
import io
import logging
import ssl
import threading
from email.message import Message
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from providers import http_client
from providers.base import NoAnswer, RateLimited

if TYPE_CHECKING:
    from urllib.request import Request

    import httpx

_lock = threading.Lock()


def import_karrio(module: str) -> Any:
    """A module of karrio's, with what it does to the process undone, and its connections replaced. Takes up to seconds."""
    with _lock:
        verified = ssl._create_default_https_context
        try:
            importlib.import_module("loguru").logger.disable("karrio")  # it writes addresses and answers to stderr
            logging.getLogger("jstruct").setLevel(logging.ERROR)  # it writes each field of an answer that karrio lacks
            helpers = importlib.import_module("karrio.core.utils.helpers")
            found = importlib.import_module(module)
        finally:
            ssl._create_default_https_context = verified
        helpers.urlopen = open_url  # type: ignore[attr-defined]
        return found


class Answer:
    """An answer as karrio expects it of `urlopen`, read already."""

    def __init__(self, response: httpx.Response) -> None:
        self.status, self.url = response.status_code, str(response.url)
        self.headers = _headers(response)
        self._body = response.content

    def read(self) -> bytes:
        """All of its body."""
        return self._body

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing: the connection was given back when the body was read."""


def open_url(request: Request, timeout: float | None = None) -> Answer:
    """The answer to a request. Raises NoAnswer where there is none; urllib's HTTPError for what a carrier refuses."""
    import httpx

    try:
        response = _client(http_client.TIMEOUT_S).request(
            request.get_method(),
            request.full_url,
            content=request.data,  # type: ignore[arg-type]
            headers=dict(request.header_items()),
        )
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise NoAnswer(f"no answer ({type(error).__name__})") from error
    if len(response.content) > http_client.MAX_ANSWER:
        raise NoAnswer(f"an answer of {len(response.content)} bytes")
    status = response.status_code
    if status == 429 or status >= 500 or 300 <= status < 400:
        kind = RateLimited if status == 429 else NoAnswer
        raise kind(f"answered {status} {response.reason_phrase}".rstrip(), http_client.retry_after(response))
    if status >= 400:
        body = io.BytesIO(response.content)
        raise HTTPError(request.full_url, status, response.reason_phrase, _headers(response), body)
    return Answer(response)


@cache
def _client(timeout: float) -> httpx.Client:
    return http_client.connection("", timeout)


def _headers(response: httpx.Response) -> Message:
    told = Message()
    for name, value in response.headers.multi_items():
        told[name] = value
    return told
