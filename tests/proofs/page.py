"""The table of docs/reference/proofs.md: a row per proof, replaced where the proof was run again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.proofs.proof import Finding, Proof

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "proofs.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def table(found: Mapping[str, Finding], proofs: tuple[Proof, ...], before: str) -> str:
    """The table in Markdown: new rows for what was run, the others as `before` has them."""
    rows = {
        proof.name: line for line in before.splitlines() for proof in proofs if line.startswith(f"| {proof.title} |")
    }
    for proof in proofs:
        if proof.name in found:
            result = found[proof.name]
            wrong = f"{len(result.wrong)} deviations: {result.wrong[0]}" if result.wrong else "none"
            rows[proof.name] = f"| {proof.title} | {result.figures} | {wrong} |"
    lines = ["| proof | figures | deviations |", "|---|---|---|"]
    return "\n".join([*lines, *(rows[proof.name] for proof in proofs if proof.name in rows)])


def write(found: Mapping[str, Finding], proofs: tuple[Proof, ...]) -> None:
    """Replace the rows of these findings in the page."""
    before, rest = PAGE.read_text().split(BEGIN)
    old, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(found, proofs, old)}\n\n{END}{after}")
