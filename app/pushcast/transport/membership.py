"""What is known of a consumer's place in its group, noted by replacing methods of aiokafka's coordinator."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from aiokafka.errors import GroupAuthorizationFailedError, InconsistentGroupProtocolError

from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.fatal import end_process

logger = logging.getLogger(__name__)

#: Between two attempts to join a group that refuses this member.
REFUSED_SECONDS = 2.0


def retrieved(commit: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., asyncio.Task[None]]:
    """Wraps a commit so that its exception is not logged as "never retrieved" when we stop waiting for it.

    aiokafka shields its commits: one that we gave up goes on, and its end would be a traceback in the log of every
    role whenever a broker goes away.
    """

    def begun(*arguments: Any) -> asyncio.Task[None]:
        task = asyncio.ensure_future(commit(*arguments))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    return begun


class Membership:
    """Of one consumer. Written on its thread; the figures may be read from anywhere."""

    def __init__(self, id_lost: Callable[[], Awaitable[None]]) -> None:
        """`id_lost`: awaited before a static id that was lost is taken again."""
        #: CLOCK_BOOTTIME seconds when the last heartbeat that the coordinator accepted was sent, or of the last join; 0
        #: before the first. Boot time, because it goes on while the machine sleeps: a sleeper has lost its partitions.
        self.last_heartbeat_at = 0.0
        #: Why the group does not take this member; None while it does.
        self.refused: str | None = None
        self._ask = id_lost
        self._id_lost = False

    def follow(self, coordinator: Any) -> None:
        """From now on the coordinator's heartbeats, joins and losses are noted."""
        self._note_heartbeats(coordinator)
        self._note_lost_ids(coordinator)
        self._join_again_when_refused(coordinator)
        self._go_on_after_errors(coordinator)
        coordinator._do_commit_offsets = retrieved(coordinator._do_commit_offsets)

    def joined(self) -> None:
        """The group has given this member its partitions."""
        self.last_heartbeat_at = boottime_seconds()

    def _note_heartbeats(self, coordinator: Any) -> None:
        beat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat

        async def noted() -> bool:
            # The sending counts: a process that was stopped meanwhile finds the answer waiting, however old it is.
            sent_at = boottime_seconds()
            alive = await beat()
            if alive:
                self.last_heartbeat_at = max(self.last_heartbeat_at, sent_at)
            return alive

        coordinator._do_heartbeat = noted

    def _note_lost_ids(self, coordinator: Any) -> None:
        reset: Callable[[], None] = coordinator.reset_generation

        def noted() -> None:
            self._id_lost = coordinator._group_instance_id is not None
            reset()

        coordinator.reset_generation = noted

    def _join_again_when_refused(self, coordinator: Any) -> None:
        """aiokafka gives up for ever when a member of another protocol is in the group, a tool that uses its id."""
        join: Callable[[Any], Awaitable[bool]] = coordinator._do_rejoin_group

        async def joined(subscription: Any) -> bool:
            if self._id_lost:
                self._id_lost = False
                await self._ask()
            try:
                done = await join(subscription)
            except InconsistentGroupProtocolError:
                self._refuse(
                    coordinator,
                    "a client of another kind is a member of the group (a tool that uses its id): "
                    "this process joins when it has left",
                )
                await asyncio.sleep(REFUSED_SECONDS)
                return False
            if done:
                self.refused = None
            return done

        coordinator._do_rejoin_group = joined

    def _go_on_after_errors(self, coordinator: Any) -> None:
        """aiokafka keeps an error of the group for whoever asks for records next, and does nothing until then: no
        heartbeat, no join. Faust never asks, so a permission that was missing for a second stopped a process for ever.
        """

        async def refused(error: BaseException) -> None:
            if isinstance(error, GroupAuthorizationFailedError):
                why = "the principal of this process may not read the group (GROUP_AUTHORIZATION_FAILED)"
            else:
                why = f"Kafka does not take this process as a member ({error!r})"[:300]
            self._refuse(coordinator, f"{why}: it joins again every {REFUSED_SECONDS:.0f} s")
            # As a new member: the heartbeats of the old one have ended, and its id may be what was refused.
            coordinator.reset_generation()
            await asyncio.wait([coordinator._closing], timeout=REFUSED_SECONDS)

        coordinator._push_error_to_user = refused

    def _refuse(self, coordinator: Any, why: str) -> None:
        if self.refused != why:
            self.refused = why
            logger.warning("group %s: %s", coordinator.group_id, why)


def never_ends(what: str, task: asyncio.Task[None], closing: Callable[[], bool]) -> None:
    """Ends the process when a task of aiokafka's ends by an error: nobody else looks, and nothing is read any more.

    `closing`: whether the consumer is being closed, when nothing is to be read any more.
    """

    def ended(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() or closing() else done.exception()
        if error is not None:
            end_process(f"{what} of a consumer ended", error)

    task.add_done_callback(ended)
