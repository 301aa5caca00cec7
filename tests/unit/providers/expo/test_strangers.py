from __future__ import annotations

from pushcast.providers.expo.strangers import MAX_TOKENS, Strangers

OURS, THEIRS = b"ExponentPushToken[ours]", b"ExponentPushToken[theirs]"


def test_a_token_is_foreign_when_it_is_refused_again_after_others_were_served() -> None:
    strangers = Strangers()
    assert not strangers.refused(THEIRS, 1.0)
    assert not strangers.refused(THEIRS, 2.0)
    strangers.served([OURS], 3.0)
    assert strangers.refused(THEIRS, 4.0)


def test_what_left_before_the_refusal_clears_no_credential() -> None:
    strangers = Strangers()
    strangers.served([OURS], 1.0)
    assert not strangers.refused(THEIRS, 2.0)
    strangers.served([OURS], 1.5)
    assert not strangers.refused(THEIRS, 3.0)


def test_only_tickets_are_service() -> None:
    strangers = Strangers()
    assert not strangers.served_since(0.0)
    strangers.served([OURS], 1.0)
    assert strangers.served_since(1.0)
    assert not strangers.served_since(1.5)


def test_a_token_that_is_served_was_never_foreign() -> None:
    strangers = Strangers()
    assert not strangers.refused(OURS, 1.0)
    strangers.served([OURS], 2.0)
    assert not strangers.refused(OURS, 3.0)


def test_only_so_many_refusals_are_remembered() -> None:
    strangers = Strangers()
    for number in range(MAX_TOKENS + 1):
        strangers.refused(b"%d" % number, float(number))
    strangers.served([OURS], 1e6)
    assert strangers.refused(b"1", 2e6)
    assert not strangers.refused(b"0", 2e6)
