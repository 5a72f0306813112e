"""Every example runs, and the guide shows what they are and what they print."""

from __future__ import annotations

from tests.client import guide


def test_the_guide_is_what_the_examples_are_and_print(shop):
    assert guide.PAGE.read_text() == guide.page(guide.play(shop)), "the guide is stale; run `make docs`"


def test_parcels_are_shown_before_they_ship_too(shop):
    told = guide.Told(shop)
    steps = {step.file: step for steps in guide.SECTIONS.values() for step in steps}
    for file in ("create_order.py", "pay_order.py", "fulfillments.py"):
        told.run(steps[file])
    assert "shipped not yet, delivered not yet" in told.printed["fulfillments.py"]


def test_every_example_stands_in_the_guide():
    shown = {step.file for steps in guide.SECTIONS.values() for step in steps}
    assert shown == {path.name for path in guide.EXAMPLES.glob("*.py")}


def test_every_example_stands_in_the_readme_of_the_examples():
    told = (guide.EXAMPLES / "README.md").read_text()
    assert [path.name for path in guide.EXAMPLES.glob("*.py") if f"`{path.name}`" not in told] == []
