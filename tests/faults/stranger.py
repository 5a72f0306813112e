"""A stranger, in a process of its own: `python -m tests.faults.stranger KIND URL SECONDS [ARGUMENTS]`.

endless-header   one header that never ends, over four connections
many-headers     requests of 100,000 headers each
large-header     a header of 20 MB each
half-sent        600 connections that send half a request, and no more
slow-bodies      200 connections that send a body byte by byte
costly-queries   ten queries at once of a hundred `contains` each over a relation, by one customer's token
forged-toss      3,001 posts to Toss's unsigned door, of payments that nobody made

It prints one JSON document: what it was answered, and how often.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter
from time import monotonic
from urllib.parse import urlencode, urlsplit

import httpx

HEADERS, LARGE_BYTES, HALF, SLOW, QUERIES, CONDITIONS, POSTS = 100_000, 20_000_000, 600, 200, 10, 100, 3_001
CHUNK = b"a" * 65_536
answers: Counter[str] = Counter()
sent = 0


async def _opened(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    try:
        return await asyncio.wait_for(asyncio.open_connection(host, port), 5)
    except (OSError, TimeoutError):
        answers["refused"] += 1
        return None


async def _raw(host: str, port: int, until: float, parts) -> None:
    """Send `parts` on a connection, one after another, until the server hangs up or time is over."""
    global sent
    while monotonic() < until:
        opened = await _opened(host, port)
        if opened is None:
            await asyncio.sleep(0.2)
            continue
        reader, writer = opened
        try:
            for part in parts(until):
                if isinstance(part, float):
                    await asyncio.sleep(part)
                    if reader.at_eof():
                        break
                    continue
                writer.write(part)
                sent += len(part)
                await asyncio.wait_for(writer.drain(), max(0.1, until - monotonic()))
                if reader.at_eof() or monotonic() > until:
                    break
            with contextlib.suppress(TimeoutError):
                line = await asyncio.wait_for(reader.readline(), max(0.1, min(5, until - monotonic())))
                answers[line.decode(errors="replace").strip()[:40] or "hung up"] += 1
        except (OSError, TimeoutError) as error:
            answers[type(error).__name__] += 1
        finally:
            writer.close()
        await asyncio.sleep(0.01)


def _endless(until: float):
    yield b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Endless: "
    while monotonic() < until:
        yield CHUNK


def _many(until: float):
    yield b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
    for start in range(0, HEADERS, 1000):
        yield b"".join(b"X-%d: y\r\n" % n for n in range(start, start + 1000))
    yield b"\r\n"


def _large(until: float):
    yield b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Large: "
    for _ in range(LARGE_BYTES // len(CHUNK)):
        yield CHUNK
    yield b"\r\n\r\n"


def _half(until: float):
    yield b"POST /api/orders HTTP/1.1\r\nHost: x\r\nContent-Le"
    while monotonic() < until:
        yield 0.5


def _slow(until: float):
    yield b"POST /webhooks/payments/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    while monotonic() < until:
        yield b"{"
        yield 1.0


KINDS = {
    "endless-header": (_endless, 4),
    "many-headers": (_many, 4),
    "large-header": (_large, 2),
    "half-sent": (_half, HALF),
    "slow-bodies": (_slow, SLOW),
}


async def _queries(url: str, until: float, key: str, token: str) -> None:
    """Each condition asks of an item's order, and of another text."""
    where = {f"where[or][{n}][order.customerSnapshot.name][contains]": f"x{n}" for n in range(CONDITIONS)}
    path = f"/api/order-items?{urlencode(where)}"
    headers = {"Authorization": f"Bearer {key}", "X-Customer-Token": token}

    async def ask(client: httpx.AsyncClient) -> None:
        while monotonic() < until:
            try:
                response = await client.get(path, headers=headers)
                answers[str(response.status_code)] += 1
                if response.status_code >= 400:
                    answers[response.text[:80]] += 1
                    await asyncio.sleep(0.05)
            except httpx.TransportError as error:
                answers[type(error).__name__] += 1

    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        await asyncio.gather(*(ask(client) for _ in range(QUERIES)))


async def _forged(url: str, until: float, tag: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        left = iter(range(POSTS))

        async def post() -> None:
            for n in left:
                about = {"paymentKey": f"{tag}{n}", "orderId": f"{tag}o{n}", "status": "DONE", "totalAmount": 1000}
                about["balanceAmount"] = 1000
                document = {
                    "eventType": "PAYMENT_STATUS_CHANGED",
                    "createdAt": "2026-11-20T10:00:00.12345",
                    "data": about,
                }
                try:
                    answers[str((await client.post("/webhooks/payments/toss", json=document)).status_code)] += 1
                except httpx.TransportError as error:
                    answers[type(error).__name__] += 1

        await asyncio.gather(*(post() for _ in range(16)))


async def main() -> None:
    """Do as told until the time is over."""
    kind, url, seconds, *given = sys.argv[1:]
    until = monotonic() + float(seconds)
    where = urlsplit(url)
    if kind == "costly-queries":
        await _queries(url, until, *given)
    elif kind == "forged-toss":
        await _forged(url, until, *given)
    else:
        parts, count = KINDS[kind]
        await asyncio.gather(*(_raw(where.hostname or "", where.port or 80, until, parts) for _ in range(count)))
    print(json.dumps({"answers": answers, "sent": sent}))


if __name__ == "__main__":
    asyncio.run(main())
