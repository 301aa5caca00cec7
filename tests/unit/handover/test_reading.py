"""Spans on librdkafka's own broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pushcast.handover import reading
from pushcast.handover.reading import SpanReader, TailUnreadable
from twins.broker import TOO_LARGE, inner_broker, write


@pytest.fixture
def broker() -> Iterator[str]:
    with inner_broker() as servers:
        yield servers


async def read(broker: str, spans: dict[tuple[str, int], tuple[int, int]]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    reader = SpanReader(broker)
    await reader.read(spans, lambda each: found.append((each.topic(), each.partition(), each.offset())))  # type: ignore[arg-type]
    return found


async def test_every_record_of_the_spans_is_read_and_none_beyond(broker: str) -> None:
    for partition in (0, 1):
        write(broker, "a", partition, *[b"x"] * 6)
    spans = {("a", 0): (2, 5), ("a", 1): (0, 6)}
    wanted = [("a", 0, at) for at in range(2, 5)] + [("a", 1, at) for at in range(6)]
    assert sorted(await read(broker, spans)) == wanted


async def test_a_log_that_retention_took_whole_has_been_read(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 5.0)
    write(broker, "a", 0, b"x", b"x", TOO_LARGE)
    write(broker, "a", 1, b"x")
    assert await SpanReader(broker).ends([("a", 0), ("a", 1)]) == {("a", 0): 3, ("a", 1): 1}
    assert await asyncio.wait_for(read(broker, {("a", 0): (1, 3), ("a", 1): (0, 1)}), 60) == [("a", 1, 0)]


async def test_a_log_that_ends_before_its_span_does_is_told(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENCE_SECONDS", 0.5)
    write(broker, "a", 0, b"x", b"x")
    with pytest.raises(TailUnreadable, match=r"no record within .* from \[\('a', 0\)\]"):
        await asyncio.wait_for(read(broker, {("a", 0): (0, 3)}), 60)
