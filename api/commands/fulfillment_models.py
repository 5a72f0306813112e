"""The body of a request that corrects a fulfillment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from api.commands.request_models import Why
from events.field_types import FulfillmentStatus


class CorrectFulfillment(BaseModel):
    """The status that the fulfillment really has."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"status": "shipped", "reason": "clicked by mistake"}]}
    )
    status: FulfillmentStatus
    reason: Why | None = None
