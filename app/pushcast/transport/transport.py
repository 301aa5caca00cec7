"""The Faust transport that puts the batch consumer under an App."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import Producer, Transport

from pushcast.transport.consumer import BatchConsumer
from pushcast.transport.entries import IdLost, StageEntry
from pushcast.transport.table_recovery import PatientRecovery


class IdempotentProducer(Producer):
    """Faust's producer for plain agents, with idempotence and without exactly_once."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class BatchTransport(Transport):
    """Holds the stages of one App by topic."""

    Consumer = BatchConsumer
    Producer = IdempotentProducer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stages: dict[str, StageEntry] = {}
        self.gathered: set[str] = set()  # topics of stages whose records nobody waits for
        self.fetch_max_wait_ms = 500
        self.gather_ms = 0
        self.on_id_lost: IdLost | None = None


class PromptTableManager(TableManager):
    """Starts without Faust's sleep of one second, which waits for tables declared late; ours are declared early."""

    @property
    def recovery(self) -> Recovery:
        """Brings tables up to date, and starts the assigned partitions."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Registers the changelogs and starts recovery."""
        await self._update_channels()
        await self.recovery.start()
