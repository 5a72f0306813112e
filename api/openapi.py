"""The parts of OpenAPI that FastAPI cannot know: which keys each operation takes, and in what shape it refuses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.body_middleware import LIMIT
from api.bounded_protocol import HEAD_BYTES
from api.commands import response_schemas
from api.query import openapi_parameters, openapi_schemas

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
# What every operation may refuse with, by its status: the name among the components, and what it says.
REFUSALS = {
    "400": ("BadRequest", "The request is wrong: `data.errors` names the fields, and what each takes"),
    "401": ("Unauthorized", "No valid key"),
    "403": ("Forbidden", "This key may not do that"),
    "413": ("TooLarge", f"The body is larger than {LIMIT} bytes"),
    "431": (
        "HeadTooLarge",
        f"Address and headers are over {HEAD_BYTES} bytes; a long query goes as a form, by POST with "
        "`X-Payload-HTTP-Method-Override: GET`",
    ),
    "429": ("TooManyRequests", "The key's requests of this minute are spent; `Retry-After` says how long to wait"),
    "503": ("Unavailable", "PostgreSQL is away or busy; send the same request again after `Retry-After`"),
}
_SHAPE: dict[str, Any] = {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}


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
    document["paths"] = _in_order_of_tags(document)
    components = document.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    components["responses"] = {name: {"description": said, "content": _SHAPE} for name, said in REFUSALS.values()}
    schemas = components.setdefault("schemas", {})
    for theirs in ("HTTPValidationError", "ValidationError"):
        schemas.pop(theirs, None)
    schemas["Errors"] = ERRORS
    schemas |= openapi_schemas.documents() | openapi_parameters.conditions() | response_schemas.components()
    for operation in (each for path in document["paths"].values() for each in path.values()):
        responses = operation["responses"]
        if "HTTPValidationError" in str(responses.get("422")):  # FastAPI's guess: here that is a 400
            del responses["422"]
        for status, response in responses.items():
            if status >= "4":
                response.setdefault("content", _SHAPE)
        for status in _refused(operation):
            responses.setdefault(status, {"$ref": f"#/components/responses/{REFUSALS[status][0]}"})
        operation["responses"] = dict(sorted(responses.items()))


def _in_order_of_tags(document: dict[str, Any]) -> dict[str, Any]:
    """The paths with their operations by the order of their tags, since routes stand in the order in which they are matched."""
    place = {tag["name"]: at for at, tag in enumerate(document["tags"])}

    def first(item: tuple[str, Any]) -> int:
        return place[item[1]["tags"][0]]

    paths = {path: dict(sorted(operations.items(), key=first)) for path, operations in document["paths"].items()}
    return dict(sorted(paths.items(), key=lambda item: first(next(iter(item[1].items())))))


def _refused(operation: dict[str, Any]) -> list[str]:
    """The statuses that follow from what the operation takes; its security scheme becomes what that stands for."""
    found = []
    if "parameters" in operation or "requestBody" in operation:
        found += ["400", "431"]
    if "requestBody" in operation:
        found.append("413")
    if told := operation.get("security"):
        operation["security"] = ACCEPTED[next(iter(told[0]))]
        found += ["401", "403", "429"]
    if found:  # all but health, which asks for itself
        found.append("503")
    return found
