"""The package as it is handed out: names, twins, what it needs."""

from __future__ import annotations

import importlib.util
import inspect
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType

import pytest

import order_lifecycle_client as package

CLIENT = Path(__file__).parents[2] / "client"


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_sync", CLIENT / "write_sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_blocking_client_is_written_from_the_other():
    for path, text in writer().modules().items():
        assert path.read_text() == text, f"{path.name} is stale; run `python client/write_sync.py`"


def test_what_is_exported_is_there_and_nothing_else_is():
    public = {name for name, value in vars(package).items() if not (name.startswith("_") or inspect.ismodule(value))}
    assert public == set(package.__all__)


def test_it_needs_httpx_and_pydantic_alone():
    assert sorted(requires("order-lifecycle-client") or []) == ["httpx<1,>=0.28", "pydantic<3,>=2.10"]


@pytest.mark.parametrize("make", [package.create_server_client, package.create_async_server_client])
def test_a_key_of_the_other_kind_is_refused_and_not_shown(make):
    with pytest.raises(ValueError, match="secret_key begins with sk01_") as refused:
        make(secret_key="pk01_abc")
    assert "abc" not in str(refused.value)
    with pytest.raises(ValueError, match="publishable_key begins with pk01_"):
        make(secret_key="sk01_abc", publishable_key="sk01_abc")


def test_a_customer_without_a_token_is_told_where_to_get_one():
    with pytest.raises(ValueError, match="customer_token"):
        package.create_client(publishable_key="pk01_abc", customer_token="")
