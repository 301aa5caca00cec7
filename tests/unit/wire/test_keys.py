"""Record keys."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire.keys import is_user, user_of


@given(st.none() | st.binary(max_size=300) | st.text(max_size=130).map(str.encode))
@example(b"u" * 256)
@example(b"u" * 257)
@example(b"\xff")
@example(b"u\0")
def test_a_key_is_a_user_when_it_can_be_read_as_one(key: bytes | None) -> None:
    try:
        user_of(key)
    except InvalidInput:
        assert not is_user(key)
    else:
        assert is_user(key)
