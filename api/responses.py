"""JSON responses, and the encoding of their bodies."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from queries.json_encoder import encode


class Json(JSONResponse):
    """An answer of `encode(content)`. A JSONResponse, so that FastAPI documents the model of what it carries."""

    def render(self, content: Any) -> bytes:
        """The body as bytes of JSON."""
        return encode(content)
