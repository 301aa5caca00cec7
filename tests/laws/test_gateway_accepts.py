"""The law of the door: what the gateway takes never becomes a dead letter. The judge is PLAN's own stage."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from laws.test_gateway_bulk import SETTINGS, event, judged, requests
from pushcast.audit.rehearsal import Rehearsal
from pushcast.audit.rehearsed_fates import Past
from pushcast.gateway import events
from twins.gateway import NOW_MS, Put

#: Ids that are Pushcast's own, and a content that is too large for everybody.
OURS = [event(name, app="news", title="t") for name in ("canary-1", "digest:1", "remove:a", "badge:", "n-1")]
LARGE = [event("n", app="shop", title="t", body="x" * size) for size in (3000, 4200)]


def fate_of(put: Put) -> list[str]:
    rehearsal = Rehearsal(SETTINGS, put.partition, {})
    [fate] = asyncio.run(rehearsal.fates([Past(put.topic, 0, put.key, put.value, (), NOW_MS)]))
    return fate.ends


def law(items: list[bytes]) -> None:
    written, _ = judged(items)
    assert [put for put in written if "dead_letter" in fate_of(put)] == []


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests())
@example(OURS)
@example(LARGE)
def test_what_the_gateway_takes_never_becomes_a_dead_letter(items: list[bytes]) -> None:
    law(items)


def test_taking_ids_of_ours_breaks_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = ("\0",)
    monkeypatch.setattr(events, "RESERVED_ID_PREFIXES", nothing)
    with pytest.raises(AssertionError):
        law(OURS[:1])
