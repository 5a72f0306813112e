"""Values that nobody means and somebody sends: for the tests of what comes from outside."""

from __future__ import annotations

# Text that a command line, a path or a header can carry. What cannot be in all of them (a NUL, a line's end) is not here.
VALUES = (
    "", " ", "-", "0", "-1", "99999999999999999999", "1e309", "NaN", "²", "１０", "1_0", "null", "{}", "[]", "true",
    "[/]", "[red]x[/red]", "[bold", "\\", "x\\", "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "\u202egnp", "é", "😀", ":skull:",
    "a" * 5_000, "../../etc/passwd", "/dev/null", "/nonexistent/there", "javascript:alert(1)", "https://[::1",
    "http://h:99999/", "ord_" + "0" * 32, "eff_" + "f" * 32, "key_x", "%s{0}{x!r}", "'; drop table orders;--", "a,b,,c",
    "data.a=1", "data.a.0.b=[", "subject=x", "2h", "99999999999999d", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00",
    "orders", "create", "PaymentSucceeded", "due", "paid", "\u2028", "\ufeff",
)  # fmt: skip
