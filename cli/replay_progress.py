"""A replay followed to its end in a terminal: advanced here, or watched while the workers advance it."""

from __future__ import annotations

from time import sleep

from cli.bootstrap import workers_alive
from cli.options import actor, err, progress
from operations import replay_steps, replays
from operations.replays import CauseReport, Replay
from workers.resources import Parts

TURN_S = 2.0  # of one advance, between two looks
WATCH_S = 0.5


def follow(opened: Parts, replay_id: str) -> tuple[Replay, list[CauseReport]]:
    """Take a replay to its end, or to where only the outside is waited for and no worker asks it: (it, its report).

    Ctrl-C stops the replay, and then raises as ever.
    """
    engine, policy, shop = opened.engine, opened.settings.policy, opened.shop
    try:
        with progress("replaying", _now(opened, replay_id).total) as told:

            def look() -> None:
                found = _now(opened, replay_id)
                told(found.ended, found.total)

            while True:
                advanced = replay_steps.advance(engine, policy, shop, replay_id, seconds=TURN_S, look=look)
                found = _now(opened, replay_id)
                if found.state != replays.RUNNING or _waits_in_vain(opened, found):
                    break
                if not advanced:  # a worker has it
                    look()
                    sleep(WATCH_S)
    except KeyboardInterrupt:
        if _now(opened, replay_id).state == replays.RUNNING:
            with engine.begin() as conn:
                stopped = replays.stop(conn, replay_id, by=actor(), reason="Ctrl-C")
            err.print(
                f"{stopped.name} is stopped: {stopped.says}; `orders given-up resume {stopped.name}` lets it go on"
            )
        raise
    with engine.connect() as conn:
        return found, replays.report(conn, replay_id)


def _waits_in_vain(opened: Parts, found: Replay) -> bool:
    """True where nothing is left but what workers make, and none runs here."""
    return found.taken > 0 and found.left == 0 and not workers_alive(opened)


def _now(opened: Parts, replay_id: str) -> Replay:
    with opened.engine.connect() as conn:
        return replays.replay(conn, replay_id)
