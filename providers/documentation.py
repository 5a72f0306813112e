"""The page of providers, written from the registry: `python -m providers.documentation > docs/reference/providers.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from providers.base import Provider
from providers.refund_rules import RefundRules
from providers.registry import OURS

HEAD = """\
# Providers

Payment providers and carriers that come with the application. Written by `make docs` from their `Provider` objects; to
add one of yours, see [add a provider](../howto/add-a-provider.md) and [add a carrier](../howto/add-a-carrier.md).
`orders doctor` shows which are set, those of installed packages too.

What each can do is on once the settings in its cell are set: *webhooks* are taken at that path, *looked up* means that
its API is asked how a payment stands, *refunds* that it gives back what it took, *compared* that what it
lists is compared with ours ([reconcile](../howto/reconcile.md)), *tracked* that it is polled for
parcels. A refund goes to the provider of its transaction; what a provider without refunds took is given back by hand, or
by a service of yours that `ORDERS_REFUND_URL` names for it ([the contract](standard-provider.md)).
"""
RULES_HEAD = """
## Refunds

What each provider's refunds go by, as its documentation has it. *Key*: for so long the same idempotency key is the same
refund; *answer*: how long it may take; *open*: its words for a refund whose end is still to come; *in doubt*: its codes
for what may have happened, or still may, so that it is asked; *compares*: it refuses
where what can still go back is not what we think. A code of *never* is a dead letter at once, with what to do.

| provider | key | answer | open | in doubt | compares | from |
|---|---|---|---|---|---|---|"""
ACCOUNTS_HEAD = """
## Bank accounts

Refunds of these payments go into a bank account of the customer's: `PUT /api/orders/{id}/refund-account`.

| provider | payment method | banks |
|---|---|---|"""
DOORS = {"payments": "/webhooks/payments", "carrier": "/webhooks/carriers"}


def page(providers: Iterable[Provider] = OURS) -> str:
    """The page: what each provider can do, then its settings."""
    providers = list(providers)
    lines = [
        HEAD,
        "| provider | webhooks | looked up | refunds | compared | tracked | how it tells |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [row(each) for each in providers]
    lines += RULES_HEAD.splitlines()
    with_rules = [(each, each.refund_rules) for each in providers if each.refund_rules is not None]
    lines += [rules_row(each, rules) for each, rules in with_rules]
    lines += ["", "| provider | never | what to do |", "|---|---|---|"]
    lines += [
        f"| {each.title} | `{code}` | {step} |"
        for each, rules in with_rules
        for code, step in sorted(rules.final.items())
    ]
    lines += ACCOUNTS_HEAD.splitlines()
    lines += [accounts_row(each, rules) for each, rules in with_rules if rules.banks]
    lines += ["", "## Settings", "", "| setting | default | what it is |", "|---|---|---|"]
    for each in providers:
        lines += settings(each)
    return "\n".join(lines) + "\n"


def row(provider: Provider) -> str:
    """One provider in the table."""
    cells = [f"**{provider.title}** `{provider.name}`"]
    for word, offer in (
        ("receives", provider.receives),
        ("looks_up", provider.looks_up),
        ("refunds", provider.refunds),
        ("lists", provider.lists),
        ("tracks", provider.tracks),
    ):
        needs = " and ".join(f"`{need.name}`" for need in offer.needs) if offer is not None else "–"
        path = f"`{DOORS[provider.kind]}/{provider.name}`: " if word == "receives" and offer is not None else ""
        cells.append(path + needs)
    return f"| {' | '.join([*cells, provider.note])} |"


def rules_row(provider: Provider, rules: RefundRules) -> str:
    """One provider's rules in the table."""
    hours = rules.key_life.total_seconds() / 3600
    life = f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"
    words = ", ".join(f"`{word}`" for word in rules.open_words) or "–"
    doubt = ", ".join(f"`{code}`" for code in sorted(rules.in_doubt)) or "–"
    compares = "yes" if rules.compares else "–"
    cells = (provider.title, life, f"{rules.answer_s:g} s", words, doubt, compares, rules.source)
    return f"| {' | '.join(cells)} |"


def accounts_row(provider: Provider, rules: RefundRules) -> str:
    """One provider that takes bank accounts: for which payments, and its codes of banks."""
    words = {"always": "", "next_month": ", once their month is over"}
    methods = "; ".join(f"`{method}`{words[when]}" for method, when in rules.account_methods.items())
    return f"| {provider.title} | {methods} | {', '.join(f'`{bank}`' for bank in sorted(rules.banks))} |"


def settings(provider: Provider) -> Iterator[str]:
    """Its settings, a row each."""
    for each in provider.settings:
        default = f"`{each.default}`" if each.default else "–"
        secret = "; secret" if each.secret else ""
        yield f"| `{each.name}` | {default} | {provider.title}: {each.meaning}{secret} |"


if __name__ == "__main__":
    sys.stdout.write(page())
