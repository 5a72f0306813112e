"""The page of proofs: what is run again is replaced, and all else stays."""

from __future__ import annotations

from tests.proofs.catalogue import PROOFS
from tests.proofs.page import BEGIN, END, PAGE, table
from tests.proofs.proof import Finding, Proof

ONE, OTHER = (Proof(name, f"title of {name}", lambda say: Finding("")) for name in ("one", "other"))
BEFORE = (
    "| proof | figures | deviations |\n|---|---|---|\n| title of one | old | none |\n| title of other | kept | none |"
)


def test_a_proof_that_was_run_has_a_new_row_and_others_keep_theirs():
    made = table({"one": Finding("new", ["this", "that"])}, (ONE, OTHER), BEFORE)
    assert made.splitlines()[2:] == ["| title of one | new | 2 deviations: this |", "| title of other | kept | none |"]


def test_the_page_has_a_row_for_every_proof():
    page = PAGE.read_text()
    rows = page[page.index(BEGIN) : page.index(END)]
    assert [proof.name for proof in PROOFS if f"| {proof.title} |" not in rows] == []
