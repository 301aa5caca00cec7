"""The sections that say how stages work. Durations in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pushcast.config.strict import Strict
from pushcast.model.words import Platform


class Devices(Strict):
    """How many devices a user may have, and what becomes of those that a provider calls dead."""

    # How long a suspended device waits for its removal. Above the time in which a sender notices that verdicts are
    # abnormal, and far below the 7 days that the hold topic keeps.
    hold_seconds: float = Field(default=600, gt=0, le=86_400)
    # In one app. The device that was registered longest ago makes room for a new one; null: no limit.
    max_per_user: int | None = Field(default=20, ge=1, le=1_000)


class Sweep(Strict):
    """Registrars look through their rows and remove devices that were not seen for long, and old markers."""

    every_seconds: float = Field(default=86_400, ge=60, le=2_592_000)  # between two looks through all rows
    rows_per_second: int = Field(default=2_000, ge=100, le=1_000_000)  # that a look reads at most, in each registrar
    # Days without a registration or refresh, by platform. FCM's own tokens expire after 270.
    stale_days: dict[Platform | Literal["default"], Annotated[int, Field(ge=30, le=3_650)]] = Field(
        default={Platform.FCM: 270, "default": 300}, validate_default=True
    )
    # How long it is known whose a token was that nobody has any more, against registrations that come late. An event
    # may lie 7 days in its topic, 14 as a dead letter, and its claim 7 more.
    vacant_days: int = Field(default=30, ge=28, le=3_650)
    # More than this share of a partition's devices: nothing is removed until `pushcast device sweep --confirm`.
    max_share: float = Field(default=0.05, gt=0, le=1)

    @model_validator(mode="after")
    def _has_default(self) -> Self:
        if "default" not in self.stale_days:
            raise ValueError("stale_days: needs default, for platforms that it does not name")
        return self


class Plan(Strict):
    """Bounds of multicast batches and of what one partition may hold open."""

    max_targets: int = Field(default=500, ge=1, le=1000)  # of one message; a multicast of more devices becomes several
    max_batch_bytes: int = Field(default=524_288, ge=16_384, le=524_288)  # of one send record
    max_open_records: int = Field(default=50_000, ge=100)  # per partition, before it is paused
    lookup_again_seconds: float = Field(default=2.0, ge=0, le=60)  # for a user without devices, once
    # Only for events younger than this: their device may be on its way.
    lookup_again_younger_than_seconds: float = Field(default=5.0, ge=0, le=3600)
    # Planners start although processes of an older release run, which may not read what is held or walked.
    beside_older: bool = False
    window_seed: int | None = None  # of random windows; None: the system's randomness


class Broadcast(Strict):
    """How broadcasts share a planner with notifications, and how far they run ahead of the senders."""

    max_open: int = Field(default=8, ge=1, le=64)  # broadcasts that a partition walks at once; others wait
    slice_seconds: float = Field(default=0.001, gt=0, le=0.1)  # of CPU, for which a walk keeps the event loop at a time
    slice_rows: int = Field(default=2000, ge=16, le=20_000)  # at most, in one slice
    leg_targets: int = Field(default=5000, ge=100, le=100_000)  # a leg ends after so many deliveries,
    leg_seconds: float = Field(default=2.0, gt=0, le=60)  # or after this time
    max_ahead_targets: int = Field(default=10_000, ge=100)  # of a partition and platform, and 3 s of senders' work
    min_share: float = Field(default=0.1, gt=0, le=1)  # of the time that a walk has while notifications wait
    restate_seconds: float = Field(default=60, gt=0, le=3600)  # an idle walk says its cursor again


class Breaker(Strict):
    """When an app's provider counts as broken, in each sender process. Shares are of answers."""

    failure_share: float = Field(default=0.5, gt=0, le=1.1)  # of the last 10 s; above 1: never
    failures_for_seconds: float = Field(default=3.0, ge=0, le=10)  # they must have lasted so long
    least_answers: int = Field(default=50, ge=1)  # within those 10 s
    invalid_share: float = Field(default=0.8, gt=0, le=1.1)  # of the last answers about tokens; above 1: never
    least_tokens: int = Field(default=50, ge=1)  # so many of them at least, within a minute
    invalid_in_a_row: int = Field(default=20, ge=1)  # or so many without a good answer between, however long it takes
    open_seconds: float = Field(default=5.0, gt=0, le=3600)  # until the first probes; doubled while they fail
    max_open_seconds: float = Field(default=60.0, gt=0, le=3600)  # the longest wait between two rounds of probes
    probes: int = Field(default=20, ge=1, le=1000)  # targets of one round


class Send(Strict):
    """Bounds of what one sender process may have under way."""

    max_in_flight: int = Field(default=10_000, ge=1, le=1_000_000)  # deliveries at the provider or not yet acknowledged
    request_timeout_seconds: float = Field(default=10.0, gt=0, le=13)  # FCM asks for at least 10 s (providers.md §2.4)
    attempts: int = Field(default=2, ge=1, le=10)  # in-process tries of a retriable error
    now_or_never_seconds: float = Field(default=10.0, ge=0, le=3600)  # so long what has a TTL of 0 may still leave
    slow_seconds: float = Field(default=5.0, gt=0, le=3600)  # work that would wait longer is parked
    limit: Literal["adaptive", "fixed"] = "adaptive"  # requests out: as the provider's latency allows, or max_in_flight
    # What replaces what on a screen, without a collapse id: a notification itself only, or all with the same content.
    collapse_by: Literal["notification", "content"] = "notification"
    breaker: Breaker = Breaker()


class Retry(Strict):
    """The retry ladder: one delay for each of its topics (10s, 1m, 5m, 30m), whose names stay when delays differ."""

    rungs_seconds: tuple[float, float, float, float] = (10.0, 60.0, 300.0, 1800.0)  # the delay of each rung, rising
    attempts: int = Field(default=5, ge=1, le=100)  # rounds of sending, the first included
    jitter: float = Field(default=0.1, ge=0, le=1)  # share of the delay that is added at most

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if min(self.rungs_seconds) <= 0 or max(self.rungs_seconds) > 86_400:
            raise ValueError("rungs_seconds: each is above 0 and at most 86400 (retry topics keep records for 2 days)")
        if list(self.rungs_seconds) != sorted(self.rungs_seconds):
            raise ValueError("rungs_seconds must not fall from rung to rung")
        return self


class Park(Strict):
    """Work kept aside because its app is paused, its breaker open or its provider slow."""

    pass_seconds: float = Field(default=60.0, gt=0, le=3600)  # until all of it is looked through, resumed or not
    probe_seconds: float = Field(default=5.0, gt=0, le=3600)  # until a delivery of an app with an open breaker is tried


class Flood(Strict):
    """When a consumer stops because its input is abnormally bad, instead of making all of it dead letters."""

    enabled: bool = True  # false: every bad record becomes a dead letter, however many they are
    share: float = Field(default=0.5, gt=0, lt=1)  # of a partition's records that must be invalid,
    least_records: int = Field(default=200, ge=1)  # and so many of them,
    window_seconds: float = Field(default=600.0, gt=0, le=86_400)  # within this time


class Keep(Strict):
    """What waits for its time, and what the keeper makes itself: pushes that take back what is shown, or set badges."""

    # How long after its creation an event may be due; what is later is refused (`too_far_ahead`). At most 366 days.
    max_ahead_seconds: int = Field(default=7_776_000, ge=1, le=31_622_400)
    # What was held for quiet hours leaves within this time after them, each user always at the same instant of it.
    quiet_release_spread_seconds: float = Field(default=300, ge=0, le=7200)
    # What comes at a local time on the lane bulk comes within so many seconds of it, unless its event says
    # `spread_seconds`, or could expire meanwhile.
    bulk_local_spread_seconds: int = Field(default=60, ge=0, le=3600)
    # So long after it left the same id again is a duplicate. Not below the hour that `removals_per_hour` and
    # `badges_per_hour` count by; keep topics hold what could come again for 7 days.
    remember_seconds: int = Field(default=86_400, ge=3600, le=604_800)
    # Partitions whose broker's clock is more than 2 s ahead of another one's let nothing go until they agree.
    hold_on_disagreement: bool = False
    removal_wait_seconds: float = Field(default=30.0, ge=0, le=3600)  # for more that is to be taken back with it
    removals_per_hour: int = Field(default=2, ge=1, le=60)  # of an app to a device: Apple lets no more through
    badge_wait_seconds: float = Field(default=30.0, ge=0, le=3600)  # for a push that takes the new number along
    badges_per_hour: int = Field(default=2, ge=1, le=60)  # pushes for the number alone, of a user in an app

    @property
    def max_ahead_ms(self) -> int:
        """`max_ahead_seconds` in milliseconds."""
        return self.max_ahead_seconds * 1000


class Tickets(Strict):
    """Providers that take a push with a ticket and are asked later what became of it: Expo."""

    ask_after_seconds: float = Field(default=900.0, gt=0, le=3600)  # after sending; Expo: from a quarter of an hour on
