from __future__ import annotations

import pytest

from pushcast.handover.ledger import Ledger
from pushcast.handover.standing import Standing
from pushcast.handover.state import Outset, Takeover

ENDS = {"send": 40, "planned": 20}


def takeover(committed: Standing = Standing(), offset: int = 0, now_seconds: int = 1000) -> Takeover:  # noqa: B008
    return Takeover(Outset("plan/0", ("send", "planned"), "planned", committed, offset, ENDS, now_seconds))


def started(committed: Standing = Standing(), offset: int = 0, found: int = -1) -> Takeover:  # noqa: B008
    own = takeover(committed, offset)
    own.fenced("planned", 21)
    own.fenced("send", 41)
    if found >= 0:
        own.tail.add_items("send", [(found, b"d")])
    own.start()
    return own


def test_the_epoch_is_above_the_last_and_not_below_the_clock() -> None:
    assert takeover(Standing(epoch=5)).epoch == 1000
    assert takeover(Standing(epoch=5000)).epoch == 5001  # the clock went back


def test_the_planned_partition_is_fenced_before_the_others() -> None:
    assert takeover().fence_rounds == (("planned",), ("send",))


def test_a_first_claim_begins_at_the_present_ends() -> None:
    own = takeover()
    assert own.starts == ENDS
    assert own.standing(0) == Standing(1000, 0, ENDS)


def test_an_output_that_is_new_begins_at_its_present_end() -> None:
    assert takeover(Standing(3, 3, {"planned": 7})).starts == {"send": 40, "planned": 7}


def test_an_output_that_ends_before_its_position_is_another_log_and_read_from_its_beginning() -> None:
    own = takeover(Standing(3, 3, {"planned": 500, "send": 7}))
    own.fenced("planned", 21)
    own.fenced("send", 41)
    assert own.starts == {"planned": 0, "send": 7}
    own.start()
    assert own.standing(0).positions["planned"] == 21


def test_outcomes_of_a_log_that_was_made_anew_are_read_from_its_beginning() -> None:
    assert Ledger(("r", "s"), Standing(0, 0, {"r": 500, "s": 7}), 0, {"r": 20, "s": 20}).starts == {"r": 0, "s": 7}


def test_the_claim_carries_what_was_inherited_under_its_own_epoch() -> None:
    old = Standing(1500, 1400, {"send": 3, "planned": 4})
    assert takeover(old).standing(0) == Standing(1501, 1400, old.positions)


def test_a_start_without_every_fence_is_refused() -> None:
    own = takeover()
    own.fenced("planned", 21)
    with pytest.raises(ValueError, match="fence"):
        own.start()


def test_a_record_noted_before_the_tail_is_read_is_refused() -> None:
    with pytest.raises(ValueError, match="tail"):
        takeover().note(0, 0)


def test_a_commit_carries_the_note_of_the_oldest_unfinished_record() -> None:
    own = started()
    own.note(0, 4)
    own.ended("send", 50)
    own.note(5, 9)
    own.ended("send", 60)
    assert own.standing(3).positions == {"send": 41, "planned": 21}
    assert own.standing(5).positions == {"send": 50, "planned": 21}
    assert own.standing(10).positions == {"send": 60, "planned": 21}
    assert own.standing(10).fenced == own.epoch


def test_inherited_positions_stay_until_all_of_the_tail_is_committed() -> None:
    old = Standing(1500, 1400, {"send": 3, "planned": 4})
    own = started(old, found=6)
    own.note(0, 9)
    assert own.standing(6) == Standing(1501, 1400, old.positions)
    assert own.standing(7) == Standing(1501, 1501, {"send": 41, "planned": 21})


def test_records_handed_over_again_keep_their_first_note() -> None:
    own = started()
    own.note(0, 4)
    own.ended("send", 50)
    own.note(2, 4)
    assert own.standing(2).positions == {"send": 41, "planned": 21}


def test_what_lies_below_the_committed_offset_is_not_remembered() -> None:
    own = takeover(offset=5)
    own.tail.add_items("send", [(4, b"old"), (5, b"new")])
    own.tail.add_planned([3])
    assert own.tail.there == {5: {"send": {b"new"}}}
    assert not own.tail.is_done(3)


def test_a_ledger_names_the_deliveries_that_have_an_outcome_once() -> None:
    ledger = Ledger(("receipt",), Standing(positions={"receipt": 3}), 5, {"receipt": 9})
    assert ledger.starts == {"receipt": 3}
    ledger.fold(4, b"committed")
    ledger.fold(5, b"a")
    ledger.start()
    ledger.note(5)
    assert ledger.standing(5).positions == {"receipt": 3}
    assert ledger.standing(6).positions == {"receipt": 9}
    assert ledger.take(5) == {b"a"}
    assert ledger.take(5) == set()
