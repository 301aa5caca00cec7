"""C13: the epoch floor of a claim without metadata is the greatest epoch in an output, read back to the last fence."""

from __future__ import annotations

from pushcast.handover.fences import Author
from pushcast.handover.floors import FIRST_BLOCK_RECORDS, GIVE_UP_RECORDS, FloorSearch

OURS = "plan-normal/3"


def data(epoch: int, origin: str = OURS) -> Author:
    return Author(origin, epoch, fence=False)


def fence(epoch: int, origin: str = OURS) -> Author:
    return Author(origin, epoch, fence=True)


def searched(log: list[Author | None], *origins: str) -> tuple[FloorSearch, int]:
    """The search when it is over, and how many records it has read."""
    search, read = FloorSearch(origins or [OURS], len(log)), 0
    while (span := search.span) is not None:
        for author in log[slice(*span)]:
            search.see(author)
            read += 1
        search.next_block()
    return search, read


def test_an_empty_output_has_no_floor_and_is_not_read() -> None:
    search, read = searched([])
    assert (search.floor(OURS), read) == (0, 0)


def test_the_floor_is_the_fence_and_not_what_a_fenced_off_process_wrote_last() -> None:
    search, _ = searched([data(5), fence(9), None, data(5)])
    assert search.floor(OURS) == 9


def test_records_of_others_say_nothing() -> None:
    search, _ = searched([fence(9), fence(70, "plan-bulk/3"), data(80, "settle/3"), None])
    assert search.floor(OURS) == 9


def test_no_more_is_read_than_back_to_the_last_fence() -> None:
    log: list[Author | None] = [*[data(4)] * 50_000, fence(9), *[data(9)] * 10]
    search, read = searched(log)
    assert (search.floor(OURS), read) == (9, FIRST_BLOCK_RECORDS)


def test_a_log_whose_fence_is_gone_is_read_to_its_beginning_once() -> None:
    log: list[Author | None] = [data(7)] * 30_000
    search, read = searched(log)
    assert (search.floor(OURS), read) == (7, 30_000)


def test_every_origin_is_looked_for() -> None:
    log: list[Author | None] = [fence(3, "settle-10s/3"), *[None] * 5000, fence(9)]
    search, _ = searched(log, OURS, "settle-10s/3")
    assert (search.floor(OURS), search.floor("settle-10s/3")) == (9, 3)


def test_a_log_of_others_is_not_read_to_its_beginning_for_an_origin_that_may_never_have_written() -> None:
    log: list[Author | None] = [data(7, "settle/3")] * 30_000
    search, read = FloorSearch([OURS], len(log), never=[OURS]), 0
    while (span := search.span) is not None:
        read += span[1] - span[0]
        for author in log[slice(*span)]:
            search.see(author)
        search.next_block()
    assert (search.floor(OURS), read) == (0, GIVE_UP_RECORDS)


def test_an_origin_that_was_met_is_not_given_up_before_its_fence() -> None:
    log: list[Author | None] = [fence(9), *[data(4)] * 10_000]
    search = FloorSearch([OURS], len(log), never=[OURS])
    while (span := search.span) is not None:
        for author in log[slice(*span)]:
            search.see(author)
        search.next_block()
    assert search.floor(OURS) == 9
