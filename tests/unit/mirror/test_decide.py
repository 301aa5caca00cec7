"""What FCM is told of a token, and what follows from its answers."""

from __future__ import annotations

import pytest

from pushcast.mirror.decide import GIVE_UP_MS, MAX_PAUSE_SECONDS, after_answers, changes_of, is_given_up, pause_seconds
from pushcast.model.ownership import Token, TokenHolder, TokenTopics
from pushcast.providers.fcm.subscriptions import SubscriptionChange
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict

MIRRORED = ("a", "b")
DONE = Verdict(Disposition.ACCEPTED, None)
LATER = Verdict(Disposition.RETRY, "rate_limited", retry_after_seconds=7.0)


def told(*topics: str, is_new: bool = False) -> TokenTopics:
    token = Token("news", "fcm", bytes(16))
    return TokenTopics(token, b"u\0news\0d", TokenHolder("token", b"t", "", topics), is_new)


def test_every_mirrored_topic_is_told_and_no_other() -> None:
    assert changes_of(told("b", "unmirrored"), b"t", MIRRORED) == [
        SubscriptionChange(b"t", "a", follows=False),
        SubscriptionChange(b"t", "b", follows=True),
    ]


def test_of_a_token_that_nobody_had_nothing_is_taken_back() -> None:
    assert changes_of(told("b", is_new=True), b"t", MIRRORED) == [SubscriptionChange(b"t", "b", follows=True)]


def test_a_token_that_nobody_has_leaves_them_all() -> None:
    assert [change.follows for change in changes_of(told(), b"t", MIRRORED)] == [False, False]


def test_answers_are_counted_by_what_they_say() -> None:
    changes = changes_of(told("b"), b"t", MIRRORED)
    assert after_answers(changes, [DONE, DONE]) == (["left", "followed"], None)
    dead = Verdict(Disposition.INVALID, "unregistered")
    assert after_answers(changes, [DONE, dead]) == (["left", "unregistered"], None)
    assert after_answers(changes, [DONE, LATER]) == (["left"], LATER)


@pytest.mark.parametrize(("pauses", "seconds"), [(0, 7.0), (4, 16.0), (50, MAX_PAUSE_SECONDS)])
def test_a_pause_doubles_and_is_no_shorter_than_the_provider_says(pauses: int, seconds: float) -> None:
    assert pause_seconds(LATER, pauses) == seconds


def test_a_change_is_given_up_by_its_age_in_kafka() -> None:
    assert not is_given_up(1_000, 1_000 + GIVE_UP_MS)
    assert is_given_up(1_000, 1_001 + GIVE_UP_MS)
    assert not is_given_up(None, 10**13)
