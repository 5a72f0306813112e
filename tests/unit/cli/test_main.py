"""The command line itself: what it imports, and that its list says what the commands say."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from cli import main

OURS = {
    "events.envelope",
    "events.catalogue",
    "domain",
    "storage",
    "journal",
    "adapters",
    "embedded",
    "workers",
    "api",
    "bench",
}
HEAVY = {"sqlalchemy", "celery", "redis", "pydantic", "psycopg", "fastapi", "alembic", "httpx"}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=" ".join)
def test_what_needs_no_command_imports_none(arguments):
    code = (
        "import sys\nfrom cli.main import cli\n"
        f"try:\n    cli({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not (OURS | HEAVY) & set(done.stderr.split())
    assert done.stdout.strip()


def test_the_version_is_the_distributions(capsys):
    with pytest.raises(SystemExit) as end:
        main.cli(["--version"])
    assert not end.value.code
    assert capsys.readouterr().out == f"orders {version('order-lifecycle-workers')}\n"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_list_says_what_the_command_says_of_itself(name):
    said = " ".join((main.load(name).help or "").split("\n\n")[0].split())
    assert said == main.COMMANDS[name].says


def test_an_error_of_what_ctrl_c_broke_off_is_ctrl_c(monkeypatch, capsys):
    def broken_off(**_):
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("the transaction cannot be rolled back")

    monkeypatch.setattr(sys, "argv", ["orders", "list"])
    monkeypatch.setattr(main, "cli", broken_off)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 130
    assert "stopped by Ctrl-C" in capsys.readouterr().err
