"""Operators come in by a password or a one-time link, and nobody else does anything."""

from __future__ import annotations

from datetime import timedelta
from time import sleep

import pytest
from sqlalchemy.exc import OperationalError

from api.console.outage import Remembered
from operations import operators
from operations.operators import IDLE, LASTS, LoginRefused, LoginTooSoon
from storage.clock import clock
from tests.integration.api.console.conftest import Console

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def engine(module_shop):
    return module_shop.doors.engine


@pytest.fixture(autouse=True)
def remembers_nobody(module_shop):
    """Each test has a process that has seen nobody yet."""
    module_shop.app.state.remembered = Remembered()


@pytest.fixture
def someone(engine, request):
    """An operator who has a password; the name is the test's."""
    name = request.node.name[5:60].replace("[", "-").replace("]", "")
    with engine.begin() as conn:
        operators.add(conn, name, "operator", "test", clock())
        token = operators.enter(conn, operators.link(conn, name, "test", clock()), clock())
        session = operators.session(conn, token, clock())
        assert session is not None
        operators.set_password(conn, session, token, "", PASSWORD)
    return name


def session_of(engine, token, now=None):
    with engine.begin() as conn:
        return operators.session(conn, token, now or clock())


def test_a_link_lets_in_once(engine, someone):
    with engine.begin() as conn:
        link = operators.link(conn, someone, "test", clock())
        assert operators.enter(conn, link, clock())
    with engine.begin() as conn, pytest.raises(LoginRefused):
        operators.enter(conn, link, clock())


def test_a_link_runs_out_and_an_older_one_is_void(engine, someone):
    with engine.begin() as conn:
        older = operators.link(conn, someone, "test", clock())
        newer = operators.link(conn, someone, "test", clock())
    for token, now in ((older, clock()), (newer, clock() + operators.LINK_FOR)):
        with engine.begin() as conn, pytest.raises(LoginRefused):
            operators.enter(conn, token, now)


def test_a_password_lets_in_and_a_wrong_one_does_not(engine, someone):
    token = operators.log_in(engine, someone.upper(), PASSWORD, "1", clock())
    assert session_of(engine, token).name == someone
    for name, password in (
        (someone, "another one or so"),
        (someone, ""),
        ("nobody-at-all", PASSWORD),
        ("no name!", "x"),
    ):
        with pytest.raises(LoginRefused) as refused:
            operators.log_in(engine, name, password, "1-wrong", clock())
        assert str(refused.value) == "Name or password is wrong."


def test_a_session_ends_after_its_time_and_after_idleness(engine, someone):
    token = operators.log_in(engine, someone, PASSWORD, "2", clock())
    now = clock()
    assert session_of(engine, token, now + IDLE - timedelta(minutes=1)) is not None  # and is seen then
    assert session_of(engine, token, now + 2 * IDLE - timedelta(minutes=2)) is not None
    assert session_of(engine, token, now + 4 * IDLE) is None
    assert session_of(engine, token, now + LASTS) is None


def test_who_is_disabled_is_out_at_once(engine, someone):
    token = operators.log_in(engine, someone, PASSWORD, "3", clock())
    with engine.begin() as conn:
        operators.disable(conn, someone, "test", clock())
    assert session_of(engine, token) is None
    with pytest.raises(LoginRefused):
        operators.log_in(engine, someone, PASSWORD, "3", clock())


def test_failures_in_a_row_make_the_next_try_wait_by_name_and_by_address(engine, someone):
    now = clock()
    for _ in range(operators.FREE + 1):
        with pytest.raises(LoginRefused):
            operators.log_in(engine, someone, "wrong wrong wrong", "4", now)
    with pytest.raises(LoginTooSoon):
        operators.log_in(engine, someone, PASSWORD, "another address", now)
    with pytest.raises(LoginTooSoon):
        operators.log_in(engine, "another-name", PASSWORD, "4", now)
    with engine.begin() as conn:
        assert operators.enter(conn, operators.link(conn, someone, "test", now), now), "a link is not slowed down"
    later = now + operators.FIRST_WAIT
    with pytest.raises(LoginRefused):
        operators.log_in(engine, someone, "wrong wrong wrong", "4", later)
    with pytest.raises(LoginTooSoon) as refused:
        operators.log_in(engine, someone, PASSWORD, "4", later + operators.FIRST_WAIT)
    assert refused.value.wait_s >= 1, "each wait is twice as long as the last"
    token = operators.log_in(engine, someone, PASSWORD, "4", later + operators.LONGEST_WAIT)
    assert session_of(engine, token) is not None
    with pytest.raises(LoginRefused, match="wrong"):  # a success has forgotten the failures
        operators.log_in(engine, someone, "wrong wrong wrong", "4", later + operators.LONGEST_WAIT)


def test_a_new_password_ends_the_other_sessions(engine, someone):
    old, kept = (operators.log_in(engine, someone, PASSWORD, "5", clock()) for _ in range(2))
    with engine.begin() as conn:
        session = operators.session(conn, kept, clock())
        assert session is not None
        with pytest.raises(LoginRefused):
            operators.set_password(conn, session, kept, "not the present", "another password")
        operators.set_password(conn, session, kept, PASSWORD, "another password")
    assert session_of(engine, old) is None
    assert session_of(engine, kept) is not None


def test_nothing_that_lets_in_is_kept_as_it_is(engine, someone, module_shop):
    token = operators.log_in(engine, someone, PASSWORD, "6", clock())
    with engine.begin() as conn:
        link = operators.link(conn, someone, "test", clock())
    rows = [
        str(row)
        for table in ("operators", "operator_sessions", "login_failures", "audit")
        for row in module_shop.do(f"select t::text from {table} t")
    ]
    assert rows
    assert not any(secret in row for row in rows for secret in (token, link, PASSWORD))


# -- over HTTP -----------------------------------------------------------------------------------------------


def test_the_cookie_is_for_this_site_and_no_script(console, module_shop):
    with module_shop.doors.engine.begin() as conn:
        link = operators.link(conn, console.name, "test", clock())
    answer = module_shop.client.post("/console/enter", data={"token": link}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/console" in cookie
    assert "secure" not in cookie, "this page came by http"


def test_a_link_is_not_used_up_by_looking_at_it(console, module_shop):
    with module_shop.doors.engine.begin() as conn:
        link = operators.link(conn, console.name, "test", clock())
    assert module_shop.client.get(f"/console/enter?token={link}").status_code == 200
    with module_shop.doors.engine.begin() as conn:
        assert operators.enter(conn, link, clock())


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("0" * 64, {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_a_form_from_elsewhere_is_refused(console, module_shop, token, headers):
    order = module_shop.paid()
    answer = console.post(f"/orders/{order['id']}/acts/hold", token=token, **headers)
    assert answer.status_code == 403
    assert module_shop.order(order)["flags"] == []


def test_a_viewer_changes_nothing_and_sees_no_personal_data(viewer, module_shop):
    order = module_shop.paid()
    text = viewer.page(f"/orders/{order['id']}")
    assert "J•••" in text
    assert "John" not in text
    assert "/acts/" not in text
    for path in (f"/orders/{order['id']}/personal", f"/orders/{order['id']}/acts/hold", "/findings/x/resolve"):
        answer = viewer.post(path)
        assert answer.status_code == 403, path
        assert "is a viewer" in answer.text


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/console/\\evil", "javascript:alert(1)", "/consolex"]
)
def test_after_the_login_one_stays_on_this_site(module_shop, engine, console, address):
    page = module_shop.client.get("/console/login", params={"next": address}).text
    assert 'name="next" value="/console"' in page


def test_a_login_over_http_and_a_logout(console, module_shop, engine, someone):
    client = module_shop.client
    client.cookies.clear()
    wrong = client.post("/console/login", data={"name": someone, "password": "nope", "next": "/console/orders"})
    assert wrong.status_code == 401
    assert "Name or password is wrong." in wrong.text
    answer = client.post(
        "/console/login",
        data={"name": someone, "password": PASSWORD, "next": "/console/orders"},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/orders")
    token = client.cookies["orders_console"]
    assert session_of(engine, token) is not None
    console.cookie, kept = token, console.cookie
    assert console.post("/logout").headers["location"] == "/console/login"
    console.cookie = kept
    assert session_of(engine, token) is None


def away(*_):
    raise OperationalError("select", {}, Exception("connection to server at 10.1.2.3 failed"))


def silent(*_):
    sleep(2)


@pytest.mark.parametrize("fault", [away, silent])
def test_the_health_of_the_system_is_shown_without_postgresql_to_whom_this_process_knows_and_to_nobody_else(
    module_shop, console, monkeypatch, fault
):
    unknown = Console(module_shop, "viewer", f"uma-{fault.__name__}")
    module_shop.app.state.remembered = Remembered()
    gone = Console(module_shop, "viewer", f"olga-{fault.__name__}")
    assert gone.post("/logout").status_code == 303
    console.page("/orders")
    monkeypatch.setattr("api.console.outage.ANSWER_S", 0.1)
    monkeypatch.setattr("api.console.session.operators.session", fault)
    monkeypatch.setattr("operations.figures.Looks.now", fault)
    for path in ("", "/now"):
        assert "there are no figures" in console.page(path)
    assert 'id="checks-title"' in console.page("/now/checks")
    for path in ("", "/now/checks"):
        assert gone.get(path).headers["location"].startswith("/console/login")
        refused = unknown.get(path)
        assert refused.status_code == 503
        assert "10.1.2.3" not in refused.text
        assert "orders doctor" in refused.text
    monkeypatch.setattr("api.console.outage.REMEMBERED_S", -1.0)
    assert console.get("").status_code == 503


def test_a_page_that_needs_postgresql_says_that_it_is_away_and_keeps_its_menu(console, monkeypatch):
    console.page("/orders")
    monkeypatch.setattr("api.console.session.operators.session", away)
    refused = console.get("/orders")
    assert refused.status_code == 503
    assert 'href="/console/given-up"' in refused.text


def test_who_logs_out_while_postgresql_is_away_is_out(module_shop, console, monkeypatch):
    leaving = Console(module_shop, "viewer", "vic")
    token = leaving.token()
    with monkeypatch.context() as patched:
        patched.setattr("api.console.login.operators.log_out", away)
        answer = leaving.post("/logout", token=token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
    assert 'orders_console=""' in answer.headers["set-cookie"]
    assert leaving.get("/orders").headers["location"].startswith("/console/login"), (
        "though PostgreSQL still has the session"
    )
