from __future__ import annotations

from random import Random

import pytest

from pushcast.model.words import Outcome
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Again, End, Later, Park, Policy, decide

POLICY = Policy(attempts=2)


def verdict(
    disposition: Disposition,
    reason: str | None = None,
    *,
    tries: int = 1,
    doubtful: bool = False,
    at_most_once: bool = False,
    dry_run: bool = False,
    retry_after: float | None = None,
    policy: Policy = POLICY,
) -> End | Again | Later | Park:
    result = Result(0, disposition, reason, retry_after_seconds=retry_after)
    return decide(
        result,
        tries=tries,
        doubtful=doubtful,
        at_most_once=at_most_once,
        dry_run=dry_run,
        policy=policy,
        random=Random(4),
    )


@pytest.mark.parametrize(
    ("disposition", "reason", "end"),
    [
        (Disposition.ACCEPTED, None, End(Outcome.ACCEPTED)),
        (Disposition.INVALID, "device_unregistered", End(Outcome.INVALID, "device_unregistered", True)),
        (Disposition.INVALID, None, End(Outcome.INVALID, "device_unregistered", True)),
        (Disposition.REJECTED, "payload_too_large", End(Outcome.REJECTED, "payload_too_large")),
        (Disposition.REJECTED, None, End(Outcome.REJECTED, "bad_request")),
        (Disposition.REJECTED, "nothing_to_show", End(Outcome.SUPPRESSED, "nothing_to_show")),
    ],
)
def test_a_final_answer_ends_the_delivery_at_its_first_try(
    disposition: Disposition, reason: str | None, end: End
) -> None:
    assert verdict(disposition, reason) == end


@pytest.mark.parametrize(
    ("disposition", "reason", "dead"),
    [
        (Disposition.RETRY, "rate_limited", "rate_limited"),
        (Disposition.RETRY, None, "provider_error"),
        (Disposition.UNSENT, None, "connection_failed"),
        (Disposition.CREDENTIAL, "expired_provider_token", "credential_refused"),
        (Disposition.UNKNOWN, None, "unknown_outcome"),
        (Disposition.UNKNOWN, "connection_failed", "unknown_outcome"),
    ],
)
def test_an_error_that_may_pass_is_tried_again_and_then_dead(
    disposition: Disposition, reason: str | None, dead: str
) -> None:
    first = verdict(disposition, reason, tries=1)
    assert isinstance(first, Again)
    assert first.doubtful is (disposition is Disposition.UNKNOWN)
    assert verdict(disposition, reason, tries=2) == End(Outcome.DEAD, dead)


def test_what_may_have_arrived_at_an_earlier_try_is_dead_as_unknown_whatever_failed_last() -> None:
    assert verdict(Disposition.RETRY, "rate_limited", tries=2, doubtful=True) == End(Outcome.DEAD, "unknown_outcome")


def test_at_most_once_is_never_sent_again_when_the_answer_is_lost() -> None:
    assert verdict(Disposition.UNKNOWN, at_most_once=True) == End(Outcome.REJECTED, "unknown_outcome")


def test_at_most_once_is_sent_again_when_it_certainly_did_not_arrive() -> None:
    assert isinstance(verdict(Disposition.UNSENT, at_most_once=True), Again)
    assert isinstance(verdict(Disposition.RETRY, at_most_once=True), Again)


def test_a_dry_run_never_reports_a_token() -> None:
    assert verdict(Disposition.INVALID, dry_run=True) == End(Outcome.INVALID, "device_unregistered", False)


def test_the_providers_own_delay_is_waited_for_up_to_the_limit() -> None:
    assert 2.0 <= verdict(Disposition.RETRY, retry_after=2.0).delay_seconds <= 2.2  # type: ignore[union-attr]
    assert verdict(Disposition.RETRY, retry_after=600.0).delay_seconds == 5.0  # type: ignore[union-attr]


def test_delays_double_with_jitter_and_stay_below_the_limit() -> None:
    policy = Policy(attempts=10)
    delays = [verdict(Disposition.RETRY, tries=n, policy=policy).delay_seconds for n in range(1, 10)]  # type: ignore[union-attr]
    assert 0.125 <= delays[0] <= 0.25
    assert 0.25 <= delays[1] <= 0.5
    assert max(delays) == 5.0
