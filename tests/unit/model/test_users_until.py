"""Users of whom something was told lately."""

from __future__ import annotations

from pushcast.model.users_until import UsersUntil


def test_it_covers_what_was_written_until_then_of_that_user() -> None:
    users = UsersUntil()
    assert not users
    users.add(b"ann", 10)
    assert users
    assert (users.covers(b"ann", 10), users.covers(b"ann", 11), users.covers(b"bob", 0)) == (True, False, False)


def test_an_older_word_takes_nothing_back_and_beyond_the_limit_the_oldest_goes() -> None:
    users = UsersUntil(limit=2)
    for user, at in ((b"ann", 10), (b"bob", 10), (b"ann", 5), (b"cyd", 10)):
        users.add(user, at)
    assert users.covers(b"ann", 10), "said again it is young again"
    assert not users.covers(b"bob", 10)
