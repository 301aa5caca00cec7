"""Tells which keys a process holds, so that no key is promoted or retired too early."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable

import structlog

from pushcast.model.clock import Clock
from pushcast.stream.errors import RecordRefused
from pushcast.stream.ports import LAST_WORD_SECONDS, Outbox
from pushcast.wire import topics
from pushcast.wire.sealing.keyring import KeyringRole
from pushcast.wire.sealing.keyring_holders import HEARTBEAT_SECONDS, Holder, encode, key_of
from pushcast.wire.sealing.seals import TokenKeys

log = structlog.get_logger(__name__)


class KeyringHeartbeat:
    """Of one role in one process (`stream.spec.Resource`)."""

    def __init__(self, role: KeyringRole, keys: Callable[[], TokenKeys], outbox: Outbox, clock: Clock) -> None:
        self._role = role
        self._keys = keys
        self._outbox = outbox
        self._clock = clock
        self._host, self._pid = socket.gethostname()[:200], os.getpid()
        self._key = key_of(f"{role}/{self._host}/{self._pid}/{secrets.token_hex(4)}")
        self._task: asyncio.Task[None] | None = None
        self._refused = False

    async def start(self) -> None:
        """From now on, every ten seconds."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Takes it back, within `LAST_WORD_SECONDS`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(TimeoutError):  # Kafka is away: what it said gets old
                async with asyncio.timeout(LAST_WORD_SECONDS):
                    await self._put(None)

    def holder(self) -> Holder:
        """What it says now."""
        keys = self._keys()
        return Holder(self._role, self._host, self._pid, keys.ids, keys.sealing, self._clock.now_ms())

    async def _run(self) -> None:
        while True:
            await self._put(encode(self.holder()))
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _put(self, value: bytes | None) -> None:
        barrier = self._outbox.barrier()
        self._outbox.put(barrier, topics.WHERE, 0, value, self._key)
        try:
            await barrier.wait()
        except RecordRefused as error:
            if not self._refused:
                log.warning("keyring_heartbeat_refused", error=str(error))
            self._refused = True
