"""A request's body: whole, within its limit; and a query that came as a body."""

from __future__ import annotations

import json

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from api.body_middleware import WholeBody
from tests.unit.api.asgi import ask

OVERRIDE = {"X-Payload-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}


async def told(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "query": dict(request.query_params),
            "bytes": len(body),
            "headers": sorted(request.headers.keys()),
        }
    )


INNER = Starlette(routes=[Route("/", told, methods=["GET", "POST", "PATCH"])])
APP = WholeBody(INNER, limit=10)


@pytest.mark.parametrize("chunks", [[b"0123456789"], [b"01234", b"", b"56789"], [b""]])
def test_a_body_within_the_limit_arrives_whole(chunks):
    answer = ask(APP, "POST", chunks=chunks)
    assert (answer.status, json.loads(answer.body)["bytes"]) == (200, sum(map(len, chunks)))


def test_a_declared_body_that_is_too_large_is_not_read():
    answer = ask(APP, "PATCH", headers={"Content-Length": "11"}, chunks=[b""])
    assert answer.status == 413
    assert json.loads(answer.body)["errors"][0]["name"] == "PayloadTooLarge"


@pytest.mark.parametrize("declared", [{}, {"Content-Length": "3"}, {"Content-Length": "many"}])
def test_a_body_that_turns_out_too_large_is_refused_whatever_it_declared(declared):
    assert ask(APP, "POST", headers=declared, chunks=[b"0123456", b"789a"]).status == 413


def test_a_caller_who_hangs_up_in_the_middle_never_reaches_the_application():
    with pytest.raises(ClientDisconnect):
        ask(APP, "POST", chunks=[b"012", b"345"], hang_up=True)


def test_a_post_that_means_a_get_becomes_one_with_the_body_as_its_query():
    body = b"where%5Bstatus%5D%5Bequals%5D=paid&limit=5"
    headers = {**OVERRIDE, "Content-Length": str(len(body)), "Authorization": "Bearer x"}
    answer = ask(WholeBody(INNER), "POST", query=b"depth=1", headers=headers, chunks=[body])
    assert json.loads(answer.body) == {
        "method": "GET",
        "query": {"depth": "1", "where[status][equals]": "paid", "limit": "5"},
        "bytes": 0,
        "headers": ["authorization"],
    }


def test_an_override_without_a_body_is_a_get_without_a_query():
    assert json.loads(ask(APP, "POST", headers=OVERRIDE).body)["query"] == {}


def test_an_override_with_another_kind_of_body_is_refused():
    answer = ask(APP, "POST", headers={**OVERRIDE, "Content-Type": "application/json"}, chunks=[b"{}"])
    assert answer.status == 400
    assert "application/x-www-form-urlencoded" in json.loads(answer.body)["errors"][0]["message"]


@pytest.mark.parametrize(("method", "override"), [("PATCH", "GET"), ("POST", "DELETE"), ("POST", "")])
def test_nothing_else_is_overridden(method, override):
    answer = ask(APP, method, headers={**OVERRIDE, "X-Payload-HTTP-Method-Override": override})
    assert json.loads(answer.body)["method"] == method
