"""The four lifecycles: sound tables, and a fast reading that equals `transitions` itself."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import product
from types import ModuleType
from typing import Any

import pytest
from transitions import MachineError

from domain import order, returns, transaction
from domain.diagrams import KINDS
from domain.state_machine import advance, build, fire, steps

MACHINES = pytest.mark.parametrize(("where", "model"), [kind[1:] for kind in KINDS], ids=[kind[0] for kind in KINDS])


class Puppet:
    """A model that holds as a guard whatever it is told to."""

    def __init__(self, status: str, truths: dict[str, bool]) -> None:
        self.status = status
        for name, truth in truths.items():
            setattr(self, name, lambda truth=truth: truth)


def check_tables(statuses: type[StrEnum], table: tuple, model: type) -> list[str]:
    """The faults of a lifecycle: unreachable statuses, guards that are absent or unexplained, dead rows."""
    faults = []
    reached, frontier = set(), {str(next(iter(statuses)))}
    while frontier:
        reached |= frontier
        frontier = {str(to) for _, froms, to, *_ in table if reached & set(map(str, froms))} - reached
    faults += [f"{status}: no row leads there" for status in statuses if status not in reached]
    open_rows = set()
    for event, froms, to, *guards in table:
        faults += [f"{event} → {one}: no such status" for one in (*froms, to) if one not in set(statuses)]
        for guard in guards:
            asks = getattr(model, guard, None)
            if asks is None:
                faults.append(f"{event} → {to}: {model.__name__} has no guard {guard}")
            elif not (asks.__doc__ or "").startswith("Guard: "):
                faults.append(f"{guard}: its docstring does not start with Guard:")
        faults += [f"{event} from {one}: never tried" for one in froms if (event, one) in open_rows]
        open_rows |= {(event, one) for one in froms if not guards}
    return faults


def rows_of(where: ModuleType, status: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """(event, to, guards) of the rows that leave a status, as they stand in the table."""
    return [(event, str(to), tuple(guards)) for event, froms, to, *guards in where.LIFECYCLE if status in froms]


def truths(guards: set[str]) -> Iterator[dict[str, bool]]:
    """Every combination of what these guards may say."""
    names = sorted(guards)
    for values in product((False, True), repeat=len(names)):
        yield dict(zip(names, values, strict=True))


def taken_by_transitions(where: ModuleType, event: str, puppet: Puppet) -> bool:
    """True if `transitions` took a step; it says no with False (a guard) or MachineError (no such row)."""
    try:
        return bool(where.MACHINE.events[event].trigger(puppet))
    except MachineError:
        return False


@MACHINES
def test_a_table_is_sound(where: ModuleType, model: type):
    assert check_tables(where.Status, where.LIFECYCLE, model) == []


@MACHINES
def test_a_new_one_stands_at_the_first_status(where: ModuleType, model: Any):
    assert model.__dataclass_fields__["status"].default == next(iter(where.Status))


@MACHINES
def test_the_dict_takes_the_step_that_transitions_takes(where: ModuleType, model: Any):
    puppets_steps = steps(where.MACHINE, _puppet_class(where))
    for status in map(str, where.Status):
        guards = {guard for _, _, guards in rows_of(where, status) for guard in guards}
        for event, truth in product(where.MACHINE.events, truths(guards)):
            ours, theirs = Puppet(status, truth), Puppet(status, truth)
            said = fire(puppets_steps, ours, event), taken_by_transitions(where, event, theirs)
            assert (ours.status, said[0]) == (theirs.status, said[1]), (status, event, truth)


def guard_of(model: Any, names: tuple[str, ...]) -> Any:
    """The guard of a row: none, the one, or all of them as one."""
    guards = tuple(getattr(model, name) for name in names)
    return guards if len(guards) > 1 else next(iter(guards), None)


@MACHINES
def test_the_dict_holds_the_rows_with_the_models_own_guards(where: ModuleType, model: Any):
    for status in where.Status:
        rows = [(event, to, guard_of(model, guards)) for event, to, guards in rows_of(where, status)]
        assert where.STEPS[status] == rows, f"{status}: the rows are not tried in the order in which they stand"


@MACHINES
def test_every_event_of_a_table_is_one_of_the_catalogue(where: ModuleType, model: type):
    from events.catalogue import CATALOGUE

    assert set(where.MACHINE.events) <= set(CATALOGUE)


def test_an_order_advances_until_no_guard_lets_it_further():
    truth = dict.fromkeys(_guards(order), False) | dict.fromkeys(
        ("is_created", "was_covered", "has_fulfillment", "is_shipped", "is_delivered", "is_confirmed"), True
    )
    puppet = Puppet("new", truth)
    advance(steps(order.MACHINE, _puppet_class(order)), puppet)
    assert puppet.status == "confirmed"


def test_of_the_rows_that_hold_the_first_is_taken():
    truth = dict.fromkeys(_guards(order), False) | {"is_canceled": True, "was_covered": True}
    puppet = Puppet("pending", truth)
    advance(steps(order.MACHINE, _puppet_class(order)), puppet)
    assert puppet.status == "canceled"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        (order, "canceled"), (returns, "rejected"), (returns, "completed"),
    ],
)  # fmt: skip
def test_a_final_status_is_left_by_no_row(where: ModuleType, status: str):
    assert where.STEPS[status] == []


def test_an_event_without_a_row_and_a_guard_that_refuses_both_leave_the_status():
    payment = transaction.Transaction("id", "order", "pay", "KRW", status="paid")
    assert not fire(transaction.STEPS, payment, "PaymentCanceled")
    assert not fire(transaction.STEPS, payment, "PaymentRefunded")
    assert payment.status == "paid"


# -- what is wrong with a table is found -------------------------------------------------------------


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Lamp:
    status = Light.RED

    def is_safe(self) -> bool:
        """Guard: nobody is on the road."""
        return True

    def is_old(self) -> bool:
        """True if it is old."""
        return True


def test_an_unreachable_status_is_found():
    table = (("Turned", (Light.RED,), Light.GREEN), ("Turned", (Light.BLUE,), Light.RED))
    assert check_tables(Light, table, Lamp) == ["blue: no row leads there"]


def test_a_guard_that_is_absent_or_unexplained_is_found():
    table = (("Turned", (Light.RED,), Light.GREEN, "is_sfe", "is_old"), ("Tinted", (Light.GREEN,), Light.BLUE))
    assert check_tables(Light, table, Lamp) == [
        "Turned → green: Lamp has no guard is_sfe",
        "is_old: its docstring does not start with Guard:",
    ]
    with pytest.raises(AttributeError, match="is_sfe"):
        steps(build(Light, table), Lamp)


def test_a_row_behind_one_that_always_holds_is_found():
    table = (("Turned", (Light.RED,), Light.GREEN), ("Turned", (Light.RED,), Light.BLUE, "is_safe"))
    assert check_tables(Light, table, Lamp) == ["Turned from red: never tried"]


def test_a_status_that_does_not_exist_is_found():
    table = (("Turned", (Light.RED,), "pink"), ("Turned", (Light.RED,), Light.GREEN), ("Tinted", (Light.RED,), "blue"))
    assert check_tables(Light, table, Lamp) == ["Turned → pink: no such status", "Turned from red: never tried"]


def _guards(where: ModuleType) -> set[str]:
    return {guard for _, _, _, *guards in where.LIFECYCLE for guard in guards}


def _puppet_class(where: ModuleType) -> type:
    """Puppet with a method a guard, which asks the puppet that it is called with."""
    asking = {name: lambda puppet, name=name: getattr(puppet, name)() for name in _guards(where)}
    return type("AnyPuppet", (), asking)
