"""The provider port: what SEND asks of every provider and engine.

A provider takes one message and some of its targets, and reports a result for each exactly once, in any order, in
lists as they come. It retries nothing that a provider has answered; it may send again what certainly never left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool_stats import PoolStats
from pushcast.model.batch import Message
from pushcast.model.words import Platform


class Disposition(StrEnum):
    """What a result means for the delivery."""

    ACCEPTED = "accepted"
    INVALID = "invalid"  # the token is no more: terminal, and the device's row is in question
    REJECTED = "rejected"  # this payload or target will never be taken: terminal, token kept
    RETRY = "retry"  # the provider answered: later, perhaps
    CREDENTIAL = "credential"  # our key or project is refused: nothing of this app goes, no token is at fault
    UNKNOWN = "unknown"  # the request left, no answer came: it may have been delivered
    UNSENT = "unsent"  # it certainly was not processed: sending again cannot double it


class Result(NamedTuple):
    """Result of one target's attempt. Times are milliseconds since the epoch."""

    target: int  # index into message.targets
    disposition: Disposition
    reason: str | None = None  # snake_case word of the verdict table; None when accepted
    status: int | None = None  # HTTP status
    provider_id: str | None = None
    invalid_since: int | None = None  # provider's own time of invalidation
    retry_after_seconds: float | None = None
    sent_at: int = 0
    answered_at: int = 0


OnResults = Callable[[list[Result]], None]


class Part(NamedTuple):
    """One message, some of its targets, and who hears of their results."""

    message: Message
    indices: Sequence[int]
    on_results: OnResults


class Provider(Protocol):
    """One (app, platform) with its own credentials and connections."""

    app: str
    platform: Platform
    engine: str

    @property
    def slow(self) -> bool:
        """What its answers take holds down what may be out at it: others that wait are not to wait behind its work."""
        ...

    async def start(self) -> None:
        """Opens what it needs; must not fail because the provider is away. Raises ConfigurationError."""
        ...

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        """Sends to these targets; calls `on_results` on the loop's thread; returns when every index had its result.

        `may_leave` is asked whenever some of them are about to be written to the network, however long they waited for
        that; those it says no to are UNSENT, `not_sent_in_time`. What is out by then is answered all the same.

        Never raises for what a provider or a network does. Cancelling it cancels what has not left; the caller then
        treats indices without a result as UNKNOWN.
        """
        ...

    async def close(self) -> None:
        """Waits for nothing: call it after the last `send` has returned."""
        ...


@runtime_checkable
class Pooled(Provider, Protocol):
    """A provider whose engine keeps pools of connections."""

    def pools(self) -> list[PoolStats]:
        """How each of them stands."""
        ...


@runtime_checkable
class OpensAhead(Provider, Protocol):
    """A provider that can be made ready before there is a push for it."""

    async def open_ahead(self) -> None:
        """Gets a credential and begins to open a connection, so that the first push waits for neither. What fails is
        left to that push. Call it after `start`; raises nothing."""
        ...


@runtime_checkable
class WithCredential(Provider, Protocol):
    """A provider whose credential may end."""

    def credential_expires_at(self) -> float | None:
        """Seconds since the epoch; None for one without an end."""
        ...


@runtime_checkable
class GivesUpHosts(Provider, Protocol):
    """A provider that ends deliveries to hosts that will never be reached."""

    def tell_reached(self, told: Callable[[str], None]) -> None:
        """From now on tells of each host that answers although it had been given up. On the loop; must be quick."""
        ...


@runtime_checkable
class Replaceable(Provider, Protocol):
    """A provider whose removals may replace what they take back, where it waits and where it is shown."""

    def tag_of(self, message: Message, target: int) -> str | None:
        """What the device knows this push by; None: removals replace nothing. The same in every try."""
        ...


@runtime_checkable
class ManyAtOnce(Provider, Protocol):
    """A provider for which many small messages together are cheaper than each by itself."""

    async def send_many(self, parts: Sequence[Part], may_leave: MayLeave = always) -> None:
        """As `send` of each part: what it promises holds for every part, and cancelling it cancels all of them.

        Returns when the last of them had its last result; a slow one holds up no result of the others.
        """
        ...


@runtime_checkable
class TakesWordings(Provider, Protocol):
    """A provider that takes messages whose notifications have contents of their own (`Message.wordings`)."""

    @property
    def takes_wordings(self) -> bool:
        """Whether it does."""
        ...
