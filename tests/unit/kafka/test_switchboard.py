"""Single records of the control topic, as commands write them."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.kafka import switchboard
from pushcast.model.errors import InvalidInput
from pushcast.wire.control.control import Entry, Halt, Kind, Name, SegmentRecord, WebhookOrder


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(switchboard, "write_record", lambda _, *record: found.append(record))
    return found


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        (Name(Kind.STOP, "b-1"), Halt(1, comment="x" * 501), "comment"),
        (Name(Kind.STOP, ""), Halt(1), "none of"),
        (Name(Kind.SEGMENT, "de"), SegmentRecord({}, "x" * 501), "comment"),
        (Name(Kind.WEBHOOK, "crm"), WebhookOrder("on", 1, -1), "from_ms"),
    ],
)
def test_what_every_reader_would_ignore_is_refused_and_not_written(
    written: list[Any], name: Name, entry: Entry, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        switchboard.write(Settings(), name, entry)
    assert written == []


def test_what_readers_take_is_written_and_ended(written: list[Any]) -> None:
    stop = Name(Kind.STOP, "b-1")
    switchboard.write(Settings(), stop, Halt(1, comment="x" * 500))
    switchboard.write(Settings(), stop, None)
    assert [(key, value is None) for _, key, value in written] == [(b"stop/b-1", False), (b"stop/b-1", True)]
