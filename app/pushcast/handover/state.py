"""Claim, fence, own tail: one source partition during one assignment. Pure; `runner` does what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pushcast.handover import standing
from pushcast.handover.notes import NotedPositions
from pushcast.handover.rules import ALL, Rules
from pushcast.handover.standing import Standing
from pushcast.handover.tail import OwnTail


class Outset(NamedTuple):
    """What a new owner of a partition starts from.

    `planned`: the output whose records close source offsets; None when the items of an offset tell by themselves.
    `ends`: ends of those outputs that `committed` has no position of, as they are before the claim. `floor`: what
    `FloorSearch` found, when `committed` knows of no claim.
    """

    origin: str
    outputs: Sequence[str]
    planned: str | None
    committed: Standing
    committed_offset: int
    ends: Mapping[str, int]
    now_seconds: int
    floor: int = 0


class Takeover:
    """Steps, in this order: construct; commit `metadata` (the claim); write a fence to each topic of `fence_rounds`,
    a round awaited before the next, and report its end; fold `tail` from `starts` to `fence_ends`; `start`. Then, for
    each source record, `note` before it is first handled.
    """

    def __init__(self, outset: Outset, rules: Rules = ALL) -> None:
        origin, outputs, planned, committed, committed_offset, ends, now_seconds, floor = outset
        self.origin = origin
        self.epoch = standing.next_epoch(max(committed.epoch, floor if rules.floor else 0), now_seconds)
        self.outputs = tuple(outputs)
        self.starts: dict[str, int] = {
            topic: committed.positions[topic] if topic in committed.positions else ends[topic] for topic in outputs
        }
        self.tail = OwnTail(origin, committed_offset, committed.fenced, rules)
        self.fence_ends: dict[str, int] = {}
        others = tuple(topic for topic in outputs if topic != planned)
        if planned is None:
            self.fence_rounds: tuple[tuple[str, ...], ...] = (others,)
        else:
            self.fence_rounds = ((planned,), others) if rules.planned_first else ((*others, planned),)
        self._inherited_fenced = committed.fenced
        self._notes = NotedPositions(self.starts, rules)
        self._ends: dict[str, int] = {}
        self.started = False

    def fenced(self, topic: str, end: int) -> None:
        """The fence in this output is acknowledged; `end` is the offset after it, or later.

        A log that ends before the committed position was cut or made anew: it is read from its beginning.
        """
        if self.starts[topic] > end:
            self.starts[topic] = 0
        self.fence_ends[topic] = self._ends[topic] = end

    def start(self) -> None:
        """The tail is folded up to every fence: source records may be handled."""
        if len(self.fence_ends) != len(self.outputs):
            raise ValueError("an output has no fence yet")
        self._notes.inherit_to(self.tail.highest)
        self.started = True

    def ended(self, topic: str, end: int) -> None:
        """An end of an output that is known to have been reached; lower ones than before are ignored."""
        if end > self._ends[topic]:
            self._ends[topic] = end

    def note(self, first: int, last: int) -> None:
        """Source records `first` to `last` are about to be handled: after `ended`, before any output of theirs."""
        self._notes.note(first, last, dict(self._ends))

    def standing(self, offset: int, origins: Mapping[str, int] | None = None) -> Standing:
        """What a commit of `offset` carries. Before `start`: what was inherited, under the new epoch."""
        inherited = self._notes.is_inherited(offset)
        fenced = self._inherited_fenced if inherited else self.epoch
        positions = self._notes.at(offset, self._ends)
        return Standing(self.epoch, fenced, positions, origins or {})

    def metadata(self, offset: int, origins: Mapping[str, int] | None = None) -> str:
        """`standing` as commit metadata."""
        return standing.encode(self.standing(offset, origins))
