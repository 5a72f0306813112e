"""The first hour's file of events, as a reader pastes it into a shell, and what becomes of it."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "first-hour.md"


def test_the_file_of_the_first_hour_makes_an_order_that_is_preparing(shop, orders, tmp_path):
    [pasted] = re.findall(
        r"^    cat > events\.ndjson <<'END'\n.*?^    END$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    subprocess.run(["bash", "-ec", textwrap.dedent(pasted)], cwd=tmp_path, check=True)
    assert orders("ingest", str(tmp_path / "events.ndjson")).code == 0
    shop.work()
    assert orders("show", "261101000002", "--json").json["status"] == "preparing"
