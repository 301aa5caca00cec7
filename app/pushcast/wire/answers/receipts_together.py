"""Receipts of neighbouring records: those that are laid out alike are read together.

Receipts of one campaign differ in the values of their columns, and hardly in the sizes. Where the sizes are equal, the
columns stand at equal places. One call of `struct` then takes all of them apart, and the bytes that say how they are
laid out are compared by column. What is laid out otherwise, or is not as our writers write it, `receipt_reader` reads
one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.wire.answers.receipt_layouts import layout_of
from pushcast.wire.answers.receipt_reader import NOTE_AT, ReadReceipt, read_receipt

#: Fewer that are alike are read one by one.
_FEWEST: Final = 5


class ReadTogether(NamedTuple):
    """`receipts` in the order of the values that could be read; the others by their places."""

    receipts: list[ReadReceipt]
    refused: dict[int, InvalidInput]


def read_receipts(values: Sequence[bytes]) -> ReadTogether:
    """As `read_receipt` reads each of them."""
    found: list[ReadReceipt | None] = [None] * len(values)
    alike: dict[tuple[int, int, int], list[int]] = {}
    rest: list[int] = []
    for place, value in enumerate(values):
        try:
            note_size = value[NOTE_AT]
            sizes = len(value), note_size, value[NOTE_AT + 1 + (note_size >> 1)]
        except IndexError:
            rest.append(place)
            continue
        group = alike.get(sizes)
        if group is None:
            alike[sizes] = [place]
        else:
            group.append(place)
    for group in alike.values():
        read = None if len(group) < _FEWEST else _read_group([values[place] for place in group])
        if read is None:
            rest += group
        else:
            for place, receipt in zip(group, read, strict=True):
                found[place] = receipt
    refused: dict[int, InvalidInput] = {}
    for place in sorted(rest):
        try:
            found[place] = read_receipt(values[place])
        except InvalidInput as error:
            refused[place] = error
    return ReadTogether([each for each in found if each is not None], refused)


def _read_group(values: Sequence[bytes]) -> list[ReadReceipt] | None:
    """None: some are not laid out as the first, or not as our writers write them."""
    try:
        return layout_of(values[0]).read(values)
    except (IndexError, KeyError, TypeError, ValueError):  # TypeError: no time of six bytes
        return None
