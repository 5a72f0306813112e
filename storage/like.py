"""Texts inside LIKE and ILIKE: what those read as a pattern stands for itself."""

from __future__ import annotations


def escaped(sought: str) -> str:
    r"""A text as LIKE finds it.

    >>> escaped("50%_off")
    '50\\%\\_off'
    """
    return sought.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
