"""What a run of claims makes of the marks of their tokens. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pushcast.model.ownership import Evict, Mark, TokenHolder, TokenTopics
from pushcast.own.decide import decide
from pushcast.own.fresh import FreshMark, KnownMark, whole
from pushcast.stream.batch import Record
from pushcast.wire.devices.claim_reader import ReadClaim
from pushcast.wire.headers import appended_at


class Chunk:
    """Folds claims in their order: each sees what the one before it decided.

    `evicts`, `topics`: each with the tag of its claim's record. `tags`: by row key, what names the write of a mark that
    changed; it is the newest record that changed it. `counted`: by (counter, word).
    """

    def __init__(self, marks: dict[bytes, KnownMark | None], now_ms: int) -> None:
        """`marks`: of every token that is claimed, by row key. `now_ms`: for records without a time of their own."""
        self.evicts: list[tuple[Evict, bytes]] = []
        self.topics: list[tuple[TokenTopics, bytes]] = []
        self.tags: dict[bytes, bytes] = {}
        self.counted: Counter[tuple[str, str]] = Counter()
        self._marks = marks
        self._now_ms = now_ms

    def written(self) -> Iterator[tuple[bytes, KnownMark | None, bytes]]:
        """Marks that changed: row key, mark, tag."""
        marks = self._marks
        for key, tag in self.tags.items():
            yield key, marks[key], tag

    def take(self, record: Record, claims: Iterable[ReadClaim]) -> None:
        """All claims of a record."""
        tag = f"{record.topic}/{record.partition}/{record.offset}".encode()
        recorded_at = appended_at(record) or self._now_ms
        marks, tags, fresh = self._marks, self.tags, 0
        for claim in claims:
            key = claim.key
            mark = marks[key]
            if mark is None and claim.is_held:
                marks[key], tags[key] = FreshMark(claim, recorded_at), tag
                fresh += 1
            else:
                self._decide(claim, None if mark is None else whole(mark), recorded_at, tag)
            if claim.holder is not None:
                self._tell(claim, claim.holder, mark is None, tag)
        if fresh:
            self.counted["token_claims", "claimed"] += fresh

    def _decide(self, read: ReadClaim, mark: Mark | None, recorded_at: int, tag: bytes) -> None:
        decision = decide(mark, read.claim(), recorded_at)
        if decision.mark is not None:
            self._marks[read.key] = decision.mark
            self.tags[read.key] = tag
        if decision.evict is not None:
            self.evicts.append((decision.evict, tag))
        result = "vacated" if read.over else "moved" if decision.evict else "claimed"
        self.counted["token_claims", result if decision.mark or decision.evict else "unchanged"] += 1
        if decision.contested:
            self.counted["token_contested", ""] += 1

    def _tell(self, read: ReadClaim, holder: TokenHolder, is_new: bool, tag: bytes) -> None:
        """What the provider is to know of the token: the topics of whoever has it, by his own claim. A claim that is
        handled again tells the same again."""
        claim, known = read.claim(), self._marks[read.key]
        mark = None if known is None else whole(known)
        if mark is not None and mark.live:
            if mark.registration != claim.registration:
                return  # another device has it: its own claim tells of it
        else:
            holder = holder._replace(topics=())
        self.topics.append((TokenTopics(claim.token, claim.registration.key, holder, is_new and not claim.over), tag))
