"""The distribution's word of its packages is true of the folders."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INCLUDED = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
PACKAGES = [name for name in INCLUDED if not name.endswith(".*")]


def test_every_package_of_the_repository_is_named():
    client_and_tests = {"client", "tests"}
    assert set(PACKAGES) == {each.parent.name for each in ROOT.glob("*/__init__.py")} - client_and_tests


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_are_told_that_it_is_annotated(package: str):
    assert (ROOT / package / "py.typed").is_file()


def test_the_image_is_built_of_every_package():
    copied = [line.split()[1:] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    assert [[name, name] for name in PACKAGES] == [each for each in copied if each[0] in PACKAGES]
    assert all((ROOT / name).exists() for each in copied for name in each[:-1])
