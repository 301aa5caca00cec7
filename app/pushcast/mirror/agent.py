"""MIRROR as a stage: what holders of tokens follow in, changes of FCM's subscriptions out.

A change that is told twice changes nothing, so records are handled again after a kill. Records of one token are in one
partition and in the order of their owners; of those in one batch the last one alone is told. What an owner of claims
still writes after it was fenced off is void: it may be older than what its successor has told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from pushcast.handover import standing
from pushcast.handover.fences import Fences
from pushcast.mirror.decide import GIVEN_UP, after_answers, changes_of, is_given_up
from pushcast.mirror.project import Project
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import split_device_row_key
from pushcast.model.ownership import TokenTopics
from pushcast.providers.fcm.subscriptions import SubscriptionChange
from pushcast.stream.batch import TP, Batch, Committed, Record
from pushcast.stream.edge import Edge, counting
from pushcast.stream.flood import FloodGuard
from pushcast.stream.ports import Outbox
from pushcast.stream.stage import Stage
from pushcast.wire.devices.ownership import decode_topics
from pushcast.wire.headers import appended_at
from pushcast.wire.sealing.seals import KeyUnknown, Place, SealBroken, TokenKeys

log = structlog.get_logger(__name__)

#: Results of its own, beside those of the provider.
NOT_MIRRORED = "not_mirrored"
SEAL_BROKEN = "seal_broken"
KEY_UNKNOWN = "key_unknown"


class _Told(NamedTuple):
    """The last word on one token in a batch. `offsets`: of all records that it stands for."""

    record: Record
    topics: TokenTopics
    offsets: list[int]


class MirrorStage(Stage):
    """See the module. Not thread safe: it belongs to the event loop."""

    def __init__(
        self,
        projects: Mapping[str, Project],
        outbox: Outbox,
        clock: Clock,
        counters: MutableMapping[tuple[str, str], int],
        *,
        partitions: int,
        keys: Callable[[], TokenKeys],
        flood: FloodGuard | None = None,
    ) -> None:
        """`projects` by app. `keys` is asked for each batch: the keyring may have changed."""
        self._projects = projects
        self._clock = clock
        self._count = counting(counters)
        self._edge = Edge("mirror", outbox, self._count, flood)
        self._partitions = partitions
        self._keys = keys
        self._fences: dict[TP, Fences] = {}

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        """Learns which owners of claims were fenced off below what is committed. Raises UnreadableMetadata."""
        self._fences |= {tp: Fences(standing.decode(at.metadata).origins) for tp, at in committed.items()}

    def commit_metadata(self, tp: TP, offset: int) -> str:
        """Fences of OWN below the offset."""
        fences = self._fences.get(tp)
        return "" if fences is None else standing.encode(standing.Standing(origins=fences.below(offset)))

    async def handle(self, batch: Batch) -> None:
        """See `Stage`. Raises ConnectionError, and is called again, while a project cannot be told."""
        share = len(self.work.partitions()) / self._partitions
        for project in self._projects.values():
            project.share(min(share, 1.0))
        by_app: dict[str, list[_Told]] = {}
        for told in self._read(batch):
            by_app.setdefault(told.topics.token.app, []).append(told)
        waiting: list[str] = []
        for app, its in by_app.items():
            its_project = self._projects.get(app)
            if its_project is None:
                self._end(batch, its, app, NOT_MIRRORED)
            else:
                waiting += await self._tell(batch, its_project, its)
        if waiting and not batch.lost:
            raise ConnectionError(f"{len(waiting)} devices' topics wait to be told to FCM: {waiting[0]}")

    def _read(self, batch: Batch) -> list[_Told]:
        """The last record of each token, in the order of the log. What is no such record is a dead letter."""
        found: dict[tuple[bytes, str], _Told] = {}
        errors: list[InvalidInput] = []
        void: list[int] = []
        fences = self._fences.setdefault(TP(batch.topic, batch.partition), Fences())
        for record in batch.records:
            try:
                if not fences.counts(record.headers, record.offset, self._found_void):
                    void.append(record.offset)
                    continue
                topics = decode_topics(record.key, record.value)
            except Exception as error:  # whatever decoding raises: no record ends the process
                refusal = self._edge.refusal(record, error)
                errors.append(refusal)
                self._edge.bury(record, refusal, partial(batch.done_many, (record.offset,)))
                continue
            name = topics.token.digest, topics.token.app
            earlier = found.pop(name, None)
            offsets = [] if earlier is None else earlier.offsets
            found[name] = _Told(record, topics, [*offsets, record.offset])
        batch.done_many(void)
        self._edge.note(TP(batch.topic, batch.partition), len(batch.records) - len(errors), errors)
        return list(found.values())

    def _found_void(self) -> None:
        self._count("void_topics", "", 1)

    async def _tell(self, batch: Batch, project: Project, its: Sequence[_Told]) -> list[str]:
        """Returns why those that are not over wait."""
        changes: list[SubscriptionChange] = []
        spans: list[tuple[_Told, range]] = []
        waiting: list[str] = []
        for told in its:
            try:
                address = self._address(told.topics)
            except KeyUnknown as error:
                self._later(batch, told, project.app, KEY_UNKNOWN, str(error), waiting)
                continue
            except SealBroken as error:
                log.warning("topics_not_mirrored", app=project.app, problem=str(error))
                self._end(batch, (told,), project.app, SEAL_BROKEN)
                continue
            mine = changes_of(told.topics, address, project.topics)
            spans.append((told, range(len(changes), len(changes) + len(mine))))
            changes += mine
        verdicts = await project.tell(changes, lambda: batch.lost)
        for told, span in spans:
            answered = after_answers(changes[span.start : span.stop], verdicts[span.start : span.stop])
            for result in answered.results:
                self._count("topic_changes", f"{project.app}|{result}", 1)
            if answered.later is None:
                batch.done_many(told.offsets)
            else:
                reason = answered.later.reason or str(answered.later.disposition)
                self._later(batch, told, project.app, reason, f"{project.app}: {reason}", waiting)
        return waiting

    def _later(self, batch: Batch, told: _Told, app: str, reason: str, why: str, waiting: list[str]) -> None:
        if is_given_up(appended_at(told.record), self._clock.now_ms()):
            log.warning("topics_given_up", app=app, reason=reason, partition=batch.partition, offset=told.record.offset)
            self._end(batch, (told,), app, GIVEN_UP)
        else:
            waiting.append(why)

    def _end(self, batch: Batch, its: Sequence[_Told], app: str, result: str) -> None:
        self._count("topic_changes", f"{app}|{result}", len(its))
        for told in its:
            batch.done_many(told.offsets)

    def _address(self, topics: TokenTopics) -> bytes:
        """Raises KeyUnknown, SealBroken."""
        holder, token = topics.holder, topics.token
        if not holder.key_id:
            return holder.address
        user, app, device = split_device_row_key(topics.key)
        return self._keys().open(holder.key_id, holder.address, Place(app, token.platform, holder.kind, user, device))
