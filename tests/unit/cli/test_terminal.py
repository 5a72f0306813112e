"""Printed values are text: none from outside reaches the terminal as an order, or rich as markup."""

from __future__ import annotations

import ast
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.options import print_json, stream_json
from cli.terminal import MOST, UNSEEN, Terminal, bounded, safe, visible, visible_json
from tests.hostile import VALUES

ROOT = Path(__file__).parents[3]
ANY = st.text() | st.sampled_from(VALUES) | st.text("[]/\\ab:=\x1b\x9b\n", max_size=12)


def printed(text: str) -> str:
    """The text that a console without colors writes."""
    file = io.StringIO()
    Terminal(file=file, width=100_000).print(text, soft_wrap=True)
    return file.getvalue().removesuffix("\n")


@given(value=ANY)
def test_a_value_stands_there_as_it_is_but_for_what_a_terminal_obeys(value: str) -> None:
    said = printed(f"[bold]<{safe(value, 10_000)}>[/]").replace("\\", "")  # one may be added at the end
    assert said.split() == f"<{visible(value)}>".replace("\\", "").split()  # a tab becomes blanks


@given(value=ANY)
def test_no_sequence_reaches_a_terminal_even_where_safe_was_forgotten(value: str) -> None:
    file = io.StringIO()
    Terminal(file=file, width=100_000).print(value, markup=False)
    assert not UNSEEN.search(file.getvalue())


@given(value=ANY)
def test_json_means_what_it_meant(value: str) -> None:
    text = visible_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not UNSEEN.search(text)


def test_documents_on_stdout_hold_no_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "\x9b31m\u202e"})
    stream_json("docs", ["\x9b"], lambda count: {"total": count})
    assert not UNSEEN.search(said := capsys.readouterr().out)
    assert "\\u009b31m\\u202e" in said


def test_a_detail_is_bounded() -> None:
    assert len(bounded("x" * 5_000)) == MOST
    assert bounded("x" * MOST) == "x" * MOST
    assert len(safe("x" * 5_000)) == MOST


def test_nobody_but_safe_escapes_markup_or_opens_a_console() -> None:
    for file in (file for room in ("cli", "demo", "bench") for file in (ROOT / room).rglob("*.py")):
        if file.name != "terminal.py":
            source = file.read_text()
            assert "rich.markup" not in source, file
            assert not re.search(r"\bConsole\(", source), file


# Expressions in what is printed that need no `safe`: their kind, or what they come from, is ours.
OURS = re.compile(
    r"safe\(|_text\(|_money\(|time_of\(|in_utc\(|outcome\(|_progress\(|_shares\(|shown\(|some\(|_some\(|_state\(|"
    r"len\(|str\(len"
)
ROWS = ("add_row", "print")
FIELDS = "detail|error|last_error|order_number|orderNumber|payment_id|paymentId|subject|url|file|body|label"
RAW = re.compile(rf"\b({FIELDS})\b")


def test_names_and_answers_are_printed_through_safe() -> None:
    """Of those fields that others fill, none stands in what is printed outside of `safe` and its like."""
    for file in (ROOT / "cli").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in ROWS:
                for value in (each for argument in call.args for each in _bare(argument)):
                    assert not RAW.search(value), f"{file.name}:{call.lineno}: {value}"


def _bare(node: ast.expr) -> list[str]:
    """The parts of an expression that no function of ours makes harmless."""
    if isinstance(node, ast.JoinedStr):
        return [part for each in node.values if isinstance(each, ast.FormattedValue) for part in _bare(each.value)]
    if isinstance(node, ast.BinOp):
        return [*_bare(node.left), *_bare(node.right)]
    if isinstance(node, ast.IfExp):
        return [*_bare(node.body), *_bare(node.orelse)]
    text = ast.unparse(node)
    return [] if OURS.match(text) or isinstance(node, ast.Constant) else [text]
