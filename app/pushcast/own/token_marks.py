"""The marks of tokens, as the owners table and what is in flight have them: read, written, healed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.model.ownership import Evict, Mark, Token, TokenTopics, token_of, user_and_device
from pushcast.own.fresh import KnownMark, encoded
from pushcast.own.tenure import OwnTenure
from pushcast.stream.edge import Count
from pushcast.stream.overlay import OverlayEntry
from pushcast.stream.ports import Barrier, Outbox, putting_many
from pushcast.stream.table import Table
from pushcast.wire import headers as h
from pushcast.wire import topics
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.ownership import decode_mark, encode_evict, encode_topics
from pushcast.wire.headers import Headers
from pushcast.wire.newer import waited_for

STAGE: Final = "own"
_SOURCE: Final = "/pushcast/own"
_HEALED: Final = [("push-step", b"healed")]


class Names(NamedTuple):
    """Topics; others than the product's own only in tests on a shared broker."""

    claim: str = topics.TOKEN_CLAIM
    owner: str = topics.TOKEN_OWNER
    evict: str = topics.TOKEN_EVICT
    token_topics: str = topics.TOKEN_TOPICS


class TokenMarks:
    """Of all partitions of one stage."""

    def __init__(self, table: Table, outbox: Outbox, names: Names, partitions: int, count: Count) -> None:
        self._table = table
        self._outbox = outbox
        self._names = names
        self._partitions = partitions
        self._count = count
        self._put_many = putting_many(outbox)
        self._evict_headers = _event_headers("token_evict")
        self._topics_headers = _event_headers("token_topics")

    def known(self, tenure: OwnTenure, keys: Iterable[bytes]) -> dict[bytes, KnownMark | None]:
        """What is known of tokens, by row key. Raises NewerSchema for a row that a later release wrote."""
        marks: dict[bytes, KnownMark | None] = {}
        stored: list[bytes] = []
        for key in dict.fromkeys(keys):
            entry = tenure.overlay.of_user(key.partition(b"\0")[0]).get(key)
            if entry is None:
                stored.append(key)
            else:
                marks[key] = entry.row
        for key, value in zip(stored, self._table.get_many(tenure.number, stored), strict=True):
            marks[key] = None if value is None else self._decoded(token_of(key), value)
        return marks

    def _decoded(self, token: Token, value: bytes) -> Mark | None:
        try:
            return decode_mark(token, value)
        except InvalidInput as error:
            waited_for(error, f"a row of {self._names.owner}")
            self._count("unreadable_rows", error.reason, 1)
            return None

    async def evict(self, evicts: Iterable[tuple[Evict, bytes]]) -> None:
        """Returns when they are acknowledged. Each has the tag of the record that caused it."""
        barrier = self._outbox.barrier()
        for evict, tag in evicts:
            user = user_and_device(evict.key)[0].encode()
            put_headers = [(h.CE_ID, tag), *self._evict_headers]
            partition = partition_of(user, self._partitions)
            self._outbox.put(barrier, self._names.evict, partition, encode_evict(evict), user, put_headers)
        await barrier.wait()

    async def fence(self, claims: Iterable[tuple[int, Headers]]) -> None:
        """Voids what predecessors still tell of topics: it is older than what is told from here on. `claims`:
        partition, origin and epoch of each."""
        barrier = self._outbox.barrier()
        for partition, claim in claims:
            self._outbox.put(barrier, self._names.token_topics, partition, None, None, [*claim, (h.FENCE, b"1")])
        await barrier.wait()

    def tell(self, tenure: OwnTenure, barrier: Barrier, told: Iterable[tuple[TokenTopics, bytes]]) -> None:
        """Under the barrier of the marks: a claim that is handled again finds its mark and tells the same again."""
        for each, tag in told:
            put_headers = [(h.CE_ID, tag), *tenure.origin, *self._topics_headers]
            value, digest = encode_topics(each), each.token.digest
            self._outbox.put(barrier, self._names.token_topics, tenure.number, value, digest, put_headers)

    def put(self, tenure: OwnTenure, barrier: Barrier, key: bytes, mark: KnownMark | None, tag: bytes) -> None:
        """None: a tombstone."""
        self.put_all(tenure, barrier, ((key, mark, tag),))

    def put_all(
        self, tenure: OwnTenure, barrier: Barrier, marks: Iterable[tuple[bytes, KnownMark | None, bytes]]
    ) -> None:
        """Keys with their marks and tags: neighbours often have one tag."""
        added: Headers = ()
        last = b""
        note, topic, number = tenure.overlay.put, self._names.owner, tenure.number
        records: list[tuple[bytes, bytes, Headers]] = []  # of each key there is one
        for key, mark, tag in marks:
            if tag != last:
                added, last = [(h.CE_ID, tag), *tenure.origin], tag
            note(key.partition(b"\0")[0], key, OverlayEntry(mark, tag))
            if mark is None:
                self._outbox.put(barrier, topic, number, None, key, added)
            else:
                records.append((encoded(mark), key, added))
        self._put_many(barrier, topic, number, records)

    def overwrite(self, tenure: OwnTenure, void: Mapping[bytes, int]) -> None:
        """Writes what is known of these keys over void rows, under tags of their own: what is in flight has the same
        value already."""
        barrier = self._outbox.barrier()
        fences = row_fences.records(f"{STAGE}/{tenure.number}", self._table.fenced(tenure.number))
        for key, offset in void.items():
            added: Headers = [*tenure.origin, *_HEALED]
            if key in fences:
                value: bytes | None = fences[key]
                added = [*added, (h.FENCE, b"1")]
            else:
                entry = tenure.overlay.of_user(key.partition(b"\0")[0]).get(key)
                if entry is None:
                    value = self._table.get(tenure.number, key)
                else:
                    value = None if entry.row is None else encoded(entry.row)
            tag = f"{self._names.owner}/{tenure.number}/{offset}".encode()
            self._outbox.put(barrier, self._names.owner, tenure.number, value, key, [(h.CE_ID, tag), *added])
        barrier.on_acked(lambda: None)  # a refusal ends the process: the log would stay wrong


def _event_headers(kind: str) -> Headers:
    """Of every record of a kind, but for its id."""
    return [header for header in h.event(kind, "", _SOURCE) if header[0] != h.CE_ID]
