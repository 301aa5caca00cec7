"""Cookies that prove themselves, and the tokens of forms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.console.session import Sessions, is_token
from pushcast.wire.control.api_keys import Presented

NOW_MS = 1_790_000_000_000
WHO = Presented("abcdefgh", "0" * 64)
SESSIONS = Sessions(b"a" * 32, 60)


def test_a_cookie_is_read_until_its_time_is_over() -> None:
    cookie = SESSIONS.cookie(WHO, NOW_MS)
    session = SESSIONS.read(cookie, NOW_MS + 59_999)
    assert session is not None
    assert session.presented == WHO
    assert SESSIONS.read(cookie, NOW_MS + 60_000) is None


def test_a_cookie_of_another_secret_or_with_another_end_is_refused() -> None:
    cookie = SESSIONS.cookie(WHO, NOW_MS)
    key_id, digest, until, mac = cookie.split(".")
    assert Sessions(b"b" * 32, 60).read(cookie, NOW_MS) is None
    assert SESSIONS.read(".".join((key_id, digest, str(int(until) + 1), mac)), NOW_MS) is None


@given(st.one_of(st.none(), st.text(max_size=300)))
def test_no_text_is_a_cookie_and_none_raises(text: str | None) -> None:
    assert SESSIONS.read(text, NOW_MS) is None


def test_a_form_carries_the_token_of_its_own_session() -> None:
    mine = SESSIONS.read(SESSIONS.cookie(WHO, NOW_MS), NOW_MS)
    other = SESSIONS.read(SESSIONS.cookie(Presented("bbbbbbbb", "0" * 64), NOW_MS), NOW_MS)
    assert mine is not None
    assert other is not None
    assert is_token(mine, mine.token)
    for wrong in ("", other.token, mine.token[:-1], "ü" * 64, "\ud800"):
        assert not is_token(mine, wrong)


def test_the_token_does_not_tell_the_cookie_and_is_none() -> None:
    cookie = SESSIONS.cookie(WHO, NOW_MS)
    session = SESSIONS.read(cookie, NOW_MS)
    assert session is not None
    assert session.token not in cookie
