"""House rules of the code's English: first lines of docstrings, and sizes of functions and modules.

The first line says what the thing *is*, in a sentence of four words or more that asks nothing ("The number of documents that
match.", not "How many match."). What has no public name, an overload, and a method that keeps the promise of its class's
base need no docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("events", "domain", "settings", "providers", "storage", "queries", "journal", "outbound", "operations"),
    *("workers", "api", "cli", "demo", "bench", "embedded", "telemetry", "client"),
)
QUESTIONS = frozenset("how what when where whether which who whom whose why".split())
WORDS = 4  # of a first line at least
SIZED = (*ROOMS, "tests")
FUNCTION_LINES = 70  # at most, without the signature: the options of a command are its declaration
MODULE_LINES = 450  # at most; a module of tests may be longer
# Not a duty there: a docstring is as good as elsewhere where it is.
UNDOCUMENTED = re.compile(r"^tests/|storage/migrations/versions/")
RELEASED = re.compile(r"storage/migrations/versions/")  # never edited; `upgrade` does what its module's docstring says

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def modules(*rooms: str) -> list[Path]:
    """Every module of these rooms, as a path from the root."""
    return sorted(path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py"))


def things(tree: ast.Module) -> Iterator[tuple[str, Documented, bool]]:
    """Name, node, and True if it needs a docstring: a module and its public classes, functions and methods."""
    yield "the module", tree, True
    inner: list[tuple[ast.Module | ast.ClassDef, bool]] = [(tree, False)]
    while inner:
        owner, inherits = inner.pop()
        for node in owner.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, node, True
                inner.append((node, bool(node.bases)))
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                overload = any("overload" in ast.unparse(each) for each in node.decorator_list)
                yield node.name, node, not (overload or inherits)


def faults(path: Path, tree: ast.Module) -> Iterator[str]:
    """The first lines that are none, short, or a question."""
    for name, node, needed in things(tree):
        told = ast.get_docstring(node)
        if told is None:
            if needed and not UNDOCUMENTED.search(path.as_posix()):
                yield f"{path}: {name} has no docstring"
            continue
        first = told.splitlines()[0]
        words = re.findall(r"[\w'’./`-]*\w[\w'’./`-]*", first)
        if len(words) < WORDS:
            yield f"{path}: {name}: {first!r} has fewer than {WORDS} words"
        elif words[0].lower() in QUESTIONS:
            yield f"{path}: {name}: {first!r} begins with a question word: say what it is"


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_first_lines_of_docstrings_say_what_a_thing_is(room):
    found = [each for path in modules(room) for each in faults(path, ast.parse((ROOT / path).read_text()))]
    assert found == []


def test_a_question_a_riddle_and_a_missing_docstring_are_found():
    source = '"""Which order an event is about."""\ndef a():\n    """Sent it."""\ndef b(): ...\ndef _c(): ...\n'
    assert [fault.split(":")[1].strip() for fault in faults(Path("m.py"), ast.parse(source))] == [
        "the module",
        "a",
        "b has no docstring",
    ]


@pytest.mark.parametrize("room", SIZED)
def test_functions_and_modules_stay_small(room):
    assert [each for path in modules(room) for each in too_large(path, (ROOT / path).read_text())] == []


def too_large(path: Path, text: str) -> Iterator[str]:
    """The functions and modules of this text that are longer than they may be."""
    if RELEASED.search(path.as_posix()):
        return
    if not path.name.startswith("test_") and (lines := len(text.splitlines())) > MODULE_LINES:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or 0) - node.body[0].lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{path}: {node.name} has {lines} lines"


def test_a_long_function_and_a_long_module_are_found():
    source = "def a():\n" + "    pass\n" * 71 + "\n" * 400
    assert list(too_large(Path("m.py"), source)) == ["m.py: 472 lines", "m.py: a has 71 lines"]


PACKAGES = sorted(
    {path.parent for path in modules(*ROOMS) if path.name == "__init__.py"} - {Path("storage/migrations")}
)


@pytest.mark.parametrize("package", [p for p in PACKAGES if len(list((ROOT / p).glob("[a-z]*.py"))) > 1], ids=str)
def test_a_packages_docstring_lists_its_modules_one_per_line(package):
    here = {p.stem for p in (ROOT / package).iterdir() if p.name[0] not in "_." and (p.suffix == ".py" or p.is_dir())}
    told = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    listed = re.findall(r"^ *([a-z_]+)(?:\.py)?  +\S", told, re.MULTILINE)
    assert sorted(listed) == sorted(here - {"__pycache__"})
