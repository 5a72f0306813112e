"""The console in a real browser: the paths that a person goes, by clicks and keys; no page that a reader of screens trips over.

Debian's chromium by Playwright; without it the tests are skipped, and say so. With CONSOLE_PICTURES naming a folder the
pictures of docs/console are taken anew (`make console`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from operations import operators, replay_steps
from storage.clock import clock
from tests.api_server import served
from tests.builders import told
from tests.integration.api.commands.conftest import Shop
from tests.integration.cli.hands import Hands

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = os.environ.get("CONSOLE_PICTURES")
NARROW, WIDE = (375, 812), (1280, 860)
SERIOUS = ("serious", "critical")
PASSWORD = "correct horse battery"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; apt install chromium"),
    pytest.mark.timeout(300),
]


class Stage:
    """A shop with a life in it, the address of its console, and a browser."""

    def __init__(self, shop: Shop, url: str, browser: Any) -> None:
        self.shop, self.url, self.browser = shop, url, browser
        with shop.doors.engine.begin() as conn:
            operators.add(conn, "ada", "admin", "test", clock())

    def link(self) -> str:
        with self.shop.doors.engine.begin() as conn:
            return f"{self.url}/console/enter?token={operators.link(conn, 'ada', 'test', clock())}"

    def open(self, size: tuple[int, int] = WIDE, scheme: str = "light", locale: str = "en-US") -> Any:
        """A page of a browser of its own, logged in."""
        page = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale=locale
        ).new_page()
        page.set_default_timeout(20_000)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.goto(self.link())
        page.locator("main button").click()
        page.wait_for_url("**/console/account")
        return page


@pytest.fixture(scope="module")
def stage(module_database_url: str, module_redis_url: str) -> Iterator[Stage]:
    from playwright.sync_api import sync_playwright

    shop = Shop(module_database_url, module_redis_url)
    _live(shop)
    with served(shop.app) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Stage(shop, url, browser)
        browser.close()


def _live(shop: Shop) -> None:
    """An order with a long life, and ten letters of one cause."""
    order = shop.body({"product": "teapot", "quantity": 1, "unitPrice": 48_000}, {"product": "cups", "quantity": 4, "unitPrice": 9_000},
                      orderNumber="261130000042", paymentId="pay-261130000042")  # fmt: skip
    shop.ok("POST", "/api/orders", order)
    number = "261130000042"
    shop.ok(
        "POST", "/api/transactions/update", {"paymentId": f"pay-{number}", "status": "paid", "paymentMethod": "card"}
    )
    shop.work()
    parcel: dict[str, Any] = {"fulfillment": "box-1", "carrier": "CJ Logistics", "trackingNumber": "6302011223344"}
    back: dict[str, Any] = {"return": "ret-1", "reason": "damaged"}
    for event in (
        told("FulfillmentShipped", subject=number, **parcel),
        told("TrackingUpdated", subject=None, carrier="CJ Logistics", trackingNumber="6302011223344", status="in_transit",
             location="Daejeon Hub", description="Sorted"),
        told("TrackingUpdated", subject=None, carrier="CJ Logistics", trackingNumber="6302011223344", status="delivered",
             location="Seoul Mapo", description="Left at the door"),
        told("ReturnRequested", subject=number, **back),
    ):  # fmt: skip
        shop.tell(event)
    shop.ok("POST", "/api/orders", shop.body(orderNumber="261130009999", customer="c-leaving"))
    for each in range(10):
        name = f"26113000{each:04}"
        shop.ok("POST", "/api/orders", shop.body(orderNumber=name, paymentId=f"pay-{name}"))
        shop.tell(told("PaymentSucceeded", subject=name, paymentId=f"pay-{name}", amount="10000", currency="USD"))


def accessible(page: Any) -> None:
    """Nothing serious that axe finds, and nothing that scrolls sideways as a whole."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    found = Axe().run(page).response["violations"]
    serious = [
        f"{each['id']}: {each['help']} {each['nodes'][0]['html'][:200]}" for each in found if each["impact"] in SERIOUS
    ]
    assert serious == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        f"{page.url} is wider than its window"
    )


def one_row(page: Any) -> bool:
    """True where all entries of the menu, and who is logged in, stand beside each other."""
    tops = page.locator(".top nav li, .top .who").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().top)"
    )
    return len(tops) > 10 and max(tops) - min(tops) < 20


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=False)


def test_a_path_from_the_login_to_what_was_known_earlier(stage):
    page = stage.open()
    page.get_by_label("New password, 12 characters or more").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set it").click()
    page.get_by_text("The password is set").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console")
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_label("Order, payment, parcel, refund or customer").fill("6302011223344")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Order 261130000042").wait_for()
    assert page.get_by_text("CJ Logistics scanned 6302011223344: delivered in Seoul Mapo, Left at the door").count()
    assert page.locator(".node.lit text").first.text_content() == "return processing"
    page.get_by_label("What was known after step").focus()
    page.keyboard.press("Home")
    page.get_by_text(re.compile("as it was known after step 1 of")).wait_for()
    assert page.locator(".node.lit text").first.text_content() == "pending"
    assert not page.get_by_text("scanned 6302011223344").count()
    assert page.faults == []


def test_a_refund_is_previewed_and_given(stage):
    page = stage.open()
    page.goto(f"{stage.url}/console/orders?q=261130000042")
    page.get_by_text("Give money back", exact=True).click()
    page.locator("input[name=amount]:visible").fill("5000")
    page.locator("details[open]").get_by_role("button", name="Preview").click()
    page.get_by_text("Nothing was done yet").wait_for()
    assert page.get_by_text("5,000 KRW").count()
    assert stage.shop.one("select count(*) from journal where type = 'RefundRequested'") == 0
    accessible(page)
    page.get_by_role("button", name="Do it").click()
    page.get_by_text("Done: Give money back").wait_for()
    assert stage.shop.one("select data ->> 'by' from journal where type = 'RefundRequested'") == "console:ada"
    assert page.faults == []


def test_a_provider_is_paused_and_every_page_says_so_until_it_is_resumed(stage):
    page = stage.open()
    page.goto(f"{stage.url}/console/pauses")
    page.get_by_label("Kind").select_option("provider")
    page.get_by_label("Its name; none for all that goes outward").fill("toss")
    page.get_by_label("Why, for those who look later").fill("their status page is red")
    page.get_by_role("button", name="Pause it").click()
    for address in ("", "/orders", "/orders?q=261130000042", "/refunds", "/workers"):
        page.goto(f"{stage.url}/console{address}")
        assert (
            page.get_by_role("status").filter(has_text="provider toss (console:ada: their status page is red)").count()
        )
    accessible(page)
    page.goto(f"{stage.url}/console/pauses")
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("Nothing is paused.").wait_for()
    page.goto(f"{stage.url}/console/audit?actor=console:ada")
    assert page.get_by_text("their status page is red").count()


def test_letters_of_one_cause_are_tried_edited_all_at_once_and_replayed(stage):
    page = stage.open()
    page.goto(f"{stage.url}/console/given-up")
    page.get_by_role("link", name="10", exact=True).click()  # the cause's count
    page.get_by_role("button", name="Dry run, then replay").click()
    page.get_by_text("What would happen now").wait_for()
    assert page.get_by_text("events: dead: currency_mismatch").count(), "as they are, all would die again"
    assert page.get_by_role("button", name="Begin it all the same").count()
    accessible(page)
    page.get_by_role("link", name="Leave it").click()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_text("The first of them, place by place").wait_for()
    page.get_by_label("Place in the event, such as data.currency or subject").fill("currency")
    page.get_by_label("Its new value, JSON or text; empty takes it out").fill("KRW")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("alert").filter(has_text="'currency' is no place in an event").wait_for()
    accessible(page)
    assert page.get_by_label("Its new value, JSON or text; empty takes it out").input_value() == "KRW"
    page.get_by_label("Place in the event, such as data.currency or subject").fill("data.currency")
    page.get_by_role("button", name="Preview").click()
    page.get_by_text("What the edit makes of them").wait_for()
    assert stage.shop.one("select count(*) from corrections") == 0, "a preview edits nothing"
    accessible(page)
    page.get_by_label("Why, for those who look later").fill("the sender means won")
    page.get_by_role("button", name="Edit them").click()
    page.get_by_text("and not replayed yet: 10.").wait_for()
    accessible(page)
    assert stage.shop.one("select count(*) from corrections where by = 'console:ada'") == 10
    page.get_by_role("button", name="Dry run of what was edited, then replay").click()
    page.get_by_text("events: applied").wait_for()
    accessible(page)
    page.get_by_label("Why, for those who look later").fill("mended")
    page.get_by_role("button", name="Begin the replay").click()
    page.wait_for_url("**/console/given-up/replays/rpl_*")
    page.get_by_role("button", name="Stop it").wait_for()
    _advance(stage.shop)
    page.get_by_text("10 of 10 have come to an end").wait_for()
    page.get_by_role("button", name="Stop it").wait_for(state="detached")
    accessible(page)
    page.goto(f"{stage.url}/console/given-up")
    assert page.get_by_text("Nothing was given up here.").count()
    assert stage.shop.one("select count(*) from orders where status in ('paid', 'preparing')") == 10
    # A browser notes the answer 400 of the wrong place, whose page keeps the form.
    assert [each for each in page.faults if "400 (Bad Request)" not in each] == []


def test_a_customer_is_erased_after_a_preview(stage):
    page = stage.open()
    page.goto(f"{stage.url}/console/orders?q=c-leaving")
    page.get_by_role("button", name="See what erasing this customer would take").click()
    page.get_by_text("Nothing was erased yet").wait_for()
    accessible(page)
    page.get_by_label("Type the customer's id").fill("c-leaving")
    page.get_by_label("Why, for those who look later").fill("request 17")
    page.get_by_role("button", name="Erase for good").click()
    page.get_by_text("Erased: c-leaving").wait_for()
    accessible(page)
    page.goto(f"{stage.url}/console/orders?q=c-leaving")
    page.get_by_text("Nothing personal is kept, or it was erased.").wait_for()
    assert page.faults == []


def _advance(shop: Shop) -> None:
    """What the workers' chore does: take every replay to its end."""
    doors = shop.doors
    with doors.engine.connect() as conn:
        names = replay_steps.running(conn)
    for name in names:
        replay_steps.advance(doors.engine, doors.settings.policy, doors.shop, name, seconds=30)
    shop.work()


ADDRESSES = ("", "/now/checks", "/orders", "/orders?q=261130000042", "/flagged", "/parked", "/refunds", "/deliveries", "/trackers",
             "/findings", "/workers", "/given-up", "/given-up/replays", "/pauses", "/audit", "/privacy", "/account")  # fmt: skip


@pytest.mark.parametrize(("size", "scheme", "locale"), [(WIDE, "light", "en-US"), (NARROW, "dark", "ko-KR")])
def test_nothing_serious_stands_in_a_readers_way_on_any_page(stage, size, scheme, locale):
    page = stage.open(size, scheme, locale)
    for address in ADDRESSES if size == NARROW else ADDRESSES[:4]:  # the other tests look at the light ones, too
        page.goto(f"{stage.url}/console{address}")
        assert page.locator("html").get_attribute("lang") == locale[:2]
        assert size == NARROW or one_row(page), "the menu"
        accessible(page)
    assert page.faults == []


def test_the_login_page_is_accessible_too(stage):
    page = stage.browser.new_page()
    page.goto(f"{stage.url}/console")
    page.get_by_role("heading", name="Log in").wait_for()
    accessible(page)


@pytest.mark.skipif(not PICTURES, reason="pictures are taken by `make console`")
def test_pictures_for_the_documentation(stage):
    for name, size, scheme, locale in (
        ("order", WIDE, "light", "en-US"), ("order-375", NARROW, "light", "en-US"),
        ("order-dark", WIDE, "dark", "en-US"), ("order-korean", WIDE, "light", "ko-KR"),
    ):  # fmt: skip
        page = stage.open(size, scheme, locale)
        page.goto(f"{stage.url}/console/orders?q=261130000042")
        picture(page, name)
    with stage.shop.doors.engine.begin() as conn:
        conn.execute(text("insert into heartbeats (name, at) values ('timers', clock_timestamp())"))
    with Hands(stage.shop.doors.settings.redis_url or ""):
        page = stage.open()
        page.goto(f"{stage.url}/console")
        page.locator("#checks table").wait_for()
        page.wait_for_timeout(9_000)  # the charts need some looks
        picture(page, "now")
