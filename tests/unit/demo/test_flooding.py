"""The flood's writer on librdkafka's own broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pushcast.audit.reader import Books
from pushcast.config.settings import CONFIG_VARIABLE, Settings
from pushcast.demo.flooding import STEP, Flooding
from pushcast.demo.load import make_devices, make_flood
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics
from twins.broker import inner_broker

DEVICES, NOTIFICATIONS, SEED = 50, 1_000, 7


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    with inner_broker(topics.CANCEL, *map(topics.notification, Lane)) as servers:
        file = tmp_path / "pushcast.yaml"
        file.write_text(yaml.safe_dump({"kafka": {"bootstrap_servers": servers, "partitions": 4}}))
        monkeypatch.setenv(CONFIG_VARIABLE, str(file))
        yield Settings()


def test_the_whole_flood_is_written_once_it_is_asked_for_and_its_progress_told(settings: Settings) -> None:
    told: list[tuple[str, int, int]] = []
    lanes = [Lane(note.lane) for note in make_flood(NOTIFICATIONS, make_devices(DEVICES, SEED), SEED)]
    with Books(settings) as books:

        def written() -> dict[Lane, int]:
            return {lane: sum(books.end_offsets(topics.notification(lane))) for lane in Lane}

        with Flooding(DEVICES, NOTIFICATIONS, SEED) as flooding:
            assert sum(written().values()) == 0
            flooding.write(lambda *step: told.append(step))
        assert written() == {lane: lanes.count(lane) for lane in Lane}
    assert told[-1] == (STEP, len(lanes), len(lanes))


def test_a_writer_that_ends_before_all_is_written_is_an_error(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "none.yaml"))
    with Flooding(DEVICES, NOTIFICATIONS, SEED) as flooding, pytest.raises(PushcastError, match="after 0 of 900"):
        flooding.write(lambda *_: None)
