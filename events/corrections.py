"""Bodies of events that correct an order: what is edited, items that are canceled, and holds that keep it from shipping."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from events.body import Decision, Shares
from events.field_types import Amount, Moment, Name

PersonalField = Literal["customerSnapshot", "shippingAddress", "notes"]
EDITABLE = ("customer", "customerSnapshot", "shippingAddress", "notes")  # fields of an order that may be edited


def _one_of_them(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": [name]} for name in EDITABLE]
    schema["properties"].pop("personalFields")


class OrderEdited(Decision):
    """Somebody changes what an order says of its customer or where it goes; of two edits of one field the later stands.

    A field that is sent replaces what the order has of it as a whole. `personal` names the side row that holds its
    personal fields, and `personalFields` which those are: the journal notes both.
    """

    model_config = ConfigDict(json_schema_extra=_one_of_them)

    personal: Name | None = None
    personalFields: list[PersonalField] = []  # noqa: RUF012  pydantic copies it
    customer: Name | None = Field(default=None, validate_default=True)

    @field_validator("customer")
    @classmethod
    def _says_something(cls, customer: str | None, info: ValidationInfo) -> str | None:
        if customer is None and not info.data.get("personalFields"):
            others = ", ".join(EDITABLE[1:])
            raise PydanticCustomError("missing", "Field required, unless one of {others} is sent", {"others": others})
        return customer


class ItemsCanceled(Decision):
    """Somebody takes items out of an order; all of them or none, and possible while so many are in no parcel.

    Without `refundAmount` what they give back follows from the lines' prices. The same `cancellation` again changes nothing.
    """

    cancellation: Name
    items: Shares
    refundAmount: Amount | None = None


class OrderHeld(Decision):
    """Somebody holds the order: nothing more of it is to ship until that hold is released, by itself at `until`."""

    hold: Name
    until: Moment | None = None


class OrderReleased(Decision):
    """Somebody, or the timer, releases a hold by its name."""

    hold: Name
