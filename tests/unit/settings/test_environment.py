"""Settings: read once, checked, and never guessed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from domain.legal_clock import BusinessDays
from providers.carriers import easypost
from providers.payments import portone, stripe, toss
from settings.countries import legal_clock
from settings.environment import SettingsError, known, read
from settings.example import env_example

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
        ("ORDERS_ALLOWED_ORIGINS", "https://a.example:x", "port 'x'"),
        ("ORDERS_ALLOWED_ORIGINS", "https://a.example:99999", "port '99999'"),
        ("ORDERS_GRACE", "99999999999999d", "'99999999999999d', which is too long; 36500d is the longest"),
        ("ORDERS_REFUND_WITHIN", "soon", "or 3bd, which are business days"),
        ("ORDERS_REFUND_WITHIN", "251bd", "250bd are the most"),
        ("ORDERS_REFUND_WITHIN", "-1bd", "no duration"),
        ("ORDERS_COUNTRY", "Korea", "'Korea', whose holidays are not known"),
        ("ORDERS_COUNTRY", "XX", "whose holidays are not known"),
        ("ORDERS_ACCOUNT_KEYS", "short", "key 1 is none; `openssl rand"),
        ("ORDERS_ACCOUNT_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=,é", "key 2 is none"),
        ("ORDERS_GRACE", "9" * 400 + "d", "no duration"),
        ("ORDERS_GRACE", "１h", "'１h', which is no duration"),
        ("ORDERS_SWEEP", "0s", "too short; 0.01s is the shortest"),
        ("ORDERS_SHARDS", "²", "'²', and must be a number from 1 to 1024"),
        ("ORDERS_SHARDS", "６４", "'６４', and must be"),
        ("ORDERS_SHARDS", "6_4", "'6_4', and must be"),
        ("ORDERS_RATE_LIMIT", "６０", "'６０', and must be"),
        ("ORDERS_CURRENCY", "K\x1b[2J", "cannot be printed"),
        ("ORDERS_DATA", "a\nb", "cannot be printed"),
        ("ORDERS_DATA", "a\udcffb", "cannot be printed"),
        ("ORDERS_DATA", " ", "blank"),
        ("DATABASE_URL", "postgresql://db:port/x", "port 'port' that is no number"),
        ("DATABASE_URL", "postgresql://a,b:70000/x", "port '70000' that is no number"),
        ("DATABASE_URL", "postgresql://[::1/x", "IPv6"),
        ("DATABASE_URL", "postgresql://[::1]:x/x", "port 'x'"),
        ("DATABASE_URL", "postgresql://db/a b", "%20"),
        ("REDIS_URL", "redis://r:port", "port 'port' that is no number"),
        ("REDIS_URL", "redis://r:٦٣٧٩", "port '٦٣٧٩' that is no number"),
        ("REDIS_URL", "redis://r/first", "number of a database"),
        ("REDIS_URL", "redis://r/0?socket_timeout=soon", "cannot be read"),
        ("ORDERS_CARRIERS", "ups=http://a,UPS=http://b", "names 'ups' twice"),
        ("ORDERS_CARRIERS", "ups=ftp://a", "the URL of 'ups' must start with https://"),
        ("ORDERS_REFUND_URL", "stripe=http://a:b", "port 'b'"),
        ("ORDERS_PORTONE_API_URL", "https://", "names no host"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_it_may_be(name, value, says):
    with pytest.raises(SettingsError) as caught:
        read({name: value}, NOWHERE)
    assert says in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "clock"),
    [
        ({}, legal_clock(BusinessDays(3), "KR")),
        ({"ORDERS_REFUND_WITHIN": "10bd", "ORDERS_COUNTRY": "de"}, legal_clock(BusinessDays(10), "DE")),
        ({"ORDERS_REFUND_WITHIN": "14d"}, legal_clock(timedelta(days=14), "KR")),
        ({"ORDERS_REFUND_WITHIN": "off"}, None),
    ],
)
def test_the_legal_clock_counts_business_days_or_plain_time(texts, clock):
    assert read(texts, NOWHERE).legal_clock == clock


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


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"ORDERS_SHARDS=8\nhush hush hush\n", ".env:2 is no NAME=VALUE"),
        ("# caf\u00e9\nORDERS_TOKEN_SECRET=hush\u00e9\n".encode("latin-1"), ".env:1 is not in UTF-8"),
        (b"ORDERS_TOKEN_SECRET=hush\x00" + b"x" * 32, "ORDERS_TOKEN_SECRET holds"),
        ("ORDERS_TOKEN_SECRET=hush\u2028".encode() + b"x" * 32, "ORDERS_TOKEN_SECRET holds"),
    ],
)
def test_a_line_of_a_dotenv_file_that_cannot_be_is_told_by_its_number_alone(tmp_path, content, says):
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read({}, tmp_path / ".env")
    assert says in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_dotenv_file_that_may_not_be_read_is_told_and_a_folder_is_none(tmp_path, monkeypatch):
    (tmp_path / ".env").mkdir()
    assert read({}, tmp_path / ".env").shards == 64

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied; mend"):
        read({}, tmp_path / ".env")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfORDERS_SHARDS=8\r\nORDERS_CURRENCY=BRL\r\n")
    settings = read({}, tmp_path / ".env")
    assert (settings.shards, settings.policy.currency) == (8, "BRL")


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


@pytest.mark.parametrize(
    "told",
    [
        {"DATABASE_URL": "postgresql://me:hush@db/orders", "REDIS_URL": "redis://:hush@r/0"},
        {"DATABASE_URL": "postgresql://db/orders?user=me&password=hush", "REDIS_URL": "redis://r/0?password=hush"},
        {"DATABASE_URL": "postgresql://me:a,hush@db/orders", "REDIS_URL": "redis://:a%2Fhush@r/0"},
        {"DATABASE_URL": "postgresql://me:x@db,db2/orders?sslpassword=hush"},
        {"ORDERS_REFUND_URL": "stripe=http://me:hush@a,bank=https://b/?key=hush"},
        {"ORDERS_CARRIERS": "ups=http://hush@a", "ORDERS_PORTONE_API_URL": "https://a:hush@b"},
    ],
)
def test_no_password_is_ever_printed(told):
    settings = read(told, NOWHERE)
    assert "hush" not in " ".join(settings.values.values()) + repr(settings)
    assert "***" in " ".join(settings.values.values())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush/hush@db/orders", "postgresql://me:hush@db:hush/x", "postgresql://me:hush #@db/x",
        "mysql://me:hush@db/x", "postgresql://me:hush@[db/x",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_read_is_not_repeated(url):
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        read({"DATABASE_URL": url}, NOWHERE)
    assert "hush" not in str(caught.value)


def test_several_hosts_are_taken_as_libpq_takes_them():
    settings = read({"DATABASE_URL": "postgresql://me:pw@one,two:6432,[::1]:7432/orders?sslmode=require"}, NOWHERE)
    assert settings.database_url == (
        "postgresql://me:pw@/orders?host=one:5432&host=two:6432&host=[::1]:7432&sslmode=require"
    )


@pytest.mark.parametrize(("told", "url"), [("valkey://r:1/2", "redis://r:1/2"), ("valkeys://r", "rediss://r")])
def test_valkey_is_another_name_for_redis(told, url):
    assert read({"REDIS_URL": told}, NOWHERE).redis_url == url


def test_webhook_secrets_are_several_while_they_rotate_and_none_without_a_setting():
    values = read({"ORDERS_STRIPE_SECRETS": "whsec_old, whsec_new,"}, NOWHERE).providers
    assert values[stripe.SECRETS] == ("whsec_old", "whsec_new")
    assert values[easypost.SECRETS] == ()
    assert values.get(toss.API_KEY) is None
    with pytest.raises(SettingsError, match="ORDERS_TOSS_API_KEY is not set"):
        values[toss.API_KEY]
    assert (values[portone.API_URL], values[toss.API_URL]) == (
        "https://api.portone.io",
        "https://api.tosspayments.com",
    )


KEY = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"  # 24 bytes


@pytest.mark.parametrize(
    ("name", "secret", "says"),
    [
        ("ORDERS_PORTONE_SECRETS", "whsec_", "secret 1 is not"),
        ("ORDERS_PORTONE_SECRETS", "whsec_abcde", "secret 1 is not"),
        ("ORDERS_PORTONE_SECRETS", f"{KEY},whsec_a", "secret 2 is not"),
        ("ORDERS_STANDARD_SECRETS", "whsec_YQ==", "24 bytes or more: secret 1 is one of 1"),
        ("ORDERS_STANDARD_SECRETS", f"{KEY[:-4]}", "24 bytes or more: secret 1 is one of 21"),
        ("ORDERS_STRIPE_SECRETS", "x", "8 characters or more: secret 1 has 1"),
        ("ORDERS_EASYPOST_SECRETS", "long enough,é", "8 characters or more: secret 2 has 1"),
        ("ORDERS_TOKEN_SECRET", "x" * 31, "has 31 characters and needs 32 or more"),
    ],
)
def test_a_key_that_is_none_or_too_short_stops_the_start_and_is_not_repeated(name, secret, says):
    with pytest.raises(SettingsError, match=name) as caught:
        read({name: secret}, NOWHERE)
    assert says in str(caught.value)
    for part in filter(None, secret.partition("_")[2].split(",")):
        assert part not in str(caught.value)


def test_no_webhook_secret_and_no_api_key_is_ever_printed():
    names = [setting.name for setting in known() if setting.name.endswith(("_SECRETS", "_API_KEY"))]
    assert len(names) == 12
    settings = read(dict.fromkeys(names, KEY), NOWHERE)
    assert KEY[6:] not in " ".join(settings.values.values()) + repr(settings)


def test_the_example_file_is_what_the_settings_say():
    example = Path(__file__).parents[3] / ".env.example"
    assert example.read_text() == env_example(), ".env.example is stale; run `make docs`"


def test_the_example_file_is_itself_one_that_can_be_read(tmp_path):
    lines = env_example().splitlines()
    told = [line.removeprefix("#") for line in lines if line.startswith(("#ORDERS_", "#DATABASE_URL", "#REDIS_URL"))]
    (tmp_path / ".env").write_text("\n".join(told))
    settings = read({}, tmp_path / ".env")
    assert len(told) == len(known())
    assert settings.policy == read({}, NOWHERE).policy


def test_what_the_clients_examples_read_may_stand_in_the_same_shell():
    read(
        {"ORDERS_URL": "http://localhost:8000", "ORDERS_SECRET_KEY": "sk01_x", "ORDERS_PUBLISHABLE_KEY": "pk01_x"},
        NOWHERE,
    )
