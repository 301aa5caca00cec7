from __future__ import annotations

import asyncio

import pytest

from pushcast.http2.queue import QueueFull, WorkQueue
from pushcast.http2.request import UNHEARD, WAITED
from unit.http2.wire import make_job, raise_error


def make_queue(max_waiting: int = 100) -> WorkQueue:
    return WorkQueue(max_waiting=max_waiting, max_in_flight=100, on_error=raise_error)


def test_jobs_are_taken_in_order_and_in_parts() -> None:
    queue = make_queue()
    first, second = make_job(3), make_job(2)
    queue.submit(first.job, 0.0)
    queue.submit(second.job, 0.0)
    assert queue.head() is first.job
    assert list(queue.take(first.job, 2)) == [0, 1]
    assert list(queue.take(first.job, 5)) == [2]
    assert queue.head() is second.job
    assert queue.waiting == 2


def test_what_was_given_back_comes_first() -> None:
    queue = make_queue()
    first, second = make_job(3), make_job(2)
    queue.submit(first.job, 0.0)
    queue.take(first.job, 3)
    queue.submit(second.job, 0.0)
    queue.give_back(first.job, [1])
    assert queue.head() is first.job
    assert list(queue.take(first.job, 5)) == [1]
    assert queue.head() is second.job


def test_a_cancelled_target_never_leaves() -> None:
    queue = make_queue()
    sent = make_job(5)
    queue.submit(sent.job, 0.0)
    queue.take(sent.job, 2)
    queue.give_back(sent.job, [1])
    assert queue.cancel(sent.job, [0, 1, 3]) == [0]
    assert queue.waiting == 2
    assert {index: response.fault for index, response in sent.outcomes.items()} == {1: "cancelled", 3: "cancelled"}
    taken: list[int] = []
    while (job := queue.head()) is not None:
        taken += queue.take(job, 10)
    assert taken == [2, 4]
    assert queue.waiting == 0


def test_cancelling_twice_ends_once() -> None:
    queue = make_queue()
    sent = make_job(2)
    queue.submit(sent.job, 0.0)
    queue.cancel(sent.job, [0])
    assert queue.cancel(sent.job, [0, 1]) == [0]
    assert sent.kinds() == {"unsent": 2}


def test_more_than_the_bound_is_refused() -> None:
    queue = make_queue(10)
    queue.submit(make_job(8).job, 0.0)
    with pytest.raises(QueueFull, match="max_waiting 10"):
        queue.submit(make_job(3).job, 0.0)
    queue.submit(make_job(2).job, 0.0)
    assert queue.waiting == 10


def test_a_job_larger_than_the_bound_passes_alone() -> None:
    queue = make_queue(10)
    queue.submit(make_job(25).job, 0.0)
    assert queue.waiting == 25


async def test_room_comes_when_work_leaves() -> None:
    queue = make_queue(10)
    sent = make_job(10)
    queue.submit(sent.job, 0.0)
    waiter = asyncio.ensure_future(queue.room(4))
    await asyncio.sleep(0)
    assert not waiter.done()
    queue.take(sent.job, 6)
    await asyncio.wait_for(waiter, 5)
    queue.submit(make_job(4).job, 0.0)


async def test_a_cancelled_waiter_for_room_harms_no_other() -> None:
    queue = make_queue(10)
    sent = make_job(10)
    queue.submit(sent.job, 0.0)
    gone, stays = asyncio.ensure_future(queue.room(1)), asyncio.ensure_future(queue.room(1))
    await asyncio.sleep(0)
    gone.cancel()
    queue.take(sent.job, 10)
    await asyncio.wait_for(stays, 5)
    assert gone.cancelled()


def test_ending_all_ends_each_target_once() -> None:
    queue = make_queue()
    sent = make_job(6)
    queue.submit(sent.job, 0.0)
    queue.take(sent.job, 3)
    queue.give_back(sent.job, [2])
    queue.cancel(sent.job, [5])
    queue.end_all("closed_by_us")
    assert sorted(sent.outcomes) == [2, 3, 4, 5]
    assert queue.waiting == 0
    assert queue.head() is None


def test_only_late_jobs_expire() -> None:
    queue = make_queue()
    late, fine = make_job(2, timeout_seconds=5.0), make_job(2, timeout_seconds=6.0)
    queue.submit(late.job, 0.0)
    queue.submit(fine.job, 0.0)
    queue.expire(5.5, 0.0)
    assert late.kinds() == {"unsent": 2}
    assert not fine.lists
    assert queue.head() is fine.job


def test_the_most_that_was_out_is_told_once() -> None:
    """A look that comes right after answers must not take the queue for unused."""
    queue = make_queue()
    for change in (30, 20, -45):
        queue.note_in_flight(change)
    assert [queue.most_in_flight(), queue.most_in_flight(), queue.in_flight] == [50, 5, 5]


def test_what_waited_too_long_says_whether_the_server_answered_meanwhile() -> None:
    queue = make_queue()
    heard, unheard = make_job(1, timeout_seconds=10.0), make_job(1, timeout_seconds=10.0)
    queue.submit(heard.job, 0.0)
    queue.expire(10.0, 5.0)
    queue.submit(unheard.job, 20.0)
    queue.expire(30.0, 5.0)
    faults = [response.fault for sent in (heard, unheard) for response in sent.outcomes.values()]
    assert faults == [WAITED, UNHEARD]
