"""Names of the shop's own in a path: an order's number, a product, a customer.

A `/` may stand in one. Clients send it as %2F, but servers unquote a path before anybody asks which route it is, so
only a part that takes slashes finds such a name. Ids of ours hold none, and need none of this.
"""

from __future__ import annotations

from starlette.convertors import PathConvertor, register_url_convertor

_KIND = "own"


class _OwnName(PathConvertor):
    regex = "(?s:.+)"  # Starlette's own would take nothing for a name, and no newline


register_url_convertor(_KIND, _OwnName())


def own_name(parameter: str) -> str:
    """The part of a route's path that `parameter` is; `{parameter}` in the OpenAPI document."""
    return f"{{{parameter}:{_KIND}}}"
