"""What a class of notifications is, and a campaign of them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pushcast.config.digests import Digest
from pushcast.config.strict import Strict
from pushcast.model.digest import NO_RULE, DigestRule
from pushcast.model.pacing import MAX_PER_MINUTE
from pushcast.model.quiet import Quiet
from pushcast.model.sealing import Fallback, Sealing
from pushcast.model.words import Lane


class Class(Strict):
    """A kind of notification: its default lane, its window and its time to live."""

    lane: Lane = Lane.NORMAL  # where PLAN sends what came by no topic of a lane: urgent, normal or bulk
    # How long the first one waits for others to leave with it; None: 0.05.
    window_seconds: float | None = Field(default=None, ge=0, le=3600)
    # Instead of window_seconds: a window of random length, at least so long.
    window_min_seconds: float | None = Field(default=None, ge=0, le=3600)
    window_max_seconds: float | None = Field(default=None, gt=0, le=3600)  # and at most so long
    # At most 28 days, the longest that FCM keeps; 0: now or never.
    ttl_seconds: int = Field(default=86_400, ge=0, le=2_419_200)
    # ping: the provider learns that there is something, and not what; the app fetches it. sealed: the content goes
    # along, encrypted under the device's content_key (docs/privacy.md).
    privacy: Literal["none", "ping", "sealed"] = "none"
    # What a device without a content_key gets of what is sealed: word of it, nothing, or the content in clear.
    privacy_fallback: Fallback = "ping"
    generic_title: str | None = Field(default=None, min_length=1, max_length=64)  # what a ping, or a sealed push, shows
    # Whether frequency caps hold it up. None: ignore where lane is urgent, otherwise apply.
    caps: Literal["apply", "ignore"] | None = None
    counted: bool = True  # takes slots of the caps, even where they do not hold it up
    digest: Digest | None = None  # its notifications leave together (docs/time.md)
    # In quiet hours. None: ignore where lane is urgent, otherwise hold.
    quiet: Literal["hold", "digest", "drop", "passive", "ignore"] | None = None
    may_override: tuple[Literal["quiet_hours", "frequency_cap"], ...] = ()  # what options.override may pass
    unless_read_seconds: int = Field(default=0, ge=0, le=3600)  # so long it waits, and is sent if it was not read
    # active: only while the app tells that it is in front of its user; who is not there gets it at once.
    unless_read_when: Literal["always", "active"] = "always"
    read_gate: bool = False  # the keeper is asked whether it was read, which costs a few milliseconds
    mandatory: bool = False  # nobody can opt out of it
    opt_in: bool = False  # only for users who have said on
    # Payloads carry the notification's id, so that apps can tell what was received and opened (docs/reports.md).
    engagement: bool = False
    # What reporters keep. full: sums, published to push.report.v1 too; history: deliveries of users alone, for traffic
    # with an id for each recipient; totals: sums of the class by minute alone; absent: sums. Broadcasts have full.
    report: Literal["full", "history", "totals"] | None = None

    @property
    def is_capped(self) -> bool:
        """Whether frequency caps hold it up: by the class, not by the topic."""
        return self.caps == "apply" if self.caps is not None else self.lane is not Lane.URGENT

    @property
    def in_quiet_hours(self) -> Quiet:
        """By the class, not by the topic: no producer gets out of it by the urgent one."""
        if self.quiet is not None:
            return Quiet(self.quiet)
        return Quiet.IGNORE if self.lane is Lane.URGENT else Quiet.HOLD

    @property
    def digest_rule(self) -> DigestRule:
        """How its notifications leave together. Those of a class without a digest do so after quiet hours, or where a
        cap says so; what is now or never lives in a digest as long as its members."""
        if self.digest is not None:
            return self.digest.rule(self.ttl_seconds)
        return DigestRule(self.ttl_seconds * 1000) if self.ttl_seconds else NO_RULE

    @model_validator(mode="after")
    def _opting_is_one_way(self) -> Self:
        if self.mandatory and self.opt_in:
            raise ValueError("mandatory and opt_in exclude each other")
        return self

    per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)  # at most, of all users together
    # What was read on one device is taken off the others, and undelivered Web Push is deleted at Mozilla.
    removable: bool = False

    @model_validator(mode="after")
    def _privacy_has_a_title(self) -> Self:
        if (self.privacy != "none") != (self.generic_title is not None):
            raise ValueError("privacy (ping or sealed) and generic_title belong together: set both")
        if self.privacy != "sealed" and self.privacy_fallback != "ping":
            raise ValueError("privacy_fallback is for privacy: sealed")
        return self

    @property
    def sealing(self) -> Sealing | None:
        """How its contents are sealed; None: they are not."""
        if self.privacy != "sealed" or self.generic_title is None:
            return None
        return Sealing(self.generic_title, self.privacy_fallback)

    @model_validator(mode="after")
    def _one_kind_of_window(self) -> Self:
        random = (self.window_min_seconds, self.window_max_seconds)
        if random == (None, None):
            return self
        if None in random:
            raise ValueError("window_min_seconds and window_max_seconds belong together: set both")
        if self.window_seconds is not None:
            raise ValueError("set either window_seconds or window_min_seconds and window_max_seconds")
        if (self.window_max_seconds or 0) < (self.window_min_seconds or 0):
            raise ValueError("window_max_seconds is less than window_min_seconds")
        return self


class Campaign(Strict):
    """How fast the notifications leave that carry this label."""

    per_minute: int = Field(ge=1, le=MAX_PER_MINUTE)  # of all users together; `pushcast pace` changes it while it runs
