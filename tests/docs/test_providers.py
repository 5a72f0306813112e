"""docs/reference/providers.md is what the providers say of themselves."""

from __future__ import annotations

from pathlib import Path

from providers import documentation
from providers.registry import OURS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"


def test_the_page_is_what_the_providers_say():
    assert PAGE.read_text() == documentation.page(), "docs/reference/providers.md is stale; run `make docs`"


def test_every_setting_of_a_provider_has_a_value_that_it_takes_for_an_example():
    for provider in OURS:
        for setting in provider.settings:
            assert setting.read(setting.example or setting.default or ""), setting.name
