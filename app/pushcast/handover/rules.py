"""The rules of the protocol, each of them necessary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """All on, always. The laws switch one off at a time and must then find a violation."""

    planned_first: bool = True  # the planned partition is fenced, and that awaited, before the other outputs
    tail: bool = True  # what a predecessor wrote counts
    note: bool = True  # positions are those before the oldest unfinished record was first handled
    inherit: bool = True  # inherited positions stay until everything found in the tail is committed
    fenced_at: bool = True  # the fenced epoch is kept with the positions: the fence itself may lie before them
    floor: bool = True  # a claim without metadata outranks the fences that are in the outputs
    fences_below: bool = True  # a reader's commit knows only the fences below its offset
    restate: bool = True  # of a walk: the inherited cursor is written under the new epoch before anything else
    cursor: bool = True  # of a walk: positions stay at the record that holds the cursor


ALL = Rules()
