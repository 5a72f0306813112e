"""The table of all faults."""

from __future__ import annotations

from tests.faults import bulkheads, clocks, locks, network, postgres, strangers, supervision, transactions, valkey
from tests.faults.fault import Fault, Trial

FAULTS: tuple[Fault | Trial, ...] = (
    *valkey.FAULTS,
    *postgres.FAULTS,
    *locks.FAULTS,
    *network.FAULTS,
    *clocks.FAULTS,
    *bulkheads.FAULTS,
    *strangers.FAULTS,
    *supervision.FAULTS,
    *transactions.FAULTS,
)
BY_NAME = {fault.name: fault for fault in FAULTS}
