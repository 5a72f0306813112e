"""What FastAPI cannot know of our operations: which keys each takes, and in what shape it refuses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

SCHEMES = {
    "SecretKey": {
        "type": "http", "scheme": "bearer", "description": "`sk01_…`: the whole Server API and every query."
    },
    "PublishableKey": {
        "type": "http", "scheme": "bearer", "description": "`pk01_…`: with a customer's token, what is theirs."
    },
    "CustomerToken": {
        "type": "apiKey", "in": "header", "name": "X-Customer-Token",
        "description": "From `POST /api/customers/{id}/token`.",
    },
}  # fmt: skip
# What each dependency of api/auth.py takes, by its name: any one of these sets.
ACCEPTED: dict[str, list[dict[str, list[str]]]] = {
    "secret": [{"SecretKey": []}],
    "reader": [{"SecretKey": []}, {"PublishableKey": [], "CustomerToken": []}],
    "anyone": [{"SecretKey": []}, {"PublishableKey": []}, {"PublishableKey": [], "CustomerToken": []}],
}
ERRORS: dict[str, Any] = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["message"],
                "properties": {
                    "message": {"type": "string", "description": "One sentence: what is wrong, and the remedy."},
                    "name": {"type": "string", "description": "Stable; for programs."},
                    "data": {"description": "ValidationError: {errors: [{path, message}]}."},
                },
            },
        }
    },
}
REFUSALS = {
    "400": "The request is wrong: `data.errors` names the fields",
    "401": "No valid key",
    "403": "This key may not do that",
    "429": "The key's requests of this minute are spent; `Retry-After` says how long to wait",
    "503": "PostgreSQL is away or busy; send the same request again after `Retry-After`",
}


def complete(app: FastAPI) -> None:
    """Have `app` answer /openapi.json with security and refusals filled in; made at the first request, then kept."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                openapi_version=app.openapi_version,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            _fill(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _fill(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    schemas = components.setdefault("schemas", {})
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    schemas["Errors"] = ERRORS
    for operation in (each for path in document["paths"].values() for each in path.values()):
        responses = operation["responses"]
        refused = []
        if "HTTPValidationError" in str(responses.get("422")):  # FastAPI's guess: here that is a 400
            del responses["422"]
            refused.append("400")
        if told := operation.get("security"):
            operation["security"] = ACCEPTED[next(iter(told[0]))]
            refused += ["401", "403", "429", "503"]
        for status in refused:
            responses.setdefault(status, {"description": REFUSALS[status]})
        for status, response in responses.items():
            if status >= "4":
                response.setdefault(
                    "content", {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}
                )
