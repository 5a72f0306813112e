"""`orders doctor`: what is wrong, and how to mend it; also when a server is down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.builders import approved, canceled, created, line, paid, shipped, told

ROOT = Path(__file__).parents[3]


def beat(shop, ago: str = "0 s") -> None:
    """Workers that were here so long ago."""
    shop.do(
        "insert into heartbeats (name, at) values ('timers', clock_timestamp() - cast(:ago as interval)) "
        "on conflict (name) do update set at = excluded.at",
        ago=ago,
    )


def checks(answer) -> dict[str, dict]:
    return {check["name"]: check for check in answer.json["checks"]}


def test_a_sound_place_is_healthy(shop, orders, hands):
    beat(shop)
    answer = orders("doctor", "--json")
    assert answer.code == 0, answer.out
    found = answer.json
    assert (found["healthy"], found["servers"]) == (True, "yours")
    assert {check["level"] for check in found["checks"]} == {"ok"}, found["checks"]
    names = {"PostgreSQL", "writes", "durability", "clock", "schema", "shards", "connections", "locks"}
    names |= {"Redis", "Redis memory", "Redis writes", "streams", "beat", "worker: drain", "worker: chores", "workers"}
    assert names <= set(checks(answer))
    assert "no problem" in orders("doctor").out


def test_settings_are_printed_with_their_sources_and_without_passwords(shop, orders, monkeypatch, database_url):
    beat(shop)
    monkeypatch.setenv("ORDERS_REFUND_URL", "http://user:secret@refunds.example/")
    monkeypatch.setenv("ORDERS_GRACE", "5m")
    answer = orders("doctor", "--json")
    settings = {each["name"]: each for each in answer.json["settings"]}
    assert (settings["ORDERS_GRACE"]["value"], settings["ORDERS_GRACE"]["source"]) == ("5m", "environment")
    assert settings["ORDERS_CURRENCY"]["source"] == "default"
    for password in ("secret", make_url(database_url).password):
        assert f":{password}@" not in answer.out
        assert f":{password}@" not in orders("doctor").out


def test_workers_that_are_away_are_a_problem(shop, orders):
    never = orders("doctor", "--json")
    assert (never.code, checks(never)["workers"]["level"]) == (1, "problem")
    beat(shop, "3 minutes")
    late = orders("doctor")
    assert late.code == 1
    assert "3 min old" in late.out
    assert "`orders beat`" in late.out


def test_a_host_whose_clock_is_off_is_named_with_its_process(shop, orders, hands):
    beat(shop)
    assert checks(orders("doctor", "--json"))["API"]["says"] == "nobody asked one lately"
    for process, skew in (("worker 7 on near", 0.4), ("worker 8 on far", -600.0), ("api 9 on further", 12.0)):
        shop.do(
            "insert into heartbeats (name, at, skew) values (:name, clock_timestamp(), :skew)", name=process, skew=skew
        )
    answered = checks(orders("doctor", "--json"))
    assert answered["API"]["says"] == "1 process at work"
    found = answered["hosts' clocks"]
    assert found["level"] == "warning"
    assert "worker 8 on far is 10 min behind PostgreSQL's clock, and 1 other process is off" in found["says"]
    assert "chrony" in found["remedy"]
    shop.do("update heartbeats set skew = 0 where skew is not null")
    assert checks(orders("doctor", "--json"))["hosts' clocks"]["level"] == "ok"


def test_undecided_events_are_told_by_their_age(shop, orders):
    beat(shop)
    shop.take(created())
    assert "1 undecided" in checks(orders("doctor", "--json"))["events"]["says"]
    for age, level in (("2 minutes", "warning"), ("1 hour", "problem")):
        shop.do("update journal set accepted_at = clock_timestamp() - cast(:age as interval)", age=age)
        assert checks(orders("doctor", "--json"))["events"]["level"] == level


def test_what_waits_for_a_person_is_a_problem(shop, orders, hands):
    beat(shop)
    shop.tell(created(), paid(currency="USD"), paid(), canceled(), approved("none"))
    answer = orders("doctor", "--json")
    found = checks(answer)
    assert answer.code == 1
    assert {name for name, check in found.items() if check["level"] == "problem"} == {"dead letters"}
    assert "orders given-up causes" in found["dead letters"]["remedy"]
    assert (found["refunds"]["level"], "ORDERS_REFUND_URL" in found["refunds"]["remedy"]) == ("warning", True)
    assert found["parked"]["level"] == "ok"
    shop.do("update parked set until = clock_timestamp() - interval '1 hour'")
    shop.do("update effects set state = 'dead'")
    found = checks(orders("doctor", "--json"))
    assert (found["parked"]["level"], found["refunds"]["level"]) == ("problem", "problem")


def test_a_parcel_that_cannot_be_asked_for_is_a_warning_while_others_can(shop, orders):
    beat(shop)
    shop.tell(created())
    shop.do(
        "insert into trackers (id, key, carrier, tracking_number, failures, last_error) "
        "select gen_random_uuid(), 'tracking:cj:' || n, 'cj', n, 5 * n, 'HTTP 503' from generate_series(0, 1) n"
    )
    check = checks(orders("doctor", "--json"))["tracking"]
    assert (check["level"], "HTTP 503" in check["says"]) == ("warning", True)


def test_parcels_of_carriers_that_nobody_polls_are_counted_by_name(shop, orders, monkeypatch):
    beat(shop)
    monkeypatch.setenv("ORDERS_TRACKER_DELIVERY_CLIENT_ID", "id")
    monkeypatch.setenv("ORDERS_TRACKER_DELIVERY_CLIENT_SECRET", "secret")
    shop.tell(
        created(line("mug", 4)),
        paid(20_000),
        *(
            shipped(f"box {place}", {"mug": 1}, carrier=carrier, trackingNumber=f"P{place}")
            for place, carrier in enumerate(("Our own van", "Our own van", "CJ대한통운", "Bike"))
        ),
    )
    check = checks(orders("doctor", "--json"))["tracking"]
    assert check["level"] == "ok"
    assert "3 parcels on their way of carriers that nobody polls (Our own van 2, Bike 1)" in check["says"]
    assert "ORDERS_CARRIER_NAMES" in check["remedy"]
    monkeypatch.setenv("ORDERS_CARRIER_NAMES", "Our own van=CJ Logistics, Bike=tracker_delivery:kr.todaypickup")
    assert checks(orders("doctor", "--json"))["tracking"]["says"] == "no carrier fails"
    monkeypatch.setenv("ORDERS_CARRIER_NAMES", "Our own van=CJ Logistcs")
    check = checks(orders("doctor", "--json"))["tracking"]
    assert (check["level"], "our own van means CJ Logistcs, whom nobody polls" in check["says"]) == ("warning", True)
    assert "did you mean CJ Logistics?" in check["remedy"]


def test_other_shards_than_the_database_has_are_a_problem(shop, orders, monkeypatch):
    beat(shop)
    monkeypatch.setenv("ORDERS_SHARDS", "16")
    answer = orders("doctor", "--json")
    assert answer.code == 1
    assert checks(answer)["shards"]["remedy"] == "set ORDERS_SHARDS=64 for every process"


def test_a_database_without_our_schema(orders, monkeypatch, empty_database_url, redis_url):
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    answer = orders("doctor")
    assert answer.code == 1
    assert "orders migrate" in answer.out


@pytest.mark.parametrize(
    ("name", "url"), [("PostgreSQL", "postgresql://u@127.0.0.1:1/x"), ("Redis", "redis://127.0.0.1:1")]
)
def test_a_server_that_is_down_is_named_and_the_rest_is_checked(shop, orders, monkeypatch, name, url):
    beat(shop)
    monkeypatch.setenv("DATABASE_URL" if name == "PostgreSQL" else "REDIS_URL", url)
    answer = orders("doctor", "--json")
    assert answer.code == 1
    found = checks(answer)
    assert found[name]["level"] == "problem"
    assert "does not answer" in found[name]["says"]
    other = "Redis" if name == "PostgreSQL" else "PostgreSQL"
    assert found[other]["level"] == "ok"
    assert ("workers" in found) is (name == "Redis")


def test_a_setting_that_cannot_be_is_told_with_all_names(orders, monkeypatch):
    monkeypatch.setenv("ORDERS_GRAZE", "1h")
    answer = orders("doctor", "--json")
    assert answer.code == 1
    assert "ORDERS_GRACE" in checks(answer)["settings"]["says"]
    assert len(answer.json["settings"]) > 10


def run_real(data: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a data folder of its own."""
    names = ("DATABASE_URL", "REDIS_URL")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ORDERS_") and k not in names}
    command = [sys.executable, "-m", "cli", "doctor", "--json", "--data", data]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**clean, **environment}, timeout=100)


def test_servers_that_take_connections_and_say_nothing_hold_it_up_for_seconds_only(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes what comes, and nobody answers
        port = silent.getsockname()[1]
        urls = {"DATABASE_URL": f"postgresql://u:p@127.0.0.1:{port}/x", "REDIS_URL": f"redis://127.0.0.1:{port}"}
        began = time.monotonic()
        done = run_real(str(tmp_path), **urls)
        took = time.monotonic() - began
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, set(found)) == (1, {"PostgreSQL", "Redis"}), done.stderr
    for check in found.values():
        assert "takes connections and gives no answer" in check["says"]
    assert took < 60  # a bound of liveness: it took minutes


def test_where_nothing_runs_it_starts_nothing_and_says_so(tmp_path):
    done = run_real(str(tmp_path / "new"))
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["servers"]) == (1, "stopped"), done.stderr
    [check] = answer["checks"]
    assert (check["level"], "start `orders up`" in check["remedy"]) == ("problem", True)
    assert not (tmp_path / "new").exists(), "looking made something"


def test_a_webhook_whose_provider_told_nothing_is_a_problem(shop, orders):
    shop.tell(told("toss.PAYMENT_STATUS_CHANGED", subject="N1", paymentId="p-1"))
    shop.do("insert into inbox (id, provider, seq) select gen_random_uuid(), 'toss', seq from journal")
    unasked = checks(orders("doctor", "--json"))["webhooks in"]
    assert (unasked["level"], unasked["says"], "ORDERS_TOSS_API_KEY" in unasked["remedy"]) == ("problem", "1 due", True)
    shop.do("update inbox set state = 'dead', last_error = 'x'")
    found = checks(orders("doctor", "--json"))["webhooks in"]
    assert (found["level"], found["says"], "orders given-up list" in found["remedy"]) == ("problem", "1 dead", True)


def test_a_webhook_that_is_asked_for_in_vain_is_a_warning_of_its_provider_alone(shop, orders, monkeypatch):
    monkeypatch.setenv("ORDERS_TOSS_API_KEY", "test_sk")
    shop.tell(*(told(f"{name}.x", subject="N1", paymentId=f"p-{name}") for name in ("toss", "portone")))
    shop.do(
        "insert into inbox (id, provider, seq, attempts, last_error) "
        "select gen_random_uuid(), split_part(type, '.', 1), seq, 2, split_part(type, '.', 1) || ': HTTP 401' from journal"
    )

    def warnings() -> list[tuple[str, str]]:
        found = [each for each in orders("doctor", "--json").json["checks"] if each["name"] == "webhooks in"]
        return [(each["says"], each["remedy"]) for each in found if each["level"] != "ok"]

    [(unasked, remedy)] = warnings()  # twice is no warning yet
    assert (unasked, "ORDERS_PORTONE_SECRETS" in remedy, "TOSS" in remedy) == ("1 due", True, False)
    shop.do("update inbox set attempts = 3")
    [_, (says, remedy)] = warnings()
    assert says == "1 of toss cannot be asked for; such as: toss: HTTP 401"
    assert "ORDERS_PARKED_FOR" in remedy
    shop.do("update inbox set state = 'done'")
    found = checks(orders("doctor", "--json"))["webhooks in"]
    assert (found["level"], found["says"]) == ("ok", "none")
