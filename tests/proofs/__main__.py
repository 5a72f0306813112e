"""`python -m tests.proofs [NAME …] [--write]`: run proofs, all or those named; exit 1 on any deviation."""

from __future__ import annotations

import argparse
import sys
from time import monotonic

from cli.options import stop_at_sigterm
from tests.proofs.catalogue import PROOFS
from tests.proofs.page import write
from tests.proofs.proof import Finding

SHOWN = 50  # deviations of one proof


def main() -> int:
    """0 where everything is as promised."""
    names = [proof.name for proof in PROOFS]
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=(__doc__ or "").split(": ")[1])
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; default all")
    parser.add_argument("--write", action="store_true", help="the figures into docs/reference/proofs.md")
    asked = parser.parse_args()
    if unknown := [name for name in asked.name if name not in names]:
        parser.error(f"{unknown[0]!r} is no proof; there are {', '.join(names)}")
    stop_at_sigterm()
    found: dict[str, Finding] = {}
    for proof in PROOFS:
        if asked.name and proof.name not in asked.name:
            continue
        say(f"{proof.name}: {proof.title}")
        begun = monotonic()
        finding = found[proof.name] = proof.run(lambda line: say(f"    {line}"))
        for line in finding.wrong[:SHOWN]:
            say(f"  DEVIATION {line}")
        count = f"{len(finding.wrong)} deviations" if finding.wrong else "as promised"
        say(f"  {count} after {monotonic() - begun:.0f} s: {finding.figures}")
    if asked.write:
        write(found, PROOFS)
    return 1 if any(finding.wrong for finding in found.values()) else 0


def say(line: str) -> None:
    """A line at once, for whoever waits."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
