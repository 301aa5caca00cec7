"""Who is there, as apps tell (A6 of reference/time.md: offline users skip the wait)."""

from __future__ import annotations

from pushcast.model.activity import MAX_DEVICES, Active

NOW = 1_000_000


def test_a_user_is_there_until_the_app_says_so_and_in_that_app_alone() -> None:
    active = Active(known_from=0)
    active.hear("ann", "chat", "phone", NOW, NOW + 60)
    assert active.may_be("ann", "chat", NOW + 59)
    assert not active.may_be("ann", "chat", NOW + 60)
    assert not active.may_be("ann", "news", NOW)
    assert not active.may_be("bob", "chat", NOW)


def test_the_newest_word_of_a_device_counts_and_other_devices_have_their_own() -> None:
    active = Active(known_from=0)
    active.hear("ann", "chat", "phone", NOW, NOW + 60)
    active.hear("ann", "chat", "phone", NOW + 5, NOW + 5)
    active.hear("ann", "chat", "phone", NOW, NOW + 60)  # it comes late
    assert not active.may_be("ann", "chat", NOW + 6)
    active.hear("ann", "chat", "desk", NOW, NOW + 60)
    assert active.may_be("ann", "chat", NOW + 6)


def test_of_what_was_told_before_nothing_is_known_so_everybody_may_be_there_for_a_while() -> None:
    active = Active(known_from=NOW + 120)
    assert active.may_be("ann", "chat", NOW + 119)
    assert not active.may_be("ann", "chat", NOW + 120)
    active.hear("ann", "chat", "phone", NOW, NOW)
    assert active.may_be("ann", "chat", NOW + 1), "another device may have said so"


def test_the_newest_are_remembered() -> None:
    active = Active(known_from=0, limit=2)
    for user in ("ann", "bob", "cem"):
        active.hear(user, "chat", "phone", NOW, NOW + 60)
    assert [active.may_be(user, "chat", NOW) for user in ("ann", "bob", "cem")] == [False, True, True]
    for number in range(MAX_DEVICES):
        active.hear("bob", "chat", f"d{number}", NOW, NOW)
    assert not active.may_be("bob", "chat", NOW), "eight other devices have said more since"
