"""A process says which keys it holds, and takes it back when it ends."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from pushcast.model.clock import ManualClock
from pushcast.stream import keyring_heartbeat, seal_count
from pushcast.stream.keyring_heartbeat import KeyringHeartbeat
from pushcast.stream.seal_count import KeyedRecord, SealCount
from pushcast.wire import topics
from pushcast.wire.sealing.keyring import KeyringRole
from pushcast.wire.sealing.keyring_holders import live
from pushcast.wire.sealing.seals import TokenKeys
from unit.send.twin import T0, TwinOutbox


async def test_it_tells_its_keys_and_takes_them_back() -> None:
    outbox = TwinOutbox()
    keys = TokenKeys({"t1": bytes(32)}, "t1", bytes(32))
    heart = KeyringHeartbeat(KeyringRole.REGISTRAR, lambda: keys, outbox, ManualClock(T0))
    await heart.start()
    for _ in range(5):
        await asyncio.sleep(0)
    records = [(entry.key, entry.value) for entry in outbox.of(topics.WHERE)]
    [holder] = live(records, T0)
    assert (holder.role, holder.pid, holder.ids, holder.sealing) == ("registrar", os.getpid(), {"t1"}, "t1")
    await heart.close()
    assert live([(entry.key, entry.value) for entry in outbox.of(topics.WHERE)], T0) == []


class Away:
    """An outbox while Kafka is away."""

    def barrier(self) -> Any:
        return self

    def put(self, *_: object) -> None: ...

    async def wait(self) -> None:
        await asyncio.Event().wait()


async def test_a_process_ends_although_kafka_takes_its_last_words_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (keyring_heartbeat, seal_count):
        monkeypatch.setattr(module, "LAST_WORD_SECONDS", 0.01)
    keys, away = TokenKeys({"t1": bytes(32)}, "t1", bytes(32)), Away()
    outbox: Any = away

    async def read() -> list[KeyedRecord]:
        return []

    heart = KeyringHeartbeat(KeyringRole.REGISTRAR, lambda: keys, outbox, ManualClock(T0))
    count = SealCount({"t1": 3}, read, outbox, ManualClock(T0))
    async with asyncio.timeout(2):
        for each in (heart, count):
            await each.start()
            await asyncio.sleep(0)
            await each.close()
