"""A provider that has sent a million pushes holds no more than one that has sent a few thousand."""

from __future__ import annotations

import gc
import resource
import sys
from collections import Counter

import pytest

from pushcast.http2.frames import (
    DATA,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    HEADERS,
    PACK_U32,
    SETTINGS_INITIAL_WINDOW_SIZE,
    frame_prefix,
    pack_window_update,
)
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.listener import State
from pushcast.http2.request import RequestJob, Template
from pushcast.model.clock import ManualClock
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.client import Setup
from pushcast.providers.engines.engine import Columns, OnOutcomes
from pushcast.providers.port import Disposition, Result
from twins.steady import Steady
from unit.http2.wire import Wire
from unit.providers.messages import message

_END = FLAG_END_HEADERS | FLAG_END_STREAM
_ERROR = b'{"reason":"Unregistered","timestamp":1700000000000}'
_ERROR_HEADERS = b"\x08\x03410"


class MemoryEngine(Steady):
    """A real connection on a transport made of lists, whose peer refuses every tenth token and accepts the others."""

    def __init__(self) -> None:
        self._wire = Wire()
        self._wire.settle({SETTINGS_INITIAL_WINDOW_SIZE: 1 << 20})
        self._next_id = 1

    async def start(self) -> None:
        return

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        wire = self._wire
        job = RequestJob(template, columns, timeout_seconds, on_outcomes, size=size, may_leave=may_leave)
        wire.queue.submit(job, 0.0)
        while job.unfinished:
            wire.connection.pump()
            wrote = sum(map(len, wire.transport.written))
            wire.transport.written.clear()
            answers = []
            for _ in range(wire.connection.in_flight):
                stream_id = PACK_U32(self._next_id)
                if self._next_id % 20 == 1:
                    answers.append(frame_prefix(len(_ERROR_HEADERS), HEADERS, FLAG_END_HEADERS) + stream_id)
                    answers.append(_ERROR_HEADERS + frame_prefix(len(_ERROR), DATA, FLAG_END_STREAM) + stream_id)
                    answers.append(_ERROR)
                else:
                    answers.append(frame_prefix(1, HEADERS, _END) + stream_id + b"\x88")
                self._next_id += 2
            wire.connection.data_received(pack_window_update(0, wrote) + b"".join(answers))
        assert wire.connection.state is State.OPEN

    def replace_connections(self, opened_before: float) -> None:
        raise AssertionError("no answer of this peer asks for it")

    async def close(self) -> None:
        return


class NoCredential:
    def current(self) -> bytes:
        return b"bearer x"

    async def header(self) -> bytes:
        return b"bearer x"

    async def refresh(self, refused: bytes) -> None:
        return

    async def close(self) -> None:
        return


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.slow
async def test_a_million_pushes_leave_nothing_behind() -> None:
    setup = Setup("news", "multicast", MemoryEngine(), NoCredential(), 10.0, ManualClock())
    provider = ApnsProvider(setup, topic="t", authority=b"push.example")
    counts: Counter[Disposition] = Counter()

    def count(results: list[Result]) -> None:
        counts.update(result.disposition for result in results)

    async def push(total: int) -> tuple[int, int]:
        for start in range(0, total, 1_000):
            addresses = [b"%064x" % number for number in range(start, start + 1_000)]
            await provider.send(message(addresses), range(1_000), count)
        gc.collect()
        return len(gc.get_objects()), peak_bytes()

    objects, peak = await push(50_000)
    objects_after, peak_after = await push(1_000_000)
    assert counts == {Disposition.ACCEPTED: 945_000, Disposition.INVALID: 105_000}
    assert objects_after - objects < 1_000
    assert peak_after - peak < 16_000_000
