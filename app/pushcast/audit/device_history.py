"""Reads the history of a device from the topics, and says from when on they have it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message

from pushcast.audit.kept import DeviceWait
from pushcast.audit.kept_reading import waits_of
from pushcast.audit.kept_since import FirstRecords, shown_kept_since
from pushcast.audit.why import plain
from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.model.errors import InvalidInput, PushcastError
from pushcast.model.ids import partition_of
from pushcast.register.history import Historian, HistoryStep, HistorySubject, KnownDevice, concerns, ordered
from pushcast.register.names import Topics
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.configured_schemas import schemas_for_tool

#: More devices with one id or token are not one story: say whose.
MAX_DEVICES = 20
#: Newest steps that are kept of them.
MAX_STEPS = 2000


class TooManyDevices(PushcastError):
    """The id or hash is that of more devices than can be told together."""


@dataclass(slots=True)
class History:
    """What was found. `kept_since`: by topic, from when on it is whole; None: from its beginning."""

    steps: list[HistoryStep] = field(default_factory=list)
    kept_since: dict[str, int | None] = field(default_factory=dict)
    left_out: int = 0  # older steps than the newest `MAX_STEPS`
    unreadable: Counter[str] = field(default_factory=Counter)  # records that may be about it, by reason
    waits: list[DeviceWait] = field(default_factory=list)  # what it waits for in the keeper, by when it is due

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "steps": [step.to_dict() for step in self.steps],
            "kept_since": shown_kept_since(self.kept_since),
            "left_out": self.left_out,
            "unreadable": dict(self.unreadable),
            "waits": [wait.to_dict() for wait in self.waits],
        }


def history_of(
    settings: Settings, subject: str, *, user: str | None = None, app: str | None = None, names: Topics | None = None
) -> History:
    """Reads the topics whole, or one partition of them when the user is known; then the devices' partitions once more,
    and the keeper's. `names`: of other topics than the usual ones, of which no keeper knows.

    Blocks. Raises TooManyDevices, and TailUnreadable (an OSError) when Kafka does not answer.
    """
    search = _Search(settings, HistorySubject(subject), user, app, names or Topics())
    found = asyncio.run(search.run())
    if names is None:
        found.waits = waits_of(settings, search.devices)
    return found


class _Search:
    def __init__(
        self, settings: Settings, subject: HistorySubject, user: str | None, app: str | None, names: Topics
    ) -> None:
        self._names = names
        self._partitions = settings.kafka.partitions
        self._subject = subject
        self._user = user
        self._app = app
        self._reader = SpanReader(settings.kafka.bootstrap_servers, settings.kafka.security)
        self._historian = Historian(settings.apps, names, schemas_for_tool(settings))
        self.devices: set[KnownDevice] = set()

    async def run(self) -> History:
        devices, found = self.devices, History()

        def look(record: PlainRecord) -> None:
            if not self._subject.may_be_in(record):
                return
            step = self._step(record, found)
            if step is not None and self._subject.is_about(step) and self._wanted(step.device):
                devices.add(step.device)
                if len(devices) > MAX_DEVICES:
                    raise TooManyDevices(
                        f"more than {MAX_DEVICES} devices have the id or token hash {self._subject.text}: give --user"
                    )

        everywhere = range(self._partitions) if self._user is None else [self._home(self._user)]
        found.kept_since = await self._read(everywhere, look)
        if devices:
            found = await self._tell(devices)
        return found

    async def _tell(self, devices: set[KnownDevice]) -> History:
        found = History()

        def collect(record: PlainRecord) -> None:
            if not any(device.user.encode() in (record.key or b"") for device in devices):
                return
            step = self._step(record, found)
            if step is not None and concerns(step, devices):
                found.steps.append(step)
                if len(found.steps) > 2 * MAX_STEPS:
                    _keep_newest(found, self._names)

        found.kept_since = await self._read({self._home(device.user) for device in devices}, collect)
        _keep_newest(found, self._names)
        return found

    def _step(self, record: PlainRecord, found: History) -> HistoryStep | None:
        try:
            return self._historian.step_of(record)
        except InvalidInput as error:
            found.unreadable[error.reason] += 1
            return None

    def _wanted(self, device: KnownDevice) -> bool:
        return self._user in (None, device.user) and self._app in (None, device.app)

    def _home(self, user: str) -> int:
        return partition_of(user.encode(), self._partitions)

    async def _read(self, partitions: Iterable[int], on_record: Any) -> dict[str, int | None]:
        spots = [(topic, partition) for topic in self._names.of_history for partition in partitions]
        ends = await self._reader.ends(spots)
        firsts = FirstRecords()

        def take(message: Message) -> None:
            record = plain(message)
            firsts.saw((record.topic, record.partition), record.offset, record.timestamp)
            on_record(record)

        await self._reader.read({spot: (0, end) for spot, end in ends.items()}, take)
        return firsts.kept_since(ends, round(time.time() * 1000), {self._names.device})


def _keep_newest(found: History, names: Topics) -> None:
    steps = ordered(found.steps, names)
    found.left_out += max(0, len(steps) - MAX_STEPS)
    found.steps = steps[-MAX_STEPS:]
