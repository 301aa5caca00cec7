"""`push.control.v1`: state that every process must know, as records and as what they amount to. Pure.

The key says what is controlled, the value (JSON) how; a record without a value ends it:

- `pause/<app>/<platform>/<lane>`, `*` for every lane: an operator's kill switch. Nothing of it leaves.
- `breaker/<app>/<platform>`: what senders announce when they find an app's provider broken, and when it works again.
- `canary/<app>/<platform>`: whether the last pushes of a canary were accepted. The reporter that sends it says so.
- `stop/<broadcast id>`, `hold/<broadcast id>`: the broadcast ends, or waits. Of every lane that has one of this id.
- `step/<broadcast id>`: whether the next step of a broadcast in steps begins. SPREAD decides, its successor obeys.
- `cancel/<campaign>`: no notification of the campaign leaves any more.
- `pace/<campaign>`: how many notifications of the campaign leave in a minute.
- `segment/<name>`: what a named audience stands for.
- `webhook/<name>`: an endpoint is given up, or taken up again.
- `sweep/<day>`: sweeps of that day may remove more devices than the brake lets them.
- `reached/<app>/<host>`: a push service that a sender had given up answers again.

Each sender process has a breaker of its own; all senders share the record, and the last writer wins. An `open`
makes the other senders careful; a `closed` comes from any sender whose probes got through, again from each that had
opened. While open, no verdict on a token is to be believed, back to `abnormal_since_ms`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from pushcast.model.pacing import MAX_PER_MINUTE
from pushcast.model.words import Lane, Platform

ALL_LANES: Final = "*"
MAX_TEXT_CHARS: Final = 500
_TimeMs = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]


class Kind(StrEnum):
    """First part of the key."""

    PAUSE = "pause"
    BREAKER = "breaker"
    CANARY = "canary"
    STOP = "stop"
    HOLD = "hold"
    STEP = "step"
    CANCEL = "cancel"
    PACE = "pace"
    SEGMENT = "segment"
    REACHED = "reached"
    WEBHOOK = "webhook"
    SWEEP = "sweep"


class Subject(NamedTuple):
    """What a record controls. `lane` None: every lane; always None for a breaker and a canary."""

    kind: Kind
    app: str
    platform: Platform
    lane: Lane | None = None

    def key(self) -> bytes:
        """The record key."""
        lane = (self.lane or ALL_LANES,) if self.kind is Kind.PAUSE else ()
        return "/".join((self.kind, self.app, self.platform, *lane)).encode()


class Name(NamedTuple):
    """What a record controls that has one name, with or without slashes: a broadcast's id, a segment's name."""

    kind: Kind
    name: str

    def key(self) -> bytes:
        """The record key."""
        return f"{self.kind}/{self.name}".encode()


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's pause. Times are milliseconds since the epoch."""

    since_ms: _TimeMs
    by: _Text = ""
    comment: _Text = ""


class BreakerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of an (app, platform). Times are milliseconds since the epoch.

    `abnormal_since_ms`: when the abnormal window began, before `opened_at_ms`; kept when it closes, so that a verdict
    from within the window is known as such later too. `reason`: snake_case. `by`: the process that says so.
    """

    state: Literal["open", "closed"]
    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}$")]
    abnormal_since_ms: _TimeMs
    opened_at_ms: _TimeMs
    closed_at_ms: _TimeMs | None = None
    by: _Text = ""

    @property
    def is_open(self) -> bool:
        return self.state == "open"


class CanaryWord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a canary fares. Times are milliseconds since the epoch.

    `at_ms`: since when it has fared so. `accepted_at_ms`: of its last accepted push; None: none is known. `reason`: of
    one that has failed, an outcome or a reason of its delivery, or `silent`; empty otherwise. `by`: the process that
    says so.
    """

    state: Literal["ok", "failed"]
    at_ms: _TimeMs
    accepted_at_ms: _TimeMs | None = None
    reason: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{0,64}$")] = ""
    by: _Text = ""


class Halt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A broadcast is stopped or held. Times are milliseconds since the epoch. `remove_at`: when the record may go."""

    since_ms: _TimeMs
    remove_at: _TimeMs | None = None
    by: _Text = ""
    comment: _Text = ""


class StepDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a broadcast begins, or it and all behind it do not. Times are milliseconds since the epoch."""

    lane: str
    step: int
    go: bool
    since_ms: _TimeMs
    remove_at: _TimeMs | None = None
    by: _Text = ""
    comment: _Text = ""


class CampaignCancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Notifications of a campaign must not leave any more. Times are milliseconds since the epoch.

    Of those created in [since_ms, until_ms); None: from the beginning, or to the end. `remove`: also take back what has
    arrived. `remove_at`: when the record may go.
    """

    since_ms: _TimeMs | None = None
    until_ms: _TimeMs | None = None
    remove: bool = False
    remove_at: _TimeMs | None = None
    by: _Text = ""
    comment: _Text = ""

    def covers(self, created_at_ms: int) -> bool:
        """Whether a notification that was created then is cancelled."""
        return (self.since_ms is None or self.since_ms <= created_at_ms) and (
            self.until_ms is None or created_at_ms < self.until_ms
        )


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast a campaign leaves: at most so many notifications a minute, of all users together."""

    per_minute: Annotated[int, msgspec.Meta(ge=1, le=MAX_PER_MINUTE)]
    by: _Text = ""
    comment: _Text = ""


class SegmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named audience: a tree of conditions as a broadcast's `where` has it."""

    where: dict[str, Any]
    comment: _Text = ""


class Reached(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the push service answered, in milliseconds since the epoch."""

    at_ms: _TimeMs
    by: _Text = ""


class WebhookOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an endpoint is posted to. Times are milliseconds since the epoch.

    `from_ms`: of an endpoint that is on again, what was recorded since then is posted once more; None: it goes on.
    """

    state: Literal["disabled", "on"]
    at_ms: _TimeMs
    from_ms: _TimeMs | None = None
    reason: _Text = ""
    by: _Text = ""


def reached(app: str, host: str) -> Name:
    """What a push service is called here. `host`: lower case, as in the subscription's endpoint."""
    return Name(Kind.REACHED, f"{app}/{host}")


Entry = (
    Pause
    | BreakerRecord
    | CanaryWord
    | Halt
    | StepDecision
    | CampaignCancel
    | Rate
    | SegmentRecord
    | Reached
    | WebhookOrder
)


def encode(entry: Entry) -> bytes:
    """The record value."""
    return msgspec.json.encode(entry)
