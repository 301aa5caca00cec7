"""Sums of a note: their fields lie in stores and go between processes in their order."""

from __future__ import annotations

import msgspec
import pytest

from pushcast.report.notes import EndedSums, Note, PlannedSums, decode, encode, joined

FULL = Note(
    *("n", "broadcast", "a", "k", "c", True, 1, 2, 3, {"apns": 4}, 5, 6, {"x": 7}, 8, 9),
    *({"e": 10}, {"l": 11}, [1, 2, 3], 12, 13, 14, [4, 5, 6], 15, {"v": 16}, {"w": 17}),
)
#: Of PlannedSums, that stand before those of EndedSums.
FIRST_FIELDS = 15


def test_a_note_has_the_fields_of_both_sums_in_their_order_with_their_defaults() -> None:
    of_note = {field.name: field for field in msgspec.structs.fields(Note)}
    planned, ended = msgspec.structs.fields(PlannedSums), msgspec.structs.fields(EndedSums)
    # What came later stands at the end, where releases before look for nothing.
    fields = [*planned[:FIRST_FIELDS], *ended[2:], *planned[FIRST_FIELDS:]]
    assert list(of_note) == [field.name for field in fields]
    for field in fields:
        assert of_note[field.name].type == field.type
    assert Note("n", "broadcast") == joined(None, encode(EndedSums("n", "broadcast")))


@pytest.mark.parametrize(
    ("note", "parts"),
    [
        (
            FULL,
            (
                "dc0019a16ea962726f616463617374a161a16ba163c301020381a461706e7304050681a17807080981a1650a",
                "81a16c0b930102030c0d0e930405060f81a17610",
                "81a17711",
            ),
        ),
        (
            Note("n", "notification"),
            ("dc0019a16eac6e6f74696669636174696f6ea0a0a0c2000000800000800000", "80809300000000000093000000008080"),
        ),
    ],
)
def test_other_releases_read_these_bytes(note: Note, parts: tuple[str, str]) -> None:
    assert encode(note).hex() == "".join(parts)


def test_what_releases_before_wrote_is_read() -> None:
    short = bytes.fromhex("dc0017a16eac6e6f74696669636174696f6ea0a0a0c20000008000008000008080930000000000009300000000")
    assert decode(short) == Note("n", "notification")
