"""A process says which keys it holds, and takes it back when it ends."""

from __future__ import annotations

import asyncio
import os

from pushcast.model.clock import ManualClock
from pushcast.stream.keyring_heartbeat import KeyringHeartbeat
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
