"""The one tree of our errors: each is a sentence that names the value and the remedy, and has a code that stays.

    OrdersError
    ├── EnvelopeError       (events.envelope)        event_refused              what came is no event that can be kept
    ├── BodyError           (events.catalogue)       event_unreadable           a kept event that cannot be applied
    │   ├── UnknownType     (events.catalogue)       event_type_unknown
    │   ├── UnknownVersion  (events.catalogue)       event_version_unknown
    │   └── Malformed       (events.catalogue)       event_malformed
    ├── MoneyError          (events.money)           amount_refused
    ├── WrongKind           (domain.ids)             id_of_another_kind
    ├── QueryError          (queries.errors)         query_refused
    ├── SettingsError       (settings.fields)        setting_refused
    ├── ProviderError       (providers.base)         provider
    │   ├── BadSignature    (providers.base)         signature_refused
    │   ├── NoAnswer        (providers.base)         provider_silent
    │   │   ├── ParcelUnknown  (providers.base)      parcel_unknown
    │   │   ├── ParcelRefused  (providers.base)      parcel_refused
    │   │   └── RateLimited    (providers.base)      provider_limited
    │   ├── NotTold         (providers.base)         payment_unknown_there
    │   └── RefundError     (providers.base)         refund
    │       ├── RefundRefused  (providers.base)      refund_refused
    │       │   └── RefundAccountRefused  (providers.base)  refund_account_refused
    │       ├── RefundNotMade  (providers.base)      refund_not_made
    │       │   └── RefundStale  (providers.base)    refund_stale
    │       └── RefundUnknown  (providers.base)      refund_unknown
    ├── StorageError        (storage.migrate)        storage
    │   ├── ServerTooOld    (storage.migrate)        server_too_old
    │   └── SchemaError     (storage.migrate)        schema
    │       ├── SchemaAbsent  (storage.migrate)      schema_absent
    │       └── SchemaNewer   (storage.migrate)      schema_newer
    ├── CommandError        (journal.commands)       command                    a request that was not done
    │   ├── Refused         (journal.commands)       state_forbids
    │   ├── Known           (journal.commands)       idempotency_key_expired
    │   ├── KeyReused       (journal.commands)       idempotency_key_reused
    │   ├── Unfit           (journal.commands)       value_refused
    │   ├── Busy            (journal.commands)       busy
    │   ├── CorrectionRefused  (operations.corrections)  correction_refused
    │   ├── OrderChanged    (operations.order_acts)  order_changed
    │   └── OrderAbsent     (operations.order_acts)  order_absent
    ├── Paused              (journal.pauses)         paused                     it rests until somebody resumes it
    ├── PauseError          (operations.pauses)      pause
    │   ├── PauseRefused    (operations.pauses)      pause_refused
    │   └── PauseAbsent     (operations.pauses)      pause_absent
    ├── CustomerUnknown     (operations.privacy)     customer_unknown
    ├── AccountsOff         (outbound.refund_accounts)         refund_accounts_off
    ├── AccountInUse        (outbound.refund_accounts)         refund_under_way
    ├── SubscriptionError   (outbound.webhooks.subscriptions)  subscription_refused
    ├── Forbidden           (outbound.webhooks.ssrf_guard)     webhook_url_refused
    ├── LeaseLost           (outbound.reconciliation.runs)      reconciliation_elsewhere
    ├── FindingUnknown      (outbound.reconciliation.findings)  finding_unknown
    ├── FindingClosed       (outbound.reconciliation.findings)  finding_closed
    ├── DeadLetterError     (operations.dead_letters)          dead_letters
    │   ├── LetterUnknown   (operations.dead_letters)          dead_letter_unknown
    │   ├── NameAmbiguous   (operations.dead_letters)          dead_letter_ambiguous
    │   ├── LetterClosed    (operations.dead_letters)          dead_letter_closed
    │   └── EditRefused     (operations.dead_letters)          edit_refused
    ├── ReasonAbsent        (operations.acts)                  act_reason_absent
    ├── PatchRefused        (operations.edits)                 patch_refused
    ├── GivenUpError        (operations.given_up)              given_up
    │   ├── ThingUnknown    (operations.given_up)              given_up_unknown
    │   ├── FilterEmpty     (operations.given_up)              given_up_filter_empty
    │   ├── TooMany         (operations.given_up)              given_up_too_many
    │   └── NotEditable     (operations.given_up_changes)      given_up_not_editable
    ├── ReplayError         (operations.replays)               replay
    │   ├── ReplayUnknown   (operations.replays)               replay_unknown
    │   ├── ReplayEmpty     (operations.replays)               replay_empty
    │   └── ReplayOver      (operations.replays)               replay_over
    ├── RefundDecisionError (operations.refund_decisions)      refund_decision
    │   ├── RefundAbsent    (operations.refund_decisions)      refund_absent
    │   └── RefundConflict  (operations.refund_decisions)      refund_conflict
    ├── OperatorError       (operations.operators)   operator_refused
    │   ├── OperatorUnknown (operations.operators)   operator_unknown
    │   └── LoginRefused    (operations.operators)   login_refused
    │       └── LoginTooSoon  (operations.operators)  login_too_soon
    ├── ApiError            (api.errors)             request_refused            an HTTP answer; its `name` says more
    ├── Away                (api.console.outage)     console_away
    ├── NotLoggedIn         (api.console.session)    console_login
    ├── NotAllowed          (api.console.session)    console_forbidden
    ├── FieldRefused        (api.console.order_acts) console_field
    ├── NoteNeeded          (api.console.lists)      console_note
    ├── EditUnclear         (api.console.given_up_acts) console_edit
    ├── InvalidJson         (api.commands.json_body) json_invalid
    ├── Problem             (cli.options)            problem                    what ends a command
    ├── OlistError          (cli.ingest.olist)       olist_unreadable
    └── BenchError          (bench.servers)          bench

docs/reference/errors.md is made from it. What one part of ours tells another within a room (that a rival was faster,
say) is no error of this tree, and neither are those of `embedded/` and `client/`, which import nothing of ours.
"""

from __future__ import annotations

from typing import ClassVar


class OrdersError(Exception):
    """Anything of ours that went wrong and that somebody can mend."""

    code: ClassVar[str] = "orders"  # stable: programs and runbooks may know it
    remedy: ClassVar[str] = "Do as the message says."  # in general; the message has the remedy of the case
    status: int | None = None  # of an HTTP answer that tells it; None: no request meets it
    exit_code: int = 1  # of a command that it ends: 1 found a problem, 2 wrong use
