"""The `push-ledger` header: which delivery of which send record a receipt ends, readable without decoding the value.

Form: `group|send offset|delivery id`, offset in decimal, delivery id as 32 hex digits. The send partition is the
receipt's own partition.
"""

from __future__ import annotations

from typing import NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import DELIVERY_ID_BYTES
from pushcast.model.words import Reason

SEPARATOR = "|"


class LedgerEntry(NamedTuple):
    """An outcome in a sender's ledger."""

    group: str
    send_offset: int
    delivery_id: bytes


def prefix(group: str, send_offset: int) -> bytes:
    """What all entries of one send record begin with; append the delivery id's hex digits. The group holds no `|`."""
    if SEPARATOR in group:
        raise ValueError("a consumer group of a sender must not hold '|'")
    return f"{group}{SEPARATOR}{send_offset}{SEPARATOR}".encode()


def encode(group: str, send_offset: int, delivery_id: bytes) -> bytes:
    """Header value of one outcome."""
    return prefix(group, send_offset) + delivery_id.hex().encode()


def parse(value: bytes) -> LedgerEntry:
    """Raises InvalidInput (invalid_field) for anything that `encode` does not write."""
    parts = value.split(b"|")
    if len(parts) == 3 and len(parts[2]) == 2 * DELIVERY_ID_BYTES and parts[1].isdigit():
        try:
            return LedgerEntry(parts[0].decode(), int(parts[1]), bytes.fromhex(parts[2].decode()))
        except ValueError:
            pass  # neither hex nor UTF-8: refused below like any other wrong form
    raise InvalidInput(Reason.INVALID_FIELD, "push-ledger is not group|offset|32 hex digits", "push-ledger")
