"""Settings: read once, checked, and never guessed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from settings.environment import KNOWN, SettingsError, read

NOWHERE = Path("/nonexistent/.env")


def test_the_defaults_are_those_of_the_contract():
    settings = read({}, NOWHERE)
    assert settings.policy.currency == "KRW"
    assert settings.shards == 64
    assert settings.policy.unpaid_after == timedelta(hours=24)
    assert settings.policy.confirm_after == timedelta(days=7)
    assert settings.policy.return_window == timedelta(days=30)
    assert settings.policy.parked_for == timedelta(hours=72)
    assert settings.policy.grace == timedelta(hours=1)
    assert settings.database_url is None
    assert str(settings.data) == ".orders"


def test_an_unknown_name_stops_the_start_with_the_nearest_spelling():
    with pytest.raises(SettingsError, match="did you mean ORDERS_UNPAID_AFTER"):
        read({"ORDERS_UNPAYED_AFTER": "24h"}, NOWHERE)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ORDERS_UNPAID_AFTER", "soon", "no duration"),
        ("ORDERS_UNPAID_AFTER", "-1h", "no duration"),
        ("ORDERS_RETURNS", "maybe", "auto or staff"),
        ("ORDERS_SHARDS", "0", "1 to 1024"),
        ("ORDERS_SHARDS", "many", "1 to 1024"),
        ("ORDERS_CURRENCY", "won", "ISO 4217"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("REDIS_URL", "localhost", "redis://"),
        ("ORDERS_CARRIERS", "ups", "NAME=URL"),
        ("ORDERS_TRACKING_PACE", "off", "cannot be off"),
        ("ORDERS_TOKEN_SECRET", "short", "32 or more"),
        ("ORDERS_RATE_LIMIT", "0", "1 to 10000000"),
        ("ORDERS_RATE_LIMIT", "many", "or off"),
        ("ORDERS_ALLOWED_ORIGINS", "https://a.example,b.example", "no origin"),
        ("ORDERS_ALLOWED_ORIGINS", "*", "no origin"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_it_may_be(name, value, says):
    with pytest.raises(SettingsError, match=says) as caught:
        read({name: value}, NOWHERE)
    assert name in str(caught.value)


def test_off_switches_a_period_off():
    assert read({"ORDERS_CONFIRM_AFTER": "off"}, NOWHERE).policy.confirm_after is None


def test_the_environment_wins_over_a_dotenv_file(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("# ours\nexport ORDERS_CURRENCY='BRL'\nORDERS_SHARDS=8\nPATH=/not/ours\n")
    settings = read({"ORDERS_SHARDS": "16"}, dotenv)
    assert (settings.policy.currency, settings.shards) == ("BRL", 16)
    assert settings.sources["ORDERS_CURRENCY"] == ".env"
    assert settings.sources["ORDERS_SHARDS"] == "environment"
    assert settings.sources["ORDERS_RETURNS"] == "default"


def test_a_line_of_a_dotenv_file_that_is_none_is_named(tmp_path):
    (tmp_path / ".env").write_text("ORDERS_SHARDS\n")
    with pytest.raises(SettingsError, match=r"\.env:1"):
        read({}, tmp_path / ".env")


def test_the_api_has_a_limit_unless_it_is_off_and_no_origin_unless_named():
    settings = read({}, NOWHERE)
    assert (settings.rate_limit, settings.allowed_origins, settings.token_secret) == (6000, (), None)
    told = {"ORDERS_RATE_LIMIT": "OFF", "ORDERS_ALLOWED_ORIGINS": "https://a.example, http://localhost:3000"}
    settings = read(told, NOWHERE)
    assert (settings.rate_limit, settings.allowed_origins) == (None, ("https://a.example", "http://localhost:3000"))


def test_a_secret_is_never_printed():
    settings = read({"ORDERS_TOKEN_SECRET": "hush://" + "x" * 32}, NOWHERE)
    assert settings.values["ORDERS_TOKEN_SECRET"] == "***"
    assert "hush" not in repr(settings)


def test_no_password_is_ever_printed():
    settings = read({"DATABASE_URL": "postgresql://me:hush@db/orders", "REDIS_URL": "redis://:hush@r/0"}, NOWHERE)
    assert "hush" not in " ".join(settings.values.values())


def test_webhook_secrets_are_several_while_they_rotate_and_none_without_a_setting():
    settings = read({"ORDERS_STRIPE_SECRETS": "whsec_old, whsec_new,"}, NOWHERE)
    assert settings.webhook_secrets["stripe"] == ("whsec_old", "whsec_new")
    assert settings.webhook_secrets["easypost"] == ()
    assert settings.toss_api_key is None
    assert (settings.portone_api_url, settings.toss_api_url) == (
        "https://api.portone.io",
        "https://api.tosspayments.com",
    )


@pytest.mark.parametrize("secret", ["whsec_", "whsec_abcde", "whsec_good00==,whsec_a"])
def test_a_secret_that_is_no_key_stops_the_start_and_is_not_repeated(secret):
    with pytest.raises(SettingsError, match=r"ORDERS_PORTONE_SECRETS: secret [12]") as caught:
        read({"ORDERS_PORTONE_SECRETS": secret}, NOWHERE)
    assert secret.partition("_")[2] == "" or secret not in str(caught.value)


def test_no_webhook_secret_and_no_api_key_is_ever_printed():
    names = [setting.name for setting in KNOWN if setting.name.endswith(("_SECRETS", "_API_KEY"))]
    assert len(names) == 7
    settings = read(dict.fromkeys(names, "whsec_aHVzaGh1c2g="), NOWHERE)
    assert "aHVzaGh1c2g" not in " ".join(settings.values.values()) + repr(settings)


def test_the_example_file_names_only_settings_that_exist():
    example = Path(__file__).parents[3] / ".env.example"
    names = {line.lstrip("# ").split("=")[0] for line in example.read_text().splitlines() if "=" in line}
    known = {setting.name for setting in KNOWN}
    assert {n for n in names if n.startswith("ORDERS_")} == {n for n in known if n.startswith("ORDERS_")}


def test_what_the_clients_examples_read_may_stand_in_the_same_shell():
    read(
        {"ORDERS_URL": "http://localhost:8000", "ORDERS_SECRET_KEY": "sk01_x", "ORDERS_PUBLISHABLE_KEY": "pk01_x"},
        NOWHERE,
    )
