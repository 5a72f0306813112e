"""The outside world, in a process of its own: `python -m tests.faults.outside_world HOST PORT`.

/good/v1/parcels/N       a carrier that answers: no scans yet
/silent/v1/parcels/N     a carrier that takes the question and never answers
/refunds/…               the payment provider of providers.simulators, without mishaps
/toss/v1/payments/…      Toss, slow and ignorant: 404 after half a second
/hook                    a receiver of webhooks; it takes 100 ms, as receivers do
/counts                  how often each was asked
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from providers.simulators import desk, start
from providers.simulators.process import fault, silence

TOSS_S = 0.5
HOOK_S = 0.1


def application() -> Starlette:
    """All of them, counted."""
    counts: Counter[str] = Counter()

    async def good(request: Request) -> Response:
        counts["good"] += 1
        return JSONResponse({"number": request.path_params["number"], "scans": []})

    async def silent(request: Request) -> Response:
        counts["silent"] += 1
        await silence(request)
        return fault(503, "unavailable", "nobody waited")

    async def toss(request: Request) -> Response:
        counts["toss"] += 1
        await asyncio.sleep(TOSS_S)
        return JSONResponse({"code": "NOT_FOUND_PAYMENT", "message": "no such payment"}, 404)

    async def hook(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(HOOK_S)
        counts["hook"] += 1
        return Response(status_code=204)

    async def tell(request: Request) -> Response:
        return JSONResponse(counts)

    return Starlette(
        routes=[
            Route("/good/v1/parcels/{number:path}", good),
            Route("/silent/v1/parcels/{number:path}", silent),
            Route("/toss/v1/payments/{key:path}", toss),
            Route("/hook", hook, methods=["POST"]),
            Route("/counts", tell),
            Mount("/refunds", desk.application(start.desk("standard"))),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(application(), host=sys.argv[1], port=int(sys.argv[2]), log_level="warning", access_log=False)
