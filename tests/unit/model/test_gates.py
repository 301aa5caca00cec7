"""The order of the gates: whichever of them would stop a notification, the first in the order of time.md A0 decides."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import pytest

from pushcast.model.gates import (
    CANCELLED,
    EXPIRED,
    FORGOTTEN,
    IN_QUIET_HOURS,
    NO_DEVICES,
    READ,
    Ends,
    GateWaits,
    KnownNote,
    Verdict,
    in_quiet_hours,
    judge,
)
from pushcast.model.notification import Content, Notification, Options
from pushcast.model.quiet import Quiet
from pushcast.model.words import Outcome, Reason

NOW: Final = 1_000_000
LATER: Final = NOW + 60_000
LAST: Final = NOW + 3_600_000

#: By gate, in their order: what makes it stop a notification, and its verdict.
GATES: Final[Mapping[str, tuple[dict[str, Any], Verdict]]] = {
    "cancelled": ({"cancelled": True}, CANCELLED),
    "forgotten": ({"forgotten": True}, FORGOTTEN),
    "expired": ({}, EXPIRED),
    "preference": ({"unwanted": Reason.OPTED_OUT}, Ends(Outcome.SUPPRESSED, Reason.OPTED_OUT)),
    "read": ({"is_read": True}, READ),
    "not due yet": ({"due_ms": LATER}, GateWaits(Reason.SCHEDULED, LATER)),
    "no devices": ({"has_devices": False}, NO_DEVICES),
    "digest": ({"digest": True}, GateWaits(Reason.DIGEST)),
    "quiet": ({"quiet": Quiet.HOLD, "quiet_until_ms": LATER}, GateWaits(Reason.QUIET_HOURS, LATER)),
    "cap": ({"capped": True}, GateWaits(Reason.FREQUENCY_CAP)),
    "pace": ({"paced": True}, GateWaits(Reason.PACE)),
}


def note(expires_at: int = LAST) -> Notification:
    return Notification("n", "u", "news", "promo", Content("Hi"), Options(), b"", NOW - 1000, expires_at)


def verdict_of(*gates: str) -> Verdict:
    told: dict[str, Any] = {}
    for gate in gates:
        told |= GATES[gate][0]
    return judge(note(NOW if "expired" in gates else LAST), KnownNote(NOW, 10, **told))


def test_what_no_gate_stops_passes() -> None:
    assert verdict_of() is None


@pytest.mark.parametrize("gate", GATES)
def test_each_gate_has_its_own_verdict(gate: str) -> None:
    assert verdict_of(gate) == GATES[gate][1]


@pytest.mark.parametrize(("first", "second"), list(combinations(GATES, 2)))
def test_of_two_gates_the_first_in_the_order_decides(first: str, second: str) -> None:
    assert verdict_of(first, second) == verdict_of(second, first) == GATES[first][1]


def test_only_the_keeper_knows_whether_it_was_read_and_it_is_asked_when_the_notification_is_due() -> None:
    assert judge(note(), KnownNote(NOW, 10, asks_reader=True)) == GateWaits(Reason.READ_GATE, NOW)
    assert judge(note(), KnownNote(NOW, 10, asks_reader=True, due_ms=LATER)) == GateWaits(Reason.SCHEDULED, LATER)
    assert judge(note(), KnownNote(NOW, 10, asks_reader=True, is_read=True)) == READ


def test_q5_a_hold_lengthens_no_expiry() -> None:
    ended = Ends(Outcome.EXPIRED, Reason.QUIET_HOURS)
    assert in_quiet_hours(Quiet.HOLD, LAST, LAST) == ended
    assert in_quiet_hours(Quiet.HOLD, LAST - 1, LAST) == GateWaits(Reason.QUIET_HOURS, LAST - 1)


def test_q7_a_class_may_drop_what_comes_in_quiet_hours_or_send_it_all_the_same() -> None:
    assert in_quiet_hours(Quiet.DROP, LATER, LAST) == IN_QUIET_HOURS
    assert in_quiet_hours(Quiet.PASSIVE, LATER, LAST) is None
    assert in_quiet_hours(Quiet.IGNORE, LATER, LAST) is None
