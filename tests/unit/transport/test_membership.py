"""A consumer in its group: heartbeats, lost ids and refusals are noted on a coordinator that the test drives."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError, InconsistentGroupProtocolError

from pushcast.transport import membership
from pushcast.transport.membership import Membership, retrieved


class Coordinator:
    """What aiokafka's does, as the test says."""

    group_id = "group"

    def __init__(self, instance_id: str | None = "group-local") -> None:
        self._group_instance_id = instance_id
        self.alive = True
        self.strange = False
        self.joins = 0
        self.resets = 0

    async def _do_heartbeat(self) -> bool:
        return self.alive

    async def _do_rejoin_group(self, subscription: object) -> bool:
        self.joins += 1
        if self.strange:
            raise InconsistentGroupProtocolError
        return True

    async def _do_commit_offsets(self, *_: object) -> None:
        return

    def reset_generation(self) -> None:
        self.resets += 1


class Member:
    """Followed, with a note of what it asked."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator: Any = coordinator
        self.asked = 0
        self.membership = Membership(self._ask)
        self.membership.follow(coordinator)

    async def _ask(self) -> None:
        self.asked += 1
        assert self.coordinator.joins == 0, "it joins before it has asked"


async def test_a_heartbeat_counts_when_the_coordinator_took_it() -> None:
    member = Member(Coordinator())
    member.coordinator.alive = False
    assert await member.coordinator._do_heartbeat() is False
    assert member.membership.last_heartbeat_at == 0.0
    member.coordinator.alive = True
    assert await member.coordinator._do_heartbeat() is True
    assert member.membership.last_heartbeat_at > 0.0


async def test_a_static_id_that_was_lost_is_asked_about_once_before_it_is_taken_again() -> None:
    member = Member(Coordinator())
    member.coordinator.reset_generation()
    assert member.coordinator.resets == 1
    assert await member.coordinator._do_rejoin_group("topics") is True
    assert await member.coordinator._do_rejoin_group("topics") is True
    assert member.asked == 1


async def test_a_member_without_a_static_id_and_a_first_join_ask_nobody() -> None:
    dynamic = Member(Coordinator(instance_id=None))
    dynamic.coordinator.reset_generation()
    first = Member(Coordinator())
    for member in (dynamic, first):
        await member.coordinator._do_rejoin_group("topics")
        assert member.asked == 0


async def test_a_group_that_holds_another_kind_is_told_until_it_takes_this_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "REFUSED_SECONDS", 0.0)
    member = Member(Coordinator())
    member.coordinator.strange = True
    assert await member.coordinator._do_rejoin_group("topics") is False
    assert "another kind" in (member.membership.refused or "")
    member.coordinator.strange = False
    assert await member.coordinator._do_rejoin_group("topics") is True
    assert member.membership.refused is None


async def test_a_commit_that_was_given_up_ends_without_a_word() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    answer = asyncio.Event()

    async def commit(*_: object) -> None:
        await answer.wait()
        raise GroupCoordinatorNotAvailableError

    waiting = asyncio.ensure_future(asyncio.wait_for(asyncio.shield(retrieved(commit)("assignment", {})), 0.001))
    with pytest.raises(TimeoutError):
        await waiting
    answer.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert told == []


async def test_who_waits_for_a_commit_hears_its_error() -> None:
    async def commit(assignment: str, offsets: dict[str, int]) -> None:
        assert (assignment, offsets) == ("assignment", {"offset": 1})
        raise GroupCoordinatorNotAvailableError

    with pytest.raises(GroupCoordinatorNotAvailableError):
        await asyncio.shield(retrieved(commit)("assignment", {"offset": 1}))
