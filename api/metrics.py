"""The figures of the API's processes and of the shop, for Prometheus; with the secret key.

Where the address of `ORDERS_METRICS` can be reached by Prometheus alone, the same is answered there without a key.
"""
# No `from __future__ import annotations`: FastAPI reads the annotations.

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from api.auth import Caller, secret
from telemetry import exposure

router = APIRouter(tags=["Operations"])


@router.get(
    "/metrics",
    response_model=None,
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="Figures for Prometheus",
)
def read_metrics(request: Request, caller: Annotated[Caller, Depends(secret)]) -> Response:
    """The counts of this API, over all of its processes, and what stands in PostgreSQL and Redis, in Prometheus' text format.

    In Prometheus: `authorization: {credentials_file: …}` with a secret key.
    """
    return Response(exposure.text(request.app.state.gauges), media_type=exposure.TYPE)
