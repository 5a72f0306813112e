"""The README's order by curl, typed as it stands there, against the API on a port with a worker beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.client.api_server import serving

README = Path(__file__).parents[2] / "README.md"


def blocks() -> list[str]:
    """The commands that a reader types, block by block."""
    section = README.read_text().partition("## One order, by curl")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_an_order_goes_from_a_key_to_preparing(database_url, redis_url):
    export, *calls = blocks()
    assert len(calls) == 3
    with serving(database_url, redis_url) as shop:
        export = export.replace("sk01_…", shop.secret_key).replace("http://127.0.0.1:8000", shop.url)
        assert shop.url in export
        answers = []
        for call in calls:
            typed = ["bash", "-ec", f"{export}\n{call}"]
            done = subprocess.run(
                typed, env={**os.environ, "NO_PROXY": "*"}, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            answers.append(json.loads(done.stdout))
            shop.settle()
    created, paid, now = answers
    assert (created["doc"]["status"], paid["doc"]["status"], now["status"]) == ("pending", "paid", "preparing")
