"""The settings that decide, kept with every result."""

from __future__ import annotations

from datetime import timedelta

import orjson

from domain.policy import RULES, Policy


def test_a_policy_survives_the_database():
    policy = Policy(
        currency="USD", returns="staff", refunds="staff", unpaid_after=None, confirm_after=timedelta(days=1.5),
        return_window=timedelta(0), parked_for=timedelta(minutes=1), grace=timedelta(seconds=0.5),
    )  # fmt: skip
    assert Policy.parse(orjson.loads(orjson.dumps(policy.as_document()))) == policy
    assert Policy.parse(Policy().as_document()) == Policy()


def test_periods_are_written_in_seconds_and_one_that_is_off_as_null():
    document = Policy(confirm_after=None).as_document()
    assert (document["unpaid_after"], document["confirm_after"]) == (86_400, None)


def test_a_policy_of_an_older_release_takes_the_defaults_of_what_it_did_not_know():
    assert Policy.parse({"currency": "USD"}) == Policy(currency="USD", rules=1)


def test_rules_are_the_releases_and_those_of_the_first_were_not_written():
    assert Policy().as_document()["rules"] == RULES
    assert Policy.parse({}).rules == 1


def test_a_policy_of_a_newer_release_is_read_as_far_as_it_is_known():
    assert Policy.parse({"currency": "USD", "moon_phase": "full"}) == Policy(currency="USD", rules=1)


def test_the_defaults_are_those_of_the_contract():
    policy = Policy()
    assert (policy.currency, policy.returns, policy.refunds) == ("KRW", "auto", "auto")
    assert (policy.unpaid_after, policy.confirm_after) == (timedelta(hours=24), timedelta(days=7))
    assert (policy.return_window, policy.parked_for) == (timedelta(days=30), timedelta(hours=72))
    assert policy.grace == timedelta(hours=1)
