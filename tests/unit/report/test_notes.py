"""Sums of a note: their fields lie in stores and go between processes in their order."""

from __future__ import annotations

import msgspec
import pytest

from pushcast.report.notes import EndedSums, Note, PlannedSums, encode, joined

FULL = Note(
    *("n", "broadcast", "a", "k", "c", True, 1, 2, 3, {"apns": 4}, 5, 6, {"x": 7}, 8, 9),
    *({"e": 10}, {"l": 11}, [1, 2, 3], 12, 13, 14, [4, 5, 6], 15),
)


def test_a_note_has_the_fields_of_both_sums_in_their_order_with_their_defaults() -> None:
    of_note = {field.name: field for field in msgspec.structs.fields(Note)}
    fields = [*msgspec.structs.fields(PlannedSums), *msgspec.structs.fields(EndedSums)[2:]]
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
                "dc0017a16ea962726f616463617374a161a16ba163c301020381a461706e7304050681a17807080981a1650a",
                "81a16c0b930102030c0d0e930405060f",
            ),
        ),
        (
            Note("n", "notification"),
            ("dc0017a16eac6e6f74696669636174696f6ea0a0a0c2000000800000800000", "8080930000000000009300000000"),
        ),
    ],
)
def test_other_releases_read_these_bytes(note: Note, parts: tuple[str, str]) -> None:
    assert encode(note).hex() == "".join(parts)
