"""Receipts that are written together are those that are written one by one, byte for byte and in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.batch import Notes
from pushcast.model.notification import Options
from pushcast.model.words import Lane, Platform
from pushcast.stream.ports import Barrier
from pushcast.stream.receipts import Receipts, ReceiptWriters, SentFrom
from pushcast.wire.answers.receipt_writer import TargetEnd
from pushcast.wire.headers import Headers
from twins.kafka import Produced, TwinOutbox
from unit.send.twin import T0, message

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
LONG_TEXT = TEXT | st.sampled_from(["x" * 8191, "x" * 8192])
COUNT = 4
LABELS = [
    Notes(),
    Notes(campaign=["spring"]),
    Notes(campaign=[None], variant=["b"], due_at=[T0 - 7]),
    Notes(kind=[1]),
    Notes(replay_of=["n-0"]),
]


class TogetherOutbox(TwinOutbox):
    """Takes many records at once."""

    def put_many(
        self, barrier: Barrier, topic: str, partition: int, records: list[tuple[bytes, bytes, Headers]]
    ) -> None:
        for value, key, headers in records:
            self.put(barrier, topic, partition, value, key, headers)


ENDS = st.lists(
    st.tuples(
        st.integers(0, COUNT - 1),
        st.none() | LONG_TEXT,
        st.none() | st.integers(100, 599),
        st.integers(T0, T0 + 3) | st.integers(-5, 2**50),
    ),
    max_size=6,
)


@given(
    ends=ENDS,
    users=st.lists(LONG_TEXT, min_size=COUNT, max_size=COUNT),
    versions=st.none() | st.lists(st.none() | TEXT, min_size=COUNT, max_size=COUNT),
    offsets=st.lists(st.integers(-3, 2**40), min_size=COUNT, max_size=COUNT),
    attempts=st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT),
    notes=st.sampled_from(LABELS),
    counted=st.booleans(),
    dry_run=st.booleans(),
    origin=st.builds(
        SentFrom, st.just(Platform.APNS), st.just(Lane.BULK), st.integers(0, 2), st.integers(0, 1), st.just(5)
    ),
    generation=st.sampled_from([1, 2]),
    word=st.sampled_from([("accepted", None), ("rejected", "too_big")]),
)
def test_receipts_written_together_are_those_written_one_by_one(
    ends: Sequence[TargetEnd],
    users: list[str],
    versions: list[str | None] | None,
    offsets: list[int],
    attempts: list[int],
    notes: Notes,
    counted: bool,
    dry_run: bool,
    origin: SentFrom,
    generation: int,
    word: tuple[str, str | None],
) -> None:
    sent = message(COUNT, options=Options(dry_run=dry_run))
    sent.targets = replace(sent.targets, user=users, app_version=versions, source_offset=offsets, attempt=attempts)
    sent.notes, sent.counted = notes, counted
    found: list[list[Produced]] = []
    for outbox in (TwinOutbox(), TogetherOutbox()):
        writer = ReceiptWriters(generation).of(origin, sent)
        Receipts(outbox).write_all(outbox.barrier(), 5, sent, writer, ends, *word, b"group|7|")
        found.append([put for _, put in outbox.pending])
    outbox = TwinOutbox()
    write = Receipts(outbox).writing(
        outbox.barrier(), 5, sent, ReceiptWriters(generation).of(origin, sent), ledger_prefix=b"group|7|"
    )
    for target, provider_id, status, ended_at in ends:
        write(target, *word, provider_id, status, ended_at)
    one_by_one = [put for _, put in outbox.pending]
    assert found == [one_by_one, one_by_one]
