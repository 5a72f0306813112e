"""`orders schema`: the documents on stdout or in a file, without a server."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(("kind", "version"), [("openapi", "3.1"), ("asyncapi", "3.0")])
def test_a_document_stands_on_stdout_or_in_a_file(orders, tmp_path, monkeypatch, kind, version):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    printed = orders("schema", kind, "--data", str(tmp_path / "no-servers-here"))
    assert (printed.code, printed.err) == (0, "")
    assert printed.json[kind].startswith(version)
    assert orders("schema", kind, "--json").out == printed.out
    path = tmp_path / "a b.json"
    assert orders("schema", kind, "--output", str(path)).out == f"wrote {path}\n"
    assert path.read_text() == printed.out
    assert orders("schema", kind, "--output", str(path), "--json").json == {"kind": kind, "written": str(path)}
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_or_made_is_told(orders, tmp_path):
    nowhere = orders("schema", "openapi", "--output", str(tmp_path / "absent" / "a.json"))
    assert nowhere.code == 2
    assert "absent" in nowhere.err
    assert "choose another file" in nowhere.err
    assert orders("schema", "raml").code == 2


def test_a_served_application_answers_the_same(orders, shop, on_servers):
    from api.app import create_app
    from api.resources import open_doors
    from settings.environment import read

    doors = open_doors(read())
    try:
        assert create_app(doors).openapi() == json.loads(orders("schema", "openapi").out)
    finally:
        doors.close()
