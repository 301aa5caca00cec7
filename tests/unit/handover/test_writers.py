from __future__ import annotations

from pushcast.handover.fences import Author
from pushcast.handover.writers import Writers

OLD, NEW = Author("plan-urgent/3", 10, fence=False), Author("plan-urgent/3", 12, fence=False)


def test_a_record_proves_the_fence_that_lies_before_what_was_read() -> None:
    writers = Writers()
    assert writers.admit(OLD, 50), "nothing is known yet"
    assert writers.admit(NEW, 51)
    assert not writers.admit(OLD, 52), "a process that was stopped writes late"
    assert writers.admit(NEW, 53)
    assert writers.void == 1


def test_fences_void_without_any_record() -> None:
    writers = Writers()
    assert not writers.admit(NEW._replace(fence=True), 50)
    assert not writers.admit(OLD, 51)
    assert writers.void == 1


def test_writers_do_not_void_each_other_and_records_without_one_always_count() -> None:
    writers = Writers()
    assert writers.admit(NEW, 50)
    assert writers.admit(Author("settle-10s/3", 1, fence=False), 51)
    assert writers.admit(None, 52)
    assert writers.void == 0
