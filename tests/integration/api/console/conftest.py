"""A console on real servers that tests of a module share: a shop with some orders, and somebody logged in.

console   the shop, and a browser of a kind: `console.get("/orders")`, `console.post(…)` as whoever is logged in
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from operations import operators
from storage.clock import clock
from tests.builders import told
from tests.integration.api.commands.conftest import Shop

PASSWORD = "correct horse battery"


class Console:
    """The pages of one shop, as one operator's browser sees them."""

    def __init__(self, shop: Shop, role: str = "admin", name: str = "ada") -> None:
        self.shop, self.name = shop, name
        self.client = shop.client
        self.client.cookies.clear()
        self.client.follow_redirects = False
        with shop.doors.engine.begin() as conn:
            operators.add(conn, name, role, "test", clock())
            self.link = operators.link(conn, name, "test", clock())
        answer = self.client.post("/console/enter", data={"token": self.link})
        assert answer.status_code == 303, answer.text
        self.cookie = self.client.cookies["orders_console"]

    def get(self, path: str, **headers: str) -> Response:
        """A page, as this operator."""
        self._be()
        return self.client.get(f"/console{path}", headers=headers)

    def page(self, path: str, **headers: str) -> str:
        """The text of a page that there is."""
        answer = self.get(path, **headers)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:2000]}"
        assert "&lt;time" not in answer.text, f"{path} shows a tag of ours as text"
        return answer.text

    def post(self, path: str, data: dict[str, Any] | None = None, token: str | None = None, **headers: str) -> Response:
        """A form of this operator's, with its token unless another is given."""
        self._be()
        form = {"form_token": self.token() if token is None else token, **(data or {})}
        return self.client.post(f"/console{path}", data=form, headers=headers)

    def token(self) -> str:
        """The token that a page has in its forms."""
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.page("/account"))
        assert found is not None
        return found[1]

    def fields(self, text: str, action: str) -> dict[str, str]:
        """The hidden fields of the form on a page that posts to `action`."""
        form = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', text, re.DOTALL)
        assert form is not None, f"no form to {action}"
        pairs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form[0])
        return {html.unescape(name): html.unescape(value) for name, value in pairs}

    def _be(self) -> None:
        self.client.cookies.clear()
        self.client.cookies.set("orders_console", self.cookie, path="/console")


@pytest.fixture(scope="module")
def module_shop(module_database_url: str, module_redis_url: str) -> Iterator[Shop]:
    """A shop with a paid order, one that was delivered, one canceled, a parked and a dead event."""
    shop = Shop(module_database_url, module_redis_url)
    shop.paid()
    shop.delivered()
    gone = shop.paid()
    shop.ok("PATCH", f"/api/orders/{gone['id']}", {"status": "canceled"})
    shop.work()
    shop.tell(told("PaymentSucceeded", subject=None, paymentId="nobody-knows", amount="5"))
    shop.tell(told("PaymentSucceeded", subject="X1", paymentId="pay-x", amount="no money"))
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def console(module_shop: Shop) -> Console:
    """The console of an admin of that shop."""
    return Console(module_shop)


@pytest.fixture(scope="module")
def viewer(module_shop: Shop, console: Console) -> Console:
    """The console of a viewer of the same shop."""
    return Console(module_shop, "viewer", "vera")
