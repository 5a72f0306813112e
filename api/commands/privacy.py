"""The command on a customer's data: eraseCustomer."""

from __future__ import annotations

from api.commands.request_models import EraseCustomer
from api.commands.write_endpoint import Document, Work, Write
from journal.commands import Request
from operations import privacy

ERASED = "Erased."


def erase(write: Write, customer: str, sent: EraseCustomer) -> Work:
    """Names, addresses, notes and bank accounts of a customer are erased, wherever they are kept."""

    def work(request: Request) -> tuple[int, Document]:
        done = privacy.erase(request.conn, customer, write.caller.source, sent.reason)
        doc = {
            "customer": customer,
            "orders": done.orders,
            "personalRows": done.personal_rows,
            "answers": done.answers,
            "accounts": done.accounts,
            "keptAccounts": done.kept_accounts,
        }
        return 200, {"doc": doc, "message": ERASED}

    return work
