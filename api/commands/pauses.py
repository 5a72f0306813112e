"""Commands on pauses: createPause and resumePause."""

from __future__ import annotations

from api.commands.request_models import CreatePause
from api.commands.write_endpoint import UPDATED, Document, Work, Write
from journal.commands import Request
from operations import pauses

CREATED = "Paused."


def create(write: Write, sent: CreatePause) -> Work:
    """Something rests from the answer on, within a second everywhere."""

    def work(request: Request) -> tuple[int, Document]:
        made = pauses.pause(request.conn, sent.kind, sent.name, sent.reason, write.caller.source, sent.until)
        return 201, {"doc": made.as_document(), "message": CREATED}

    return work


def resume(write: Write, name: str) -> Work:
    """A pause ends; what waited is worked off by the workers, in its order."""

    def work(request: Request) -> tuple[int, Document]:
        found = pauses.resume_by_id(request.conn, name, write.caller.source)
        return 200, {"doc": found.as_document(), "message": UPDATED}

    return work
