"""What a keeper is asked to do: by the configuration, or by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pushcast.keep.badging import USUAL as USUAL_BADGES
from pushcast.keep.badging import BadgeRules
from pushcast.keep.index import REMEMBER_MS
from pushcast.keep.outlook import OutlookRules
from pushcast.keep.removals import USUAL as USUAL_REMOVALS
from pushcast.keep.removals import RemovalRules
from pushcast.model.caps import CapRule
from pushcast.model.digest import DigestRule
from pushcast.model.pacing import Rates


class KeepRules(NamedTuple):
    """`digests`: by class. `mandatory`: classes that nobody can opt out of.

    `outlook`: of the forecast, and of what expires first; None: none. `hold_on_disagreement`:
    partitions whose broker is ahead of another one's let nothing go. `tzdata`: the version of the zones, this process's
    own unless a test has another. `closing_gather_seconds`: see `DueRecords`; `remember_ms`: see `Queues`."""

    partitions: int
    digests: Mapping[str, DigestRule] = {}
    caps: Sequence[CapRule] = ()
    removals: RemovalRules = USUAL_REMOVALS
    badges: BadgeRules = USUAL_BADGES
    rates: Rates = Rates({}, {})
    outlook: OutlookRules | None = None
    hold_on_disagreement: bool = False
    tzdata: str | None = None
    closing_gather_seconds: float = 0.0
    remember_ms: int = REMEMBER_MS
    mandatory: frozenset[str] = frozenset()
