from __future__ import annotations

from collections import Counter

from pushcast.settle.letters import Letter, read_letter
from pushcast.settle.remains import what_is_left
from pushcast.wire.sending.batches import decode_batch, encode_batch
from unit.send.twin import T0, message, send_batch
from unit.settle.test_letters import NOTES, SEND, raw


def letter(count: int = 4, *, reason: bytes = b"rate_limited", run: int = 0, expires_at: int = T0 + 1000) -> Letter:
    value = encode_batch(send_batch(message(count, expires_at=expires_at), run=run))
    return read_letter(raw(SEND, value, ("push.errors.reason", reason)))


def ids(of: Letter) -> list[bytes]:
    assert of.batch is not None
    return of.batch.messages[0].targets.delivery_id


def test_only_deliveries_that_ended_dead_or_have_no_receipt_go_again() -> None:
    dead = letter()
    one, two, three, four = ids(dead)
    last = {one: ("accepted", 1), two: ("dead", 0), three: ("invalid", 0), four: ("dead", 1)}
    value, deliveries, left_out = what_is_left(dead, last, T0, False)
    assert value is not None
    batch = decode_batch(value)
    assert (batch.messages[0].targets.delivery_id, batch.run, deliveries) == ([two], 1, 1)
    assert left_out == Counter(accepted=1, invalid=1, later_run=1)
    assert what_is_left(dead, {}, T0, False)[1] == 4


def test_nothing_is_written_when_nothing_is_left() -> None:
    dead = letter(1)
    assert what_is_left(dead, {ids(dead)[0]: ("accepted", 0)}, T0, False) == (None, 0, Counter(accepted=1))
    assert what_is_left(letter(2, expires_at=T0), {}, T0, False) == (None, 0, Counter(past_expiry=2))


def test_what_may_have_arrived_goes_only_when_asked_for() -> None:
    dead = letter(2, reason=b"unknown_outcome")
    assert what_is_left(dead, {}, T0, False) == (None, 0, Counter(in_doubt=2))
    assert what_is_left(dead, {}, T0, True)[1:] == (2, Counter())


def test_a_letter_that_is_older_than_the_receipts_that_are_kept_is_not_judged() -> None:
    dead = letter(2)
    one, _ = ids(dead)
    at = dead.first_seen_at
    assert what_is_left(dead, {}, T0, False, at)[1] == 2
    assert what_is_left(dead, {}, T0, False, at + 1) == (None, 0, Counter(not_judgeable=2))
    assert what_is_left(dead, {one: ("dead", 0)}, T0, False, at + 1)[1:] == (1, Counter(not_judgeable=1))


def test_an_event_goes_back_byte_for_byte() -> None:
    assert what_is_left(read_letter(raw(NOTES, b'{"id": ')), {}, T0, False) == (b'{"id": ', 0, Counter())
    assert what_is_left(read_letter(raw(NOTES, None)), {}, T0, False) == (None, 0, Counter())
