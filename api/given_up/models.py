"""Bodies of requests about what was given up: which things, why, and by whom."""
# ruff: noqa: N815  fields are named as on the wire

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller
from api.commands.request_models import Why
from events.field_types import Moment, Name
from operations.edits import MOST_STEPS
from operations.given_up import Wanted
from operations.replays import HALT_ABOVE

MOST_REFS = 1_000

Ref = Name
Sought = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Kind = Literal["event", "refund", "lookup", "delivery"]


def _like(**example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class Conditions(BaseModel):
    """The conditions that things must meet, all of them; at least one. Times are those of the last death."""

    model_config = _like(reason="currency_mismatch", field="currency")
    kind: Kind | None = None
    order: Name | None = None
    type: Name | None = None
    reason: Name | None = None
    provider: Name | None = None
    field: Name | None = None
    text: Sought | None = None
    since: Moment | None = None
    until: Moment | None = None

    def wanted(self) -> Wanted:
        """The conditions, as `operations.given_up` takes them."""
        return Wanted(**dict(self))


class Chosen(BaseModel):
    """The things that something is about: `refs`, or all that meet `where`."""

    model_config = _like(where={"reason": "bug"})
    refs: Annotated[list[Ref], Field(max_length=MOST_REFS)] = Field(default_factory=list)
    where: Conditions | None = None

    def wanted(self) -> Wanted | None:
        """The conditions, None without any."""
        return None if self.where is None else self.where.wanted()

    def told(self) -> dict[str, Any]:
        """The choice as JSON, for the replay that keeps it."""
        wanted = self.wanted()
        return {"refs": self.refs} if self.refs else wanted.as_document() if wanted is not None else {}


class Act(BaseModel):
    """An act with its reason, which the audit keeps, and who does it: `by`, else the API key."""

    model_config = _like(reason="mended by the sender", by="kim")
    reason: Why
    by: Name | None = None

    def actor(self, caller: Caller) -> str:
        """The name in the audit: it always tells the key."""
        return caller.source if self.by is None else f"{caller.source}: {self.by}"


class ActOnThings(Chosen, Act):
    """An act on things that were given up."""

    model_config = _like(where={"reason": "lookup_not_told"}, reason="webhooks of a test shop")


class PatchStep(BaseModel):
    """A step of a JSON Patch (RFC 6902) of `{"subject", "data"}`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    op: Literal["add", "replace", "remove", "move", "test"]
    path: Annotated[str, Field(max_length=1_000)]
    from_: Annotated[str, Field(max_length=1_000)] | None = Field(default=None, alias="from")
    value: Any = None

    def step(self) -> dict[str, Any]:
        """The step as JSON; a number with decimals is a text, as events have them."""
        said: dict[str, Any] = {"op": self.op, "path": self.path}
        if self.from_ is not None:
            said["from"] = self.from_
        return said | ({"value": _plain(self.value)} if self.op in ("add", "replace", "test") else {})


class EditThings(ActOnThings):
    """One edit over events: a patch, laid over each of them."""

    model_config = _like(
        where={"reason": "currency_mismatch"},
        patch=[{"op": "replace", "path": "/data/currency", "value": "KRW"}],
        reason="the sender omits it",
    )
    patch: Annotated[list[PatchStep], Field(min_length=1, max_length=MOST_STEPS)]

    def steps(self) -> list[dict[str, Any]]:
        """The patch as JSON."""
        return [each.step() for each in self.patch]


class PreviewEdit(Chosen):
    """One edit over events, to be looked at."""

    model_config = _like(refs=["4711"], patch=[{"op": "add", "path": "/subject", "value": "261101000001"}])
    patch: Annotated[list[PatchStep], Field(min_length=1, max_length=MOST_STEPS)]

    def steps(self) -> list[dict[str, Any]]:
        """The patch as JSON."""
        return [each.step() for each in self.patch]


class BeginReplay(ActOnThings):
    """A replay: which things, at which rate, and how much of a step may fail before it stops by itself."""

    model_config = _like(where={"reason": "currency_mismatch"}, reason="edited", rate=50)
    rate: Annotated[int, Field(ge=1, le=100_000)] | None = None
    haltAbove: Annotated[float, Field(ge=0, le=1)] = HALT_ABOVE


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value
