"""What the records of `push.cancel.v1` amount to, for the partitions that a process follows. Pure; one per process."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.marks import Marks, mark_of, thread_mark_of
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.cancels import CancelDecoder
from pushcast.wire.keys import user_of

logger = logging.getLogger(__name__)


class CancelRecord(NamedTuple):
    """One record of the topic, as its tail hands it over. `timestamp_ms`: the broker's."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class CancelState:
    """Apply records in their order. A partition that nobody follows has no marks.

    `ignored` counts malformed records by reason: the keeper writes their dead letters. `current_at`: when everything
    that was written was known, for certain; in CLOCK_BOOTTIME seconds, infinite where nobody follows the topic.
    """

    def __init__(self, decoder: CancelDecoder | None = None) -> None:
        self.current_at = math.inf
        self.ignored: Counter[str] = Counter()
        self._decoder = decoder or CancelDecoder()
        self._marks: dict[int, Marks] = {}
        #: Campaigns that are cancelled, by name: the control state's own.
        self.campaigns: Mapping[str, CampaignCancel] = {}
        self._callbacks: list[Callable[[int | None, frozenset[str]], None]] = []

    def subscribe(self, callback: Callable[[int | None, frozenset[str]], None]) -> None:
        """Calls back with a partition and the users of whom something more was cancelled there; None and nobody: a
        campaign was. It must not raise."""
        self._callbacks.append(callback)

    def follow_campaigns(self, control: ControlState) -> None:
        """From now on what the control topic cancels counts here, too."""
        self.campaigns = control.campaigns
        control.on_cancel(lambda: self._tell(None, frozenset()))

    def _tell(self, partition: int | None, users: frozenset[str]) -> None:
        for callback in self._callbacks:
            callback(partition, users)

    def begin(self, partition: int) -> None:
        """Forgets what was known of a partition: it is read anew."""
        self._marks[partition] = Marks()

    @property
    def count(self) -> int:
        """Marks of all partitions."""
        return sum(len(marks) for marks in self._marks.values())

    @property
    def evicted(self) -> int:
        """Marks that went because there were too many."""
        return sum(marks.evicted for marks in self._marks.values())

    def apply(self, partition: int, records: Iterable[CancelRecord], now_ms: int) -> None:
        """Takes the next records of a partition. Malformed ones change nothing."""
        marks = self._marks.setdefault(partition, Marks())
        users: set[str] = set()
        for record in records:
            try:
                cancel = self._decoder.decode(user_of(record.key), record.value, record.timestamp_ms)
            except InvalidInput as error:
                self.ignored[error.reason] += 1
                continue
            users.add(cancel.user)
            for note_id in cancel.ids:
                marks.add(mark_of(cancel.user, note_id), cancel.until, now_ms)
            if cancel.thread is not None and cancel.app is not None:
                marks.add_thread(thread_mark_of(cancel.user, cancel.app, cancel.thread), cancel.at, cancel.until)
        if users:
            self._tell(partition, frozenset(users))

    def any(self, partition: int) -> bool:
        """Whether anything of the partition may be cancelled. Cheap: most partitions have nothing."""
        if self.campaigns:
            return True
        marks = self._marks.get(partition)
        return marks is not None and len(marks) > 0

    def has_threads(self, partition: int) -> bool:
        """Whether a thread of the partition may be cancelled: mostly none is."""
        marks = self._marks.get(partition)
        return marks is not None and marks.has_threads

    def cancelled(
        self,
        partition: int,
        user: str,
        note_id: str,
        *,
        app: str | None,
        thread: str | None,
        created_at_ms: int,
        now_ms: int,
        campaign: str | None = None,
    ) -> bool:
        """Whether this notification must not leave. About 2 µs where there are marks."""
        if (
            campaign is not None
            and (cancel := self.campaigns.get(campaign)) is not None
            and cancel.covers(created_at_ms)
        ):
            return True
        marks = self._marks.get(partition)
        if not marks:
            return False
        if marks.covers(mark_of(user, note_id), now_ms):
            return True
        if app is None or thread is None or not marks.has_threads:
            return False
        return marks.covers_thread(thread_mark_of(user, app, thread), created_at_ms, now_ms)

    def among(self, partition: int, message: Message, targets: Iterable[int], now_ms: int) -> list[int]:
        """Those of a message's targets that must not leave. One look where the partition has no cancels."""
        if not self.any(partition):
            return []
        columns, campaigns = message.targets, message.notes.campaign
        found: list[int] = []
        for target in targets:
            notification = columns.notification[target]
            if self.cancelled(
                partition,
                columns.user[target],
                message.notification_ids[notification],
                app=message.app,
                thread=message.options_of(notification).thread_id,
                created_at_ms=message.created_at[notification],
                now_ms=now_ms,
                campaign=None if campaigns is None else campaigns[notification],
            ):
                found.append(target)
        return found
