"""Settings under hostile values: a Settings, or a SettingsError that names the setting and repeats no secret."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from settings.environment import Settings, SettingsError, known, read

NOWHERE = Path("/nonexistent/.env")
NAMES = [each.name for each in known()]
SECRET = [each.name for each in known() if each.secret]
URLS = [each.name for each in known() if each.url]
MARK = "hUshhUsh"

PIECES = st.sampled_from(
    [
        "postgresql://", "redis://", "valkey://", "unix://", "https://", "http://", "javascript:", "@", ":", "/", "//",
        "[", "]", "[::1]", ",", "=", "?", "#", "&", "%", "%zz", "%00", "password=", "a", "db", "host1,host2", "ups=",
        "stripe=", "localhost", "65536", "0", "1", "²", "６４", "٣", "1_0", "99999999999999d", "1e999", "-1", "+1", "24h",
        "ms", "off", "OFF", "auto", "staff", "on", "KRW", "krw", " ", "\t", "\n", "\r", "\x00", "\x1b[2J", "\u202e",
        "\ud800", "\udcff", "whsec_", "YQ==", "x" * 40, "\N{SNOWMAN}", "nan", "inf", "./..", "'", '"', "\\",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.text(max_size=40),
    st.from_regex(r"(postgres(ql)?|rediss?|https?)://.{0,30}", fullmatch=True),
    st.integers().map(str),
)
VALUES = st.one_of(TEXTS, st.tuples(TEXTS, TEXTS).map(lambda parts: f"{parts[0]}{MARK}{parts[1]}"))


def outcome(environment: dict[str, str], dotenv: Path = NOWHERE) -> Settings | SettingsError:
    try:
        return read(environment, dotenv)
    except SettingsError as error:
        return error


@settings(max_examples=200)
@given(name=st.sampled_from(NAMES), value=VALUES)
@example(name="ORDERS_GRACE", value="99999999999999d")
@example(name="DATABASE_URL", value="postgresql://a:b@[/x")
@example(name="REDIS_URL", value="redis://h/0?health_check_interval=x")
@example(name="DATABASE_URL", value="postgresql+psycopg://@:/%00")
def test_every_value_is_taken_or_refused_by_name(name: str, value: str):
    found = outcome({name: value})
    if isinstance(found, SettingsError):
        assert str(found).startswith(name)
        assert "\n" not in str(found)
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", str(found)), "nothing that a terminal obeys"
    else:
        assert found.values[name].isprintable()


@settings(max_examples=200)
@given(name=st.sampled_from(SECRET), before=TEXTS, after=TEXTS)
def test_a_secret_is_in_no_error_and_in_no_report(name: str, before: str, after: str):
    url = name in URLS
    value = f"{before}{':' if url else ''}{MARK}{after}{'@db/x' if url else ''}"
    found = outcome({name: value})
    told = str(found) if isinstance(found, SettingsError) else repr(found) + "".join(found.values.values())
    assert MARK not in told


@settings(max_examples=150)
@given(
    name=st.sampled_from(URLS),
    scheme=st.sampled_from(["postgresql", "redis", "valkey", "https", "http", "ups=https", "ftp", ""]),
    user=TEXTS,
    rest=TEXTS,
)
def test_a_password_in_a_url_is_in_no_error_and_in_no_report(name: str, scheme: str, user: str, rest: str):
    for value in (f"{scheme}://{user}:{MARK}@{rest}", f"{scheme}://db/x?password={MARK}&{rest}"):
        found = outcome({name: value})
        told = str(found) if isinstance(found, SettingsError) else repr(found) + "".join(found.values.values())
        assert MARK not in told, value


SECRET_LINES = st.tuples(st.sampled_from(["", *SECRET]), st.sampled_from(["", "=", " = ", ": ", " "]), TEXTS).map(
    lambda parts: f"{parts[0]}{parts[1]}{MARK}{parts[2]}".encode(errors="surrogatepass")
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=120), st.lists(SECRET_LINES, max_size=4).map(b"\n".join)))
def test_any_file_is_read_or_refused_by_its_line_or_its_name_and_not_repeated(tmp_path: Path, content: bytes):
    file = tmp_path / ".env"
    file.write_bytes(content)
    found = outcome({}, file)
    if isinstance(found, SettingsError):
        assert re.match(rf"{re.escape(str(file))}:\d+ |[A-Z_]+ |ORDERS_.* is no setting", str(found))
        names = re.sub(r"ORDERS_[\w.-]+ is no setting", "", str(found))  # a name is no secret, and is repeated
        assert MARK not in names
