"""A field that is added to the table is everywhere at once: one line more, and no other file is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

ROOT = Path(__file__).parents[4]


def test_a_line_more_in_the_table_is_a_field_of_everything(database_url, redis_url):
    script = [sys.executable, "-m", "tests.integration.outbound.webhooks.one_line_more", database_url, redis_url]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = orjson.loads(done.stdout)
    assert found["posted"]["dispute"] == "open"
    assert [doc["dispute"] for doc in found["answered"]] == ["open"]
    assert found["posted"] == found["answered"][0]
    assert orjson.loads(found["claimed"]).keys() == found["posted"].keys()
    assert found["other"] == []
    assert found["folded"]["dispute"] == "open"
    assert found["openapi"]["dispute"] == {"type": ["string", "null"]}
    assert "dispute" in found["required"]
    assert found["where"]["dispute"] == {"$ref": "#/components/schemas/TextCondition"}
    assert found["asyncapi"]["properties"]["dispute"] == {"type": ["string", "null"]}
    assert "dispute" in found["asyncapi"]["required"]
