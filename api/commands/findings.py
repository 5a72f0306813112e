"""Commands on findings of the comparison with payment providers: resolveFinding."""

from __future__ import annotations

from api.commands.lookups import wanted_id
from api.commands.request_models import ResolveFinding
from api.commands.write_endpoint import UPDATED, Document, Work, Write, conflict
from api.commands.written_documents import document
from api.errors import ApiError, validation_error
from domain.ids import format_id
from journal.commands import Request
from outbound.reconciliation import findings
from outbound.reconciliation.findings import FindingClosed, FindingUnknown


def resolve(write: Write, name: str, sent: ResolveFinding) -> Work:
    """A person has looked into what differs, and says what it came to."""
    own, note = wanted_id("findings", name), sent.note.strip()
    if not note:
        raise validation_error([("note", "must say something, for those who read it later")])

    def work(request: Request) -> tuple[int, Document]:
        if own is None:
            raise ApiError(404, "Not Found")
        shown = format_id("findings", own)
        try:
            findings.resolve(request.conn, shown, note, f"api:{write.caller.key_id}")
        except FindingUnknown:
            raise ApiError(404, "Not Found") from None
        except FindingClosed as error:
            raise conflict(str(error), findings.one(request.conn, shown).state, []) from None
        return 200, {"doc": document(request, "findings", own, write.depth), "message": UPDATED}

    return work
