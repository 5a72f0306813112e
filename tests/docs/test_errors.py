"""The tree of errors is whole, drawn as it is, and docs/reference/errors.md says what it says."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.errors import NAMES
from cli import error_reference
from events import errors

ROOT = Path(__file__).parents[2]
ROOMS = (
    "events", "domain", "storage", "queries", "journal", "outbound", "operations", "workers", "api", "cli",
    "demo", "bench",
)  # fmt: skip
TREE = list(error_reference.tree())
BUILT_IN = {name for name in dir(builtins) if isinstance(getattr(builtins, name), type)}
BUILT_IN = {name for name in BUILT_IN if issubclass(getattr(builtins, name), BaseException)}
# What one part of a room tells another, by raising it: nobody outside meets them, so they need no code.
SIGNALS = {
    "domain.fold.Poisoned": "the fold tells the drain which event it failed at",
    "journal.batch_fold.PoisonFound": "the batch is done again, without the event that it failed at",
    "journal.batch_values.Clash": "a rival was faster: the same again",
    "journal.order_loader.RowsHeld": "a batch leaves out orders that somebody else holds",
    "journal.correlation.Stale": "what was read is not so any more: the same again",
    "outbound.payment_reconciler.OrderUnknown": "a provider's answer, for the loop that asked",
    "outbound.refund_accounts.AccountNeeded": "an attempt waits for its account, for the loop that claims",
    "operations.order_acts._Previewed": "a preview is rolled back by it",
    "bench.baseline_app.TooEarly": "the app that is measured beside ours retries on it",
}


def raised() -> Iterator[str]:
    """Every class of ours that inherits from a built-in exception alone."""
    for file in (file for room in ROOMS for file in (ROOT / room).rglob("*.py")):
        for each in ast.walk(ast.parse(file.read_text())):
            bases = {ast.unparse(base) for base in each.bases} if isinstance(each, ast.ClassDef) else set()
            if bases and bases <= BUILT_IN:
                yield f"{'.'.join(file.relative_to(ROOT).with_suffix('').parts)}.{each.name}"  # type: ignore[attr-defined]


def test_the_page_is_what_the_tree_says():
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert page == error_reference.page(), "docs/reference/errors.md is stale; run `make docs`"


def test_every_error_of_ours_is_in_the_tree_or_a_signal():
    assert set(raised()) - set(SIGNALS) - {"events.errors.OrdersError"} == set()


def test_every_signal_is_still_there():
    assert set(SIGNALS) <= set(raised())


def test_the_drawing_is_the_tree():
    drawn = re.findall(r"^    ([│ ]*)(?:[├└]── )?(\w+)(?: +\(([a-z_.]+)\) +(\w+))?", errors.__doc__ or "", re.MULTILINE)
    as_drawn = [(name, module or "events.errors", code or "orders") for _, name, module, code in drawn]
    assert as_drawn == [(kind.__name__, kind.__module__, kind.code) for _, kind in TREE]
    for (indent, name, *_), (depth, kind) in zip(drawn, TREE, strict=True):
        assert len(indent) == 4 * max(0, depth - 1), f"{name} is drawn at another depth than {kind}"


@pytest.mark.parametrize("kind", [kind for _, kind in TREE], ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_a_meaning_and_a_remedy_of_its_own(kind):
    codes = [each.code for _, each in TREE]
    assert codes.count(kind.code) == 1
    assert re.fullmatch("[a-z_]+", kind.code)
    assert "." in (kind.__doc__ or "").partition("\n")[0]
    assert kind.remedy.endswith(".")


def test_every_name_over_http_is_listed():
    """Names are literals where an answer is made, or a reason of a dead event (`write_endpoint`)."""
    source = "".join(file.read_text() for file in (ROOT / "api").rglob("*.py"))
    given = set(re.findall(r'name(?:: str)?="(\w+)"', source.replace(" = ", "="))) - {"publisher"}
    reasons = set(re.findall(r'_CONFLICTS = frozenset\(\("(\w+)", "(\w+)"\)\)', source)[0])
    assert given | reasons == set(NAMES)
