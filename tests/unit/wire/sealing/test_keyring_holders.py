"""Which processes are there, from what they say of themselves."""

from __future__ import annotations

import msgspec

from pushcast.wire.sealing.keyring import KeyringRole
from pushcast.wire.sealing.keyring_holders import LIVE_SECONDS, Holder, encode, key_of, live

T0 = 1_800_000_000_000
SENDER = Holder(KeyringRole.SENDER, "host-1", 7, frozenset({"t1"}), None, T0)
REGISTRAR = Holder(KeyringRole.REGISTRAR, "host-1", 8, frozenset({"t1", "t2"}), "t2", T0)


def test_the_last_word_of_each_process_counts() -> None:
    later = msgspec.structs.replace(SENDER, ids=frozenset({"t1", "t2"}))
    records = [(key_of("s"), encode(SENDER)), (key_of("r"), encode(REGISTRAR)), (key_of("s"), encode(later))]
    assert live(records, T0) == [REGISTRAR, later]
    assert [holder.name for holder in live(records, T0)] == ["registrar host-1:8", "sender host-1:7"]


def test_who_ended_or_is_silent_is_not_there() -> None:
    records = [(key_of("s"), encode(SENDER)), (key_of("r"), encode(REGISTRAR)), (key_of("s"), None)]
    assert live(records, T0) == [REGISTRAR]
    assert live(records, T0 + round(LIVE_SECONDS * 1000)) == [REGISTRAR]
    assert live(records, T0 + round(LIVE_SECONDS * 1000) + 1) == []


def test_what_others_write_there_is_left_out() -> None:
    strange = [(b"where/g/0", b"{}"), (None, b"x"), (key_of("x"), b"{"), (key_of("y"), b"{}")]
    assert live([*strange, (key_of("s"), encode(SENDER))], T0) == [SENDER]
