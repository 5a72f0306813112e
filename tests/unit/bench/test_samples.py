"""The profile's steps name functions that are there: one that was renamed would silently lose its time to its caller."""

from __future__ import annotations

import inspect
from importlib import import_module
from operator import attrgetter

import pytest

from bench.samples import STEPS


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_every_step_names_a_function(file, name):
    function = attrgetter(name)(import_module(file.removesuffix(".py").replace("/", ".")))
    code = inspect.unwrap(function).__code__
    assert code.co_filename.endswith(file)
    assert code.co_qualname == name
