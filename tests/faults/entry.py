"""`python -m tests.faults.entry NAMESPACE MODULE ARGUMENT…`: becomes the module's process, inside a namespace."""

from __future__ import annotations

import os
import sys

from tests.faults.hosts import enter

if __name__ == "__main__":
    enter(sys.argv[1])
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
