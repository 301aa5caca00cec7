"""The sender's ledger of one send partition: which deliveries have an outcome already. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pushcast.handover.notes import NotedPositions, Positions
from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import Standing

_NONE: frozenset[bytes] = frozenset()


class Ledger:
    """Steps, in this order: construct; commit `standing`, so that the next owner has positions whatever happens; fold
    every outcome of the group from `starts` to `ends`; `start`; then for each send record, in offset order, `note`
    before its first target leaves, and leave out the targets that `take` names.

    Not a fence: what a stopped sender still writes are true outcomes, and count.
    """

    def __init__(
        self,
        outputs: Sequence[str],
        committed: Standing,
        committed_offset: int,
        ends: Mapping[str, int],
        rules: Rules = ALL,
    ) -> None:
        """`ends`: present ends of all topics that outcomes go to; where the tail is read to, and where a topic
        without a committed position begins. A log that ends before its position was cut or made anew: it is read from
        its beginning."""
        positions = {topic: committed.positions.get(topic, ends[topic]) for topic in outputs}
        self.starts: Positions = {topic: at if at <= ends[topic] else 0 for topic, at in positions.items()}
        self._committed_offset = committed_offset
        self._have: dict[int, set[bytes]] = {}
        self._highest = -1
        self._ends = dict(ends)
        self._notes = NotedPositions(self.starts, rules)
        self._rules = rules

    def fold(self, send_offset: int, delivery_id: bytes) -> None:
        """An outcome of this group and partition: a receipt, or an acknowledged retry or parked record."""
        if send_offset >= self._committed_offset and self._rules.tail:
            self._have.setdefault(send_offset, set()).add(delivery_id)
            self._highest = max(self._highest, send_offset)

    def start(self) -> None:
        """The tail is folded: records may be sent."""
        self._notes.inherit_to(self._highest)

    def ended(self, topic: str, end: int) -> None:
        """An end that is known to have been reached; lower ones than before are ignored."""
        if end > self._ends[topic]:
            self._ends[topic] = end

    def note(self, offset: int) -> None:
        """A send record is about to be handled: call it after `ended`, before its first target leaves."""
        self._notes.note(offset, offset, dict(self._ends))

    def take(self, offset: int) -> set[bytes] | frozenset[bytes]:
        """Delivery ids of this record that have an outcome. Forgets them: ask once per record."""
        return self._have.pop(offset, _NONE)

    def standing(self, offset: int, origins: Mapping[str, int] | None = None) -> Standing:
        """What a commit of `offset` carries."""
        return Standing(0, 0, self._notes.at(offset, self._ends), origins or {})

    def __len__(self) -> int:
        return sum(map(len, self._have.values()))
