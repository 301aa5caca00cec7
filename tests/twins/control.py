"""A control topic in memory, for commands that read and write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pushcast.config.settings import Settings
from pushcast.wire.control.control import Entry, Name, Subject, encode
from pushcast.wire.control.control_state import ControlState


def control_in_memory(monkeypatch: pytest.MonkeyPatch, folder: Path, configuration: str) -> ControlState:
    """What the commands read and write from now on, under this configuration, which is put into the folder."""
    state = ControlState()

    def write(_: Settings, subject: Subject | Name, entry: Entry | None) -> None:
        state.apply(subject.key(), None if entry is None else encode(entry))

    monkeypatch.setattr("pushcast.kafka.switchboard.read_state", lambda _: state)
    monkeypatch.setattr("pushcast.kafka.switchboard.write", write)
    path = folder / "pushcast.yaml"
    path.write_text(configuration)
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    return state
