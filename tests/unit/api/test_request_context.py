"""The frame: ids, the log's lines, headers, and a 500 that tells nothing."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest
import structlog
from fastapi import FastAPI
from starlette.responses import HTMLResponse, StreamingResponse
from structlog.testing import capture_logs

from api import errors
from api.body_middleware import WholeBody
from api.request_context import Frame
from api.responses import Json
from tests.unit.api.asgi import ask

APP = FastAPI()
errors.install(APP)
APP.add_middleware(WholeBody)
APP.add_middleware(Frame)


@APP.get("/fine/{name}")
def fine(name: str) -> Json:
    structlog.get_logger().info("inside")
    return Json({"name": name})


@APP.get("/page")
def page() -> HTMLResponse:
    return HTMLResponse("<p>")


@APP.post("/broken")
def broken() -> Json:
    raise RuntimeError("the password is hush")


@APP.get("/breaks-off")
def breaks_off() -> StreamingResponse:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the rest is lost")

    return StreamingResponse(half())


def test_every_answer_carries_an_id_of_its_own():
    first, second = ask(APP, path="/fine/x"), ask(APP, path="/nowhere")
    assert re.fullmatch("[0-9a-f]{24}", first.headers["x-request-id"])
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_sane_id_of_the_caller_is_kept_and_stands_in_every_line_of_the_log():
    processors = [structlog.contextvars.merge_contextvars]
    with capture_logs(processors=processors) as lines:
        answer = ask(APP, path="/fine/x", headers={"X-Request-Id": "shop-1:a.b_c"})
    assert answer.headers["x-request-id"] == "shop-1:a.b_c"
    assert [(line["event"], line["request_id"]) for line in lines] == [
        ("inside", "shop-1:a.b_c"),
        ("request", "shop-1:a.b_c"),
    ]
    assert structlog.contextvars.get_contextvars() == {}


@pytest.mark.parametrize("told", ["", "a b", "x" * 129, 'a"b', "a\nb", "é"])
def test_an_id_that_could_do_harm_is_replaced(told):
    assert re.fullmatch("[0-9a-f]{24}", ask(APP, headers={"X-Request-Id": told}).headers["x-request-id"])


def test_the_log_names_the_route_and_nothing_of_what_was_asked():
    with capture_logs() as lines:
        ask(APP, path="/fine/kim@example.com", query=b"phone=01012345678", headers={"Authorization": "Bearer sk01_x"})
    line = lines[-1]
    assert {name: line[name] for name in ("event", "method", "route", "status")} == {
        "event": "request", "method": "GET", "route": "/fine/{name}", "status": 200,
    }  # fmt: skip
    assert not re.search("kim|0101234|sk01|10[.]9[.]8[.]7", str(lines))


def test_a_fault_of_ours_says_no_more_than_the_id_and_is_logged_with_its_traceback():
    with capture_logs() as lines:
        answer = ask(APP, "POST", "/broken", headers={"X-Request-Id": "r1"})
    assert answer.status == 500
    assert json.loads(answer.body) == {
        "errors": [{"message": "Something went wrong here; ask for request r1", "name": "InternalError"}]
    }
    assert answer.headers["x-content-type-options"] == "nosniff"
    failed, request = lines
    assert (failed["event"], failed["log_level"], failed["exc_info"]) == ("failed", "error", True)
    assert (request["status"], request["route"]) == (500, "/broken")


def test_an_answer_that_breaks_off_is_broken_off_by_the_server():
    with pytest.raises(RuntimeError, match="the rest is lost"):
        ask(APP, path="/breaks-off")


def test_a_caller_who_hung_up_is_no_fault_of_ours():
    with capture_logs() as lines:
        answer = ask(APP, "POST", "/broken", chunks=[b"a", b"b"], hang_up=True)
    assert answer.messages == []
    assert [(line["event"], line["status"]) for line in lines] == [("request", 499)]


def test_head_answers_as_get_without_the_body():
    got, head = ask(APP, path="/fine/x"), ask(APP, "HEAD", "/fine/x")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PATCH", "/page", 405)])
def test_what_nobody_serves_is_told_in_the_one_shape(method, path, status):
    answer = ask(APP, method, path)
    assert answer.status == status
    assert set(json.loads(answer.body)) == {"errors"}


def test_an_answer_is_kept_by_nobody_and_runs_nothing_unless_it_is_the_documentation():
    answer = ask(APP, path="/fine/x").headers
    assert (answer["cache-control"], answer["x-frame-options"]) == ("no-store", "DENY")
    assert answer["content-security-policy"].startswith("default-src 'none'")
    assert "script-src 'self'" in ask(APP, path="/page").headers["content-security-policy"]
