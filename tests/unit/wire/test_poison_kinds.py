"""Every kind of bad record that the flow test writes is refused by its decoder, by field and limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiokafka.record.memory_records import MemoryRecords

from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.devices import DeviceChangeDecoder
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from twins.poison import Poison, anywhere, changes, notes
from twins.raw_kafka import CODECS, RawRecord, batch

T0 = 1_800_000_000_000
NOTES = NotificationDecoder(["news"], {"default": ClassRule(86_400_000)})
CHANGES = DeviceChangeDecoder({"news"})


def note(value: bytes | None) -> object:
    return NOTES.decode("user-1", value, T0)


def change(value: bytes | None) -> object:
    return CHANGES.decode("user-1", value, T0)


CASES = [
    *((note, kind) for kind in (*notes(), *anywhere())),
    *((change, kind) for kind in (*changes(), *anywhere())),
]


@pytest.mark.parametrize(
    ("decode", "kind"), [pytest.param(*case, id=f"{case[0].__name__}: {case[1].name}") for case in CASES]
)
def test_it_is_refused_by_field_and_limit(decode: Callable[[bytes | None], object], kind: Poison) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(kind.value)
    assert kind.field in (None, refused.value.field)
    assert kind.limit in str(refused.value)


def test_names_of_the_kinds_are_distinct() -> None:
    for kinds in (list(notes()), list(changes()), list(anywhere())):
        assert len({kind.name for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_of_our_own_bytes_is_read_by_a_client_as_it_was_meant(codec: str) -> None:
    records = [RawRecord(b"k", b"v", [(b"x", None)], 7), RawRecord(None, None, [], 9)]
    found = MemoryRecords(batch(records, CODECS[codec])).next_batch()
    assert found is not None
    assert found.validate_crc()
    assert [(each.key, each.value, each.timestamp, list(each.headers)) for each in found] == [
        (b"k", b"v", 7, [("x", None)]),
        (None, None, 9, []),
    ]
