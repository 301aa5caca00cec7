from __future__ import annotations

import pytest

from pushcast.handover.fences import Author, Fences, author_of
from pushcast.handover.writers import Writers
from pushcast.model.errors import InvalidInput
from pushcast.wire import headers as h


def data(epoch: int, origin: str = "plan/0") -> Author:
    return Author(origin, epoch, fence=False)


def fence(epoch: int, origin: str = "plan/0") -> Author:
    return Author(origin, epoch, fence=True)


def test_headers_name_the_author() -> None:
    assert author_of(h.origin("plan-bulk", 3, 12)) == Author("plan-bulk/3", 12, fence=False)
    assert author_of([*h.origin("plan-bulk", 3, 12), (h.FENCE, b"")]) == Author("plan-bulk/3", 12, fence=True)


def test_a_record_without_an_origin_has_no_author_and_counts() -> None:
    assert author_of(None) is None
    assert author_of([("other", b"1")]) is None
    assert Fences().admit(None, 0)


@pytest.mark.parametrize("epoch", [None, b"", b"x", b"-1", b"%d" % 2**63, b"9" * 4000])
def test_an_origin_without_an_epoch_is_invalid(epoch: bytes | None) -> None:
    headers = [(h.ORIGIN, b"plan/0")] + ([] if epoch is None else [(h.EPOCH, epoch)])
    with pytest.raises(InvalidInput) as caught:
        author_of(headers)
    assert caught.value.field == h.EPOCH


def test_a_lower_epoch_behind_the_fence_is_void_and_counted() -> None:
    fences = Fences()
    assert fences.admit(data(1), 0)
    assert not fences.admit(fence(2), 1)
    assert not fences.admit(data(1), 2)
    assert fences.admit(data(2), 3)
    assert fences.void == 1


def test_a_fence_is_its_own_origins_alone() -> None:
    fences = Fences()
    fences.admit(fence(5, "plan/1"), 0)
    assert fences.admit(data(1, "plan/0"), 1)


def test_a_record_before_the_fence_counts_when_it_is_read_again() -> None:
    fences = Fences()
    fences.admit(fence(2), 5)
    assert fences.admit(data(1), 4)


def test_only_fences_below_the_commit_are_kept_in_it() -> None:
    fences = Fences({"plan/0": 1})
    fences.admit(fence(2), 5)
    fences.admit(fence(3), 9)
    assert fences.below(5) == {"plan/0": 1}
    assert fences.below(6) == {"plan/0": 2}
    assert fences.below(10) == {"plan/0": 3}


def test_a_late_fence_does_not_lower_what_is_fenced() -> None:
    fences = Fences()
    fences.admit(fence(3), 0)
    fences.admit(fence(2), 1)  # a zombie's own
    assert not fences.admit(data(2), 2)
    assert fences.below(3) == {"plan/0": 3}


@pytest.mark.parametrize("base", [{}, {"plan/0": 2}])
def test_an_author_of_whom_all_counts_is_admitted_wherever_and_only_that_one(base: dict[str, int]) -> None:
    fences = Fences(base)
    fences.admit(fence(3, "plan/1"), 5)
    for author in (data(1), data(2), data(1, "plan/1"), data(4, "plan/1"), fence(9)):
        is_sure = fences.admits_all(author)
        assert is_sure is (author in (data(2), data(1)) and author.epoch >= base.get("plan/0", 0))
        assert not is_sure or all(fences.admit(author, offset) for offset in (0, 5, 6))
    assert not fences.admits_all(fence(9))


@pytest.mark.parametrize("kind", [Fences, Writers])
@pytest.mark.parametrize("epoch", [None, b"x", b"%d" % 2**64])
def test_who_looks_on_passes_by_a_record_whose_writer_cannot_be_made_out(
    kind: type[Fences] | type[Writers], epoch: bytes | None
) -> None:
    reader = kind()
    stranger = [(h.ORIGIN, b"plan/0")] + ([] if epoch is None else [(h.EPOCH, epoch)])
    assert reader.stands(h.origin("plan", 0, 2), 0)
    assert not reader.stands(stranger, 1)
    assert reader.stands(h.origin("plan", 0, 2), 2)
    assert reader.stands([], 3)
    assert reader.void == 1
