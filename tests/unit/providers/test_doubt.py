from __future__ import annotations

from pushcast.model.clock import ManualClock
from pushcast.model.words import Platform
from pushcast.providers.doubt import Doubt
from pushcast.providers.port import Disposition, Result
from pushcast.providers.suspicion import Suspicion, SuspicionLimits


def doubt(least_answers: int = 10) -> Doubt:
    reasons = frozenset(("vapid_key_mismatch",))
    return Doubt("news", Platform.WEBPUSH, Suspicion(SuspicionLimits(least_answers)), reasons, ManualClock())


def accepted(count: int) -> list[Result]:
    return [Result(index, Disposition.ACCEPTED) for index in range(count)]


def invalid(reason: str, count: int) -> list[Result]:
    return [Result(index, Disposition.INVALID, reason, 400, invalid_since=5) for index in range(count)]


def test_a_few_refusals_are_believed() -> None:
    results = accepted(10) + invalid("vapid_key_mismatch", 5)
    assert doubt().applied(results) == results


def test_refusals_in_masses_are_a_matter_of_the_credential_and_others_stay_as_they_are() -> None:
    own = doubt()
    unregistered = invalid("device_unregistered", 1)
    applied = own.applied(accepted(1) + unregistered + invalid("vapid_key_mismatch", 10))
    assert own.suspicious
    assert applied[:2] == accepted(1) + unregistered
    assert {(result.disposition, result.reason, result.invalid_since) for result in applied[2:]} == {
        (Disposition.CREDENTIAL, "mass_invalid_tokens", None)
    }
    assert [result.target for result in applied[2:]] == list(range(10))


def test_tokens_that_are_gone_in_masses_are_believed() -> None:
    results = invalid("device_unregistered", 50)
    assert doubt().applied(results) == results


def test_what_says_nothing_about_tokens_does_not_count() -> None:
    own = doubt()
    own.applied([Result(0, Disposition.RETRY, "vapid_key_mismatch")] * 100)
    assert not own.suspicious
