"""`orders demo`: the whole thing at work, with everything going wrong that goes wrong in production.

Plays lives (`cli.lives`) into the journal while workers, the beat, Redis and the outside world have their
bad moments, and then asks four questions: does the account add up, does every order stand where its life
ends, does the journal tell the same, and did money go back exactly once.
"""

from __future__ import annotations

import heapq
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Annotated, Any

import httpx
import psutil
import typer
from rich.markup import escape
from sqlalchemy import text

from cli import figures, lives
from cli.display import Display
from cli.figures import Figures, Run
from cli.lives import PAYMENT_PREFIX, Act, Cue, Life
from cli.looking import outcome, put, table
from cli.opening import Servers, find_servers, open_shop, stop_at_sigterm
from cli.options import Data, Json, Problem, err, out, print_json
from cli.processes import Processes, start_workers
from domain.order import Status
from embedded.host import free_port
from journal import documents
from journal.account import OUTCOMES, account
from journal.append import append
from journal.verify import verify
from storage import migrate
from storage.literals import array
from storage.settings import read
from workers.app import CHORES, DRAIN
from workers.parts import Parts

ARRIVAL_RATE = 70  # orders a second, so that the picture can be followed
SPAN_S = 4.0  # that a few orders take at least
GRACE_S, GRACE_ORDER_S = 45.0, 0.03  # the deadline: so long, and so long an order
READY_S = 20.0  # for a simulator to answer
TICK_S, LOOK_S = 0.05, 0.4
PARCEL_PACE_S = 0.5  # a parcel's life is six of these
MISSING = "0.1"  # share of parcels that lack scans
ERRORS = "0.05"  # share of the outside's answers that go wrong
CARRIER, PROVIDER = "carrier", "provider"  # names of processes


def demo(
    orders: Annotated[
        int, typer.Option("--orders", min=lives.MIN_ORDERS, max=100_000, help="How many to play.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed plays the same lives.")] = 7,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that apply events.")] = 2,
    stay: Annotated[bool, typer.Option("--stay", help="Keep everything running afterwards, until Ctrl-C.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Watch it work: orders played through their whole lives while everything goes wrong that can.

    Starts PostgreSQL, Valkey, workers, a beat, a carrier and a payment provider; sends events twice, late and
    garbled; empties Redis and kills workers in the middle; then proves that nothing was lost or done twice.

    Examples: orders demo   ·   orders demo --orders 5000 --workers 4   ·   orders demo --stay
    """
    stop_at_sigterm()
    problems: list[str] = []
    with ExitStack() as stack:
        display = stack.enter_context(Display(err, orders, seed))
        stage = _open_stage(stack, display, orders, seed, workers, data)
        stack.callback(_say_stopping, display)
        player = _Player(stage, display, seed)
        seconds = player.play()
        display.say("checking: account, verify, expectations, refunds")
        document = _examine(stage, player, display, problems)
        document["seconds"] = round(seconds, 1)
        display.say("done")
        display.close()
        if json:
            print_json(document)
        else:
            _tell(document, stage, problems)
        if stay:
            _stay()
    if problems:
        raise typer.Exit(1)


# -- the stage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the play needs: connections, processes, the orders' lives."""

    opened: Parts
    servers: Servers
    processes: Processes
    provider_url: str
    run: Run
    played: list[Life]
    span: float
    beginning: datetime
    data: Path | None


_LAST_SEQ = text("select coalesce(max(seq), 0) from journal")
_HEARTBEAT = text("select max(at), now() - max(at) < interval '20 s' from heartbeats where name = 'timers'")
_OTHERS_REFUNDS = text(
    "select count(*) from effects where state in ('due', 'in_flight', 'unknown') and not starts_with(payment_id, :ours)"
)


def _open_stage(stack: ExitStack, display: Display, orders: int, seed: int, workers: int, data: Path | None) -> _Stage:
    display.say("starting PostgreSQL and Valkey" if read().database_url is None else "connecting to your servers")
    servers = stack.enter_context(find_servers(data))
    folder = servers.settings.data
    if servers.whose == "found":
        raise Problem(
            f"`orders up`, or a demo, runs already in {folder}; stop it first, or give this one another --data"
        )
    if servers.whose == "started":
        migrate.upgrade(servers.settings.database_url or "", servers.settings.shards)
    opened, _ = stack.enter_context(open_shop(data))
    _refuse_a_live_shop(opened, servers, display)
    beginning = datetime.now(UTC)
    span = max(SPAN_S, orders / ARRIVAL_RATE)
    tag = _tag(beginning)
    played = lives.lives(orders, seed, tag, span)
    with opened.engine.connect() as conn:
        since = int(conn.execute(_LAST_SEQ).scalar_one())
    run = Run(tag, [life.number for life in played], since)
    restarts = _Restarts(display)
    processes = stack.enter_context(Processes(folder / "logs", restarts.note))
    display.say("starting a carrier, a payment provider, workers and the beat")
    ports = {name: free_port(None) for name in (CARRIER, PROVIDER)}
    carrier_url, provider_url = (f"http://127.0.0.1:{ports[name]}" for name in (CARRIER, PROVIDER))
    common = ("--seed", str(seed), "--errors", ERRORS, "--port")
    pace = ("--pace", str(PARCEL_PACE_S), "--missing", MISSING)
    processes.start(CARRIER, "adapters.simulators.carrier", *common, str(ports[CARRIER]), *pace)
    state = str(folder.resolve() / "demo-refunds.sqlite")
    processes.start(PROVIDER, "adapters.simulators.provider", *common, str(ports[PROVIDER]), "--state", state)
    start_workers(processes, workers, **_shop(carrier_url, provider_url))
    for name, port in ports.items():
        _await_answer(processes, name, port)
    return _Stage(opened, servers, processes, provider_url, run, played, span, datetime.now(UTC), data)


def _shop(carrier_url: str, provider_url: str) -> dict[str, str]:
    """The workers' settings: who is outside, and the policy that the lives' ends follow from."""
    return {
        "ORDERS_CARRIERS": f"{lives.CARRIER}={carrier_url}",
        "ORDERS_REFUND_URL": provider_url,
        "ORDERS_TRACKING_PACE": "1s",
        "ORDERS_RETURNS": "auto",
        "ORDERS_REFUNDS": "auto",
        "ORDERS_UNPAID_AFTER": "24h",
        "ORDERS_CONFIRM_AFTER": "7d",
        "ORDERS_RETURN_WINDOW": "30d",
        "ORDERS_PARKED_FOR": "72h",
        "ORDERS_GRACE": "1h",
    }


def _refuse_a_live_shop(opened: Parts, servers: Servers, display: Display) -> None:
    """No demo where workers of a shop run, or where its refunds would go to a provider that only pretends."""
    with opened.engine.connect() as conn:
        others = int(conn.execute(_OTHERS_REFUNDS, {"ours": PAYMENT_PREFIX}).scalar_one())
    if others:
        raise Problem(
            f"{others} refunds of real orders are due in this database, and the demo's provider only pretends to make "
            "them: give the demo a database of its own (another --data, or no DATABASE_URL)"
        )
    if servers.whose == "yours" and _beats(opened, display):
        raise Problem("workers serve these servers already: stop them first, or give the demo others")


def _beats(opened: Parts, display: Display) -> bool:
    """Whether workers' heartbeat moves: one that is merely young may be a demo's that has just ended."""
    with opened.engine.connect() as conn:
        first, young = conn.execute(_HEARTBEAT).one()
    if not young:
        return False
    display.say("looking whether other workers serve these servers")
    until = time.monotonic() + 7
    while time.monotonic() < until:
        time.sleep(0.5)
        with opened.engine.connect() as conn:
            if conn.execute(_HEARTBEAT).one()[0] != first:
                return True
    return False


def _await_answer(processes: Processes, name: str, port: int) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Problem(f"the simulated {name} does not answer after {READY_S:.0f} s; see {processes.log(name)}")


def _tag(now: datetime) -> str:
    """A short name of this demo: its second, in base 36."""
    digits, number = "", int(now.timestamp())
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


class _Restarts:
    """Tells of children that ended and were started again."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def note(self, name: str, code: int) -> None:
        """A child ended; the watcher starts it again now."""
        why = f"signal {-code}" if code < 0 else f"exit {code}"
        self._display.tell(f"{name} ended ({why}); started again")


# -- the play ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Player:
    """Sends what is due, answers cues, makes trouble, and looks how far the orders are."""

    stage: _Stage
    display: Display
    seed: int
    sent: int = 0  # deliveries
    _arriving: list[tuple[float, int, Act]] = field(default_factory=list)  # a heap
    _uncued: dict[Cue, dict[str, Life]] = field(default_factory=dict)
    _trouble: list[tuple[float, Callable[[], bool]]] = field(default_factory=list)
    _trouble_after: float = 0.0

    def play(self) -> float:
        """Until every life stands where it ends, or the deadline; how many seconds that took."""
        stage = self.stage
        began = time.monotonic()
        deadline = GRACE_S + GRACE_ORDER_S * len(stage.played)
        for arrives, act in lives.deliveries(stage.played):
            self._push(arrives, act)
        for life in stage.played:
            for cue in life.cued:
                self._uncued.setdefault(cue, {})[life.number] = life
        span = stage.span
        self._trouble = [
            (0.30 * span, self._kill_a_worker_process),
            (0.45 * span, self._flush_redis),
            (0.60 * span, self._kill_the_beat),
            (0.75 * span, self._kill_the_worker),
        ]
        self.display.say("playing: events come twice, late and garbled")
        next_look = 0.0
        while (now := time.monotonic() - began) < deadline:
            self._deliver(now)
            self._make_trouble(now)
            if now >= next_look:
                found = self.look()
                self._answer_cues(found, now)
                if not self._arriving and not self._trouble:
                    self.display.say("playing: parcels are polled, returns and refunds follow")
                    if self._ended(found):
                        break
                took = time.monotonic() - began - now
                next_look = now + max(LOOK_S, 5 * took)  # looking is not what the machine is for
            time.sleep(TICK_S)
        return time.monotonic() - began

    def look(self) -> Figures:
        """How far it is, on the display too."""
        with self.stage.opened.engine.connect() as conn:
            found = figures.take(conn, self.stage.run)
        self.display.show(found)
        return found

    def _push(self, arrives: float, act: Act) -> None:
        heapq.heappush(self._arriving, (arrives, len(self._arriving) + self.sent, act))

    def _deliver(self, now: float) -> None:
        due = []
        while self._arriving and self._arriving[0][0] <= now:
            due.append(heapq.heappop(self._arriving)[2])
        if not due:
            return
        stage = self.stage
        with stage.opened.engine.begin() as conn:
            envelopes = [act.envelope(stage.beginning) for act in due]
            done = append(conn, envelopes, stage.opened.shop.shards)
        stage.opened.streams.publish(done.new)
        self.sent += len(due)

    def _answer_cues(self, found: Figures, now: float) -> None:
        """Some customers send back what has arrived, some confirm it; the warehouse ends returns."""
        for cue, waiting in self._uncued.items():
            for number in [n for n in waiting if found.statuses.get(n) == cue]:
                for act in waiting.pop(number).cued[cue]:
                    cued = replace(act, happens=now)
                    chance = Random(f"again:{self.seed}:{act.type}:{number[-5:]}")
                    self._push(now, cued)
                    repeated = lives.again(cued, chance)
                    if repeated is not None:
                        self._push(now + chance.uniform(0.05, 2.0), repeated)

    def _ended(self, found: Figures) -> bool:
        nothing_waits = not (found.outcome("waiting") or found.outcome("parked") or found.own.get("waiting"))
        settled = not found.refunds_due and not found.on_their_way
        return nothing_waits and settled and all(_stands(life, found) for life in self.stage.played)

    # -- trouble ---------------------------------------------------------------------------------------------

    def _make_trouble(self, now: float) -> None:
        """The next thing that goes wrong, once workers are at it."""
        if not self._trouble or now < max(self._trouble[0][0], self._trouble_after):
            return
        if not self.display.figures.outcome("applied"):
            return
        if self._trouble[0][1]():
            self._trouble.pop(0)
            self._trouble_after = now + 1.5

    def _kill_a_worker_process(self) -> bool:
        worker = self.stage.processes.children["worker"].process
        try:
            children = psutil.Process(worker.pid).children() if worker else []
            victim = children[0]
            victim.kill()
        except (psutil.Error, IndexError):
            return False
        self.display.tell(f"a worker's process killed in the middle of its work (SIGKILL, pid {victim.pid})")
        return True

    def _flush_redis(self) -> bool:
        streams = self.stage.opened.streams
        entries = sum(streams.lengths())
        if self.stage.servers.whose == "started":
            streams.client.flushall()
            self.display.tell(f"Redis emptied (FLUSHALL): {entries:,} entries, every doorbell and every group are gone")
            return True
        # On a server of yours: what is ours, and nothing else.
        keys = [key for pattern in _OUR_KEYS for key in streams.client.scan_iter(pattern, count=1000)]
        if keys:
            streams.client.delete(*keys)
        self.display.tell(
            f"our {len(keys):,} keys in Redis deleted: {entries:,} entries, doorbells and groups are gone"
        )
        return True

    def _kill_the_beat(self) -> bool:
        return self._kill("beat", "the beat killed (SIGKILL)")

    def _kill_the_worker(self) -> bool:
        return self._kill("worker", "the whole worker killed (SIGKILL)")

    def _kill(self, name: str, what: str) -> bool:
        pid = self.stage.processes.kill(name)
        if pid is None:
            return False
        self.display.tell(f"{what[:-1]}, pid {pid})")
        return True


_OUR_KEYS = ("orders:*", f"{DRAIN}*", f"{CHORES}*", f"_kombu.binding*.{DRAIN}*", f"_kombu.binding*.{CHORES}*")


def _stands(life: Life, found: Figures) -> bool:
    return found.statuses.get(life.number) == life.ends and found.refunded.get(life.number, 0) == life.refunded


# -- the end -------------------------------------------------------------------------------------------------

_EFFECTS = text("""
    select e.payment_id, e.target, e.made, t.refunded_amount from effects e
    join transactions t on t.id = e.transaction_id join orders o on o.id = e.order_id
    where o.order_number = any(cast(:numbers as text[]))
""")
# The order whose timeline tells most: it came back and its money too, with repetitions and implied steps.
_STORY = text("""
    select o.id, o.order_number from orders o where o.order_number = any(cast(:numbers as text[]))
    order by (select count(*) from results r where r.order_id = o.id and r.implied = 'FulfillmentShipped') > 0 desc,
        (select count(*) from duplicates d join results r using (seq) where r.order_id = o.id) desc,
        (select count(*) from results r where r.order_id = o.id and r.parked_number is not null) desc, o.order_number
    limit 1
""")


def _examine(stage: _Stage, player: _Player, display: Display, problems: list[str]) -> dict[str, Any]:
    """All figures as one document; what is not as it should be goes to `problems`."""
    found = player.look()
    with stage.opened.engine.connect() as conn:
        counted = account(conn)
    report = verify(stage.opened.engine)
    refunds = _refunds(stage)
    missed = [life for life in stage.played if not _stands(life, found)]
    expected_dead = sum(life.dead for life in stage.played)
    total = sum(counted[name] for name in OUTCOMES)
    each = [_missed(life, found) for life in missed[:100]]
    if total != counted["accepted"]:
        problems.append(f"the account does not add up: {total:,} outcomes of {counted['accepted']:,} deliveries")
    if found.accepted < player.sent:
        problems.append(f"{player.sent:,} deliveries were accepted, and the journal knows {found.accepted:,} of them")
    if report.differences:
        problems.append(f"verify finds {len(report.differences):,} differences, the first: {report.differences[0]}")
    if missed:
        first = _missed(missed[0], found)
        problems.append(
            f"{len(missed):,} orders do not stand where their lives end, the first: order {first['order']} "
            f"({first['plot']} {first['ending']}) expected {first['expected']}, found {first['found']}"
        )
    if refunds["wrong"]:
        problems.append(f"{len(refunds['wrong']):,} refunds are not what was due, the first: {refunds['wrong'][0]}")
    if found.outcome("dead") != expected_dead:
        problems.append(f"{found.outcome('dead')} dead letters, expected {expected_dead}")
    return {
        "orders": len(stage.played),
        "tag": stage.run.tag,
        "seed": player.seed,
        "ok": not problems,
        "problems": problems,
        "sent": player.sent,
        "figures": found.as_document(),
        "expectations": {"orders": len(stage.played), "met": len(stage.played) - len(missed), "missed": each},
        "account": counted,
        "adds_up": total == counted["accepted"],
        "verify": report.as_document(),
        "refunds": refunds,
        "dead_letters": {"expected": expected_dead, "found": found.outcome("dead")},
        "incidents": [{"at": incident.at, "text": incident.text} for incident in display.incidents],
        "story": _story(stage),
        "data": None if stage.servers.whose == "yours" else stage.servers.settings.data,
    }


def _missed(life: Life, found: Figures) -> dict[str, Any]:
    return {
        "order": life.number,
        "plot": life.plot,
        "ending": life.ending,
        "expected": {"status": str(life.ends), "refunded": life.refunded},
        "found": {"status": found.statuses.get(life.number), "refunded": int(found.refunded.get(life.number, 0))},
    }


def _refunds(stage: _Stage) -> dict[str, Any]:
    """What the provider says it gave back, a payment, against what was due and what we noted."""
    with stage.opened.engine.connect() as conn:
        rows = conn.execute(_EFFECTS, {"numbers": array(stage.run.numbers, "text")}).all()
    mine = f"{PAYMENT_PREFIX}{stage.run.tag}-"
    with httpx.Client(timeout=10, trust_env=False) as client:
        told = client.get(f"{stage.provider_url}/v1/refunds").raise_for_status().json()["refunds"]
    given: dict[str, list[Decimal]] = {}
    for refund in told:
        if refund["payment_id"].startswith(mine):
            given.setdefault(refund["payment_id"], []).append(Decimal(refund["amount"]))
    wrong = [
        {"payment": row.payment_id, "due": row.target, "noted": row.refunded_amount, "given": sum(gave, Decimal(0))}
        for row in rows
        if not sum(gave := given.pop(row.payment_id, []), Decimal(0)) == row.target == row.made == row.refunded_amount
    ]
    wrong += [{"payment": p, "due": 0, "noted": 0, "given": sum(gave, Decimal(0))} for p, gave in given.items()]
    amount = sum((row.refunded_amount for row in rows), Decimal(0))
    twice = [each for each in wrong if each["given"] > each["due"]]
    return {"payments": len(rows), "amount": amount, "currency": lives.CURRENCY, "wrong": wrong, "twice": twice}


def _story(stage: _Stage) -> dict[str, Any] | None:
    returned = [life.number for life in stage.played if life.ends == Status.RETURNED]
    with stage.opened.engine.connect() as conn:
        row = conn.execute(_STORY, {"numbers": array(returned, "text")}).one_or_none()
        return {"order": row.order_number, "timeline": documents.timeline(conn, row.id)} if row else None


# -- telling -------------------------------------------------------------------------------------------------


def _tell(document: dict[str, Any], stage: _Stage, problems: list[str]) -> None:
    counted, found, refunds = document["account"], document["figures"], document["refunds"]
    if story := document["story"]:
        _tell_story(story)
    out.print()
    sums = " + ".join(f"{counted[name]:,} {name}" for name in OUTCOMES)
    _verdict(document["adds_up"], f"the account adds up: {counted['accepted']:,} accepted = {sums}")
    met, of = document["expectations"]["met"], document["expectations"]["orders"]
    _verdict(met == of, f"{met:,} of {of:,} orders stand where their lives end")
    checked, differ = document["verify"], len(document["verify"]["differences"])
    same = "the journal tells the same" if not differ else f"{differ:,} differences from what the journal tells"
    _verdict(not differ, f"verify: {checked['orders']:,} orders folded anew from {checked['events']:,} events: {same}")
    _verdict(
        not refunds["wrong"],
        f"{refunds['payments']:,} payments went back, {refunds['amount']:,} {refunds['currency']}, none of them twice; "
        "the provider's own books say so",
    )
    again = f"{found['duplicate']:,} duplicates dropped at the door, {found['ignored']:,} events ignored with a reason"
    _verdict(True, f"{again}, {found['parcels']['delivered_by_polling']:,} parcels delivered by polling alone")
    dead = document["dead_letters"]
    _verdict(
        dead["found"] == dead["expected"], f"{dead['found']:,} dead letters, as planned: they wait for an operator"
    )
    for problem in problems:
        out.print(f"[red]not well:[/] {escape(problem)}", soft_wrap=True)
    if problems:
        out.print(f"[red]what the processes wrote:[/] {stage.processes.logs}", soft_wrap=True)
    _tell_what_next(document, stage)


def _verdict(good: bool, words: str) -> None:
    out.print(f"[green]✓[/] {words}" if good else f"[red]✗ {words}[/]", soft_wrap=True)


def _tell_story(story: dict[str, Any]) -> None:
    rows = table(">after", "event", "outcome", "status", "why", title=f"\none of them: order {story['order']}")
    entries = story["timeline"]
    first = min(entry["acceptedAt"] for entry in entries)
    for entry in entries:
        again = f" [dim]×{entry['deliveries']}[/]" if entry["deliveries"] > 1 else ""
        before, after = entry["stepFrom"], entry["stepTo"]
        scan = entry["data"].get("status") if entry["type"] == "TrackingUpdated" else None
        # A scan that moves nothing is no more than a scan.
        why = [None if scan else entry["text"], f"implies {entry['implied']}" if entry["implied"] else None]
        rows.add_row(
            f"{(entry['decidedAt'] - first).total_seconds():.1f} s" if entry["decidedAt"] else "–",
            escape(entry["type"]) + (f" [dim]{scan}[/]" if scan else "") + again,
            outcome(entry["outcome"]),
            f"{before} → [bold]{after}[/]" if before != after else f"[dim]{after or '–'}[/]",
            escape("; ".join(part for part in why if part)),
        )
    put(rows)


def _tell_what_next(document: dict[str, Any], stage: _Stage) -> None:
    program = _program()
    where = ""
    if stage.servers.whose == "started" and stage.data is not None:
        where = f" --data {stage.data}"
    story = document["story"]
    tries = [
        (f"show {story['order']}" if story else "list", "an order, its money, its parcels, its whole timeline"),
        ("dlq list", "the poison events, and the way back for each"),
        ("account", "what became of everything, by type and reason"),
        ("verify", "fold every order anew from the journal"),
        ("demo --stay", "play again, and keep everything running"),
    ]
    rows = table("what to try next", "")
    for command, what in tries:
        rows.add_row(f"[bold]{escape(f'{program} {command}{where}')}[/]", f"[dim]{what}[/]")
    out.print()
    put(rows)


def _program() -> str:
    """`orders`, as it can be called here."""
    return "orders" if shutil.which("orders") or not sys.argv[0].endswith("/orders") else sys.argv[0]


def _stay() -> None:
    """Keep everything running until Ctrl-C."""
    err.print("\n[bold]everything keeps running[/] until Ctrl-C: try the commands above in another terminal")
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print()


def _say_stopping(display: Display) -> None:
    display.close()
    err.print("[dim]stopping …[/]")
