"""Whatever is typed or read from a file, a command ends with 0, 1 or 2 and a sentence: no traceback, no lost neighbour.

Commands are found in the command line itself, so a new one is asked too. Those that run until they are stopped are cut
off where they would begin to. ORDERS_FUZZ=N asks each N times, otherwise every time.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.servers import BenchError
from cli import main
from cli.options import Problem
from cli.terminal import UNSEEN, visible
from events.envelope import Envelope
from tests.fold_helpers import NOW
from tests.hostile import VALUES
from tests.integration.cli.conftest import Orders

ANY = st.sampled_from((*VALUES, "\udcff", "x\udc80y"))  # bytes of an argument that are no UTF-8 come as such
FLAGS = ("--json", "--finish", "--dry-run", "--yes")  # the others wait, or run for long
LONG = int(os.environ.get("ORDERS_FUZZ", "0"))
EXAMPLES = {"doctor": 3, "demo": 4, "bench": 4, "top": 3}
FEW = settings(
    max_examples=LONG or 8,
    derandomize=not LONG,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(("dlq", "list"), the command) of every command that is no group."""
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
    for name, child in (children or {}).items():
        yield from leaves(child, (*path, name))


LEAVES = dict(leaf for name in main.COMMANDS for leaf in leaves(main.load(name), (name,)))


@pytest.fixture
def shop_of_old(
    module_database_url: str, module_redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Servers for all tests here, a folder that may be littered, and nothing that runs for ever."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DATABASE_URL", module_database_url)
    monkeypatch.setenv("REDIS_URL", module_redis_url)
    monkeypatch.setenv("ORDERS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("EDITOR", "/bin/false")
    monkeypatch.delenv("ORDERS_FUZZ", raising=False)  # else it is an unknown setting

    def cut(*_: Any, **__: Any) -> Any:
        raise Problem("cut off: here it would begin")

    def no_bench() -> Any:
        raise BenchError("cut off: here it would begin")

    for name in ("serve", "Processes", "app.Beat"):
        monkeypatch.setattr(f"cli.process_commands.{name}", cut)
    monkeypatch.setattr("api.main.serve", cut)
    monkeypatch.setattr("cli.demo.open_stage", cut)
    monkeypatch.setattr("cli.demo.CtrlC", lambda: None)
    monkeypatch.setattr("cli.demo.stop_at_sigterm", lambda: None)
    monkeypatch.setattr("cli.bench.stop_at_sigterm", lambda: None)
    monkeypatch.setattr("cli.process_commands.stop_at_sigterm", lambda: None)
    monkeypatch.setattr("bench.servers.opened", no_bench)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)


@contextmanager
def stdin(content: bytes) -> Iterator[None]:
    """Something to read where `-` is given."""
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(content))
    try:
        yield
    finally:
        sys.stdin = before


def told(draw: Callable[[Any], Any], command: Any) -> tuple[list[str], list[str]]:
    """Arguments for `command`, and the values among them."""
    arguments, values, behind = [], [], []
    for each in command.params:
        spelled = each.opts[0]
        if each.param_type_name == "argument":
            behind.append(draw(ANY))
        elif spelled == "--help":
            continue
        elif getattr(each, "is_flag", False):
            if spelled in FLAGS and draw(st.booleans()):
                arguments.append(spelled)
        elif each.required or draw(st.sampled_from((False, False, True))):
            values.append(draw(ANY))
            arguments.append(f"{spelled}={values[-1]}")
    return [*arguments, "--", *behind], [*values, *behind]


@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_ends_in_a_sentence_whatever_it_is_told(shop_of_old: None, orders: Orders, path: Any) -> None:
    command, environment = LEAVES[path], dict(os.environ)

    @settings(FEW, max_examples=LONG or EXAMPLES.get(path[0], FEW.max_examples))
    @given(data=st.data())
    def ask(data: Any) -> None:
        os.environ.update(environment)
        arguments, values = told(data.draw, command)
        with stdin(b'{"id": "1"}\n[red]\n'):
            answer = orders(*path, *arguments)
        assert answer.code in (0, 1, 2)
        assert "Traceback" not in answer.err
        assert not UNSEEN.search(answer.out + answer.err)
        if answer.code == 2:
            assert answer.err.startswith("orders: ")
            spelled = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
            # A reason that was not given has no option to be named by: it is named as what it is.
            named = [visible(value)[:20].strip() or "'" for value in values] + spelled + ["'' is no reason"]
            assert any(name in answer.err for name in named), answer.err

    ask()


# -- files ---------------------------------------------------------------------------------------------------

BAD = [
    b"", b"  ", b"{", b"[]", b"null", b"[/] [red]x[/red] [bold", b"\xff\xfe\xfd", b'{"id": "\xff"}', b"\x1b[2J\x07", b"NaN",
    b'{"id": "\\ud800"}', b'{"a":' * 3_000, b"[" * 3_000, b'{"id": 1e400}', b"{" + b" " * 5_000, b"\x00", b"\xef\xbb\xbf{}",
    json.dumps({"specversion": "[/]"}).encode(), json.dumps({"id": "[/x]", "source": "\x1b[1m"}).encode(),
]  # fmt: skip
GOOD = {"specversion": "1.0", "source": "rims", "type": "PaymentFailed", "time": "2026-11-01T09:00:00Z"}
FAULTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"id": ""}, {"id": "x\ny"}, {"id": "x" * 256}, {"source": "order-lifecycle"}, {"type": None}, {"time": "[/]"},
        {"time": "0001-01-01T00:00:00+14:00"}, {"time": "9999-12-31T23:59:59-14:00"}, {"time": 10**300}, {"data": []},
        {"dataschema": "[/]"}, {"dataschema": "/X/1\n"}, {"data": {"paymentId": "a\x00b"}}, {"subject": "\u2028"},
    ]
)  # fmt: skip


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


BODIES = st.sampled_from(
    [
        {},
        {"paymentId": "p"},
        {"paymentId": "[/]\x1b[2J"},
        {"paymentId": 7, "x": 1e308},
        nested(90),
        {"\ud7ff": "\uffff"},
    ]
)
LINES = st.lists(
    st.sampled_from(BAD).map(lambda raw: (raw, False))
    | FAULTS.map(lambda fault: (json.dumps({**GOOD, "id": "bad", **fault}).encode(), False))
    | st.integers(101, 300).map(lambda n: (json.dumps({**GOOD, "id": "deep", "data": nested(n)}).encode(), False))
    | BODIES.map(lambda body: (body, True)),
    max_size=25,
)


@settings(FEW, max_examples=LONG or 25)
@given(lines=LINES)
def test_every_good_line_of_a_file_with_bad_ones_is_taken(shop_of_old: None, orders: Orders, lines: Any) -> None:
    good = 0
    with open("events.ndjson", "wb") as file:  # noqa: PTH123
        for number, (line, fine) in enumerate(lines):
            raw = (
                json.dumps({**GOOD, "id": f"{number}", "subject": f"[/]{number}", "data": line}).encode()
                if fine
                else line
            )
            good += fine
            file.write(raw.replace(b"\n", b" ") + b"\n")
    bad = sum(not fine and bool(line.strip()) for line, fine in lines)
    answer = orders("ingest", "events.ndjson", "--json")
    assert (answer.json["accepted"], answer.json["bad"]) == (good, bad)
    assert answer.code == (1 if bad else 0)
    assert not UNSEEN.search(answer.out + answer.err)
    assert "Traceback" not in answer.err


def test_a_bad_line_that_looks_like_markup_is_printed_as_it_is(
    shop_of_old: None, orders: Orders, tmp_path: Any
) -> None:
    lines = [
        {**GOOD, "id": "one", "data": {}},
        {**GOOD, "id": "two", "time": "[/] [red]"},
        {**GOOD, "id": "three", "data": {}},
    ]
    file = tmp_path / "[bold]events[red].ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    answer = orders("ingest", str(file))
    assert answer.code == 1
    assert "[bold]events[red].ndjson:2: time: '[/] [red]' is no RFC 3339 time" in answer.err
    assert "accepted 2 deliveries" in answer.out


def test_what_was_read_before_a_folder_turns_out_broken_is_taken(
    shop_of_old: None, orders: Orders, monkeypatch: Any
) -> None:
    def breaks(*_: Any) -> Iterator[Envelope]:
        yield Envelope("first", "rims-broken", "PaymentFailed", NOW, None, {"paymentId": "p"})
        raise OSError(5, "Input/output error", "disk")

    monkeypatch.setattr("cli.ingest.command.ndjson.read_stream", breaks)
    answer = orders("ingest", "-", "--json")
    assert (answer.code, answer.err.lstrip()) == (
        1,
        "orders: disk: Input/output error; give another path, or mend that one\n",
    )
    monkeypatch.setattr("cli.ingest.command.ndjson.read_stream", lambda *_: iter(list(before(breaks()))))
    assert orders("ingest", "-", "--json").json["duplicates"] == 1


def before(events: Iterator[Envelope]) -> Iterator[Envelope]:
    """The text that comes before an error."""
    try:
        yield from events
    except OSError:
        return


# -- what is stored ------------------------------------------------------------------------------------------

NAMES = ["[/]", "[red]x[/red]", "x\\", "\\[/]", "[link=file:///x]y[/link]", ":skull:", "😀[bold"]


def test_names_that_look_like_markup_are_shown_as_they_are(shop: Any, orders: Orders) -> None:
    for number in NAMES:
        line = {"product": number, "quantity": 1, "unitPrice": "5"}
        body = {"items": [line], "totalAmount": "5", "customer": number, "paymentIds": [number]}
        shop.tell(Envelope(f"c{number}", f"s{number}", "OrderCreated", NOW, number, body))
        shop.tell(Envelope(f"d{number}", f"s{number}", "OrderCreated", NOW, number, {**body, "totalAmount": number}))
        shop.tell(
            Envelope(
                f"p{number}", f"s{number}", "PaymentSucceeded", NOW, None, {"paymentId": f"?{number}", "amount": "5"}
            )
        )
    for command in (["list", "--limit", "0"], ["dlq", "list"], ["parked", "list"]):
        answer = orders(*command)
        assert answer.code == 0, answer.err
        assert [number for number in NAMES if number not in answer.out] == [], command
    for number in NAMES:
        for command in (["show", number], ["dlq", "show", f"s{number}/d{number}"], ["verify", number]):
            answer = orders(*command)
            assert answer.code == 0, answer.err
            assert number in answer.out or command[0] == "verify", command


# -- Ctrl-C --------------------------------------------------------------------------------------------------


@pytest.fixture
def sigint_is_heard() -> Iterator[None]:
    """SIGINT as a terminal's child has it: a shell's background job ignores it, and so would its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_in_the_middle_is_answered_in_one_sentence(on_servers: None, sigint_is_heard: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "ingest", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("[/]\n")
        process.stdin.write(json.dumps({**GOOD, "id": "x"}) + "\n" * 70_000)  # more than what it reads ahead
        process.stdin.flush()
        assert "stdin:1" in process.stderr.readline()  # it reads
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.fullmatch(r"orders: stopped by Ctrl-C; [^\n]*\n", said.lstrip()), said


@pytest.mark.parametrize(
    "command",
    [
        "account", "dlq list", "dlq replay dl_0192", "keys list", "keys revoke key_0192", "list", "parked list", "show 1001",
        "verify", "webhooks deliveries", "webhooks list",
    ],
)  # fmt: skip
def test_who_looks_for_something_makes_no_database(
    orders: Orders, monkeypatch: Any, tmp_path: Any, command: str
) -> None:
    """An empty answer from a folder that never had one would be taken for the shop's."""
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "another"
    answer = orders(*command.split(), "--data", str(folder))
    assert answer.code == 1
    assert f"there is no database in {folder}; `orders up` makes one there" in " ".join(answer.err.split())
    assert not folder.exists()
