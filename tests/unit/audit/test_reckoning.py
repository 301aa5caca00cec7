"""Accounts of one partition: what balances, what does not, and where it is."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pushcast.audit.accounts import MAX_LISTED, AccountKey, Totals
from pushcast.audit.reader import Books
from pushcast.audit.reckoning import PartitionAccounts, Read
from pushcast.model.words import Lane, Source
from pushcast.wire import topics
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipts import Planned


def planned(offset: int, count: int, lane: str = "urgent", note: str = "n", other: int = 0, source: int = 0) -> Planned:
    record = Planned(lane, source=source)
    record.add(offset, note, {"apns": count}, other)
    return record


def receipt(
    offset: int,
    delivery: int,
    outcome: str = "accepted",
    lane: str = "urgent",
    run: int = 0,
    note: str = "n",
    source: int = 0,
) -> dict[str, Any]:
    return {
        "run": run,
        "lane": lane,
        "source_offset": offset,
        "delivery_id": f"{delivery:032x}",
        "outcome": outcome,
        "notification_id": note,
        "source": source,
    }


def settled(
    accounts: PartitionAccounts,
    committed: dict[str, int] | None = None,
    intakes: dict[str, Read] | None = None,
    places: dict[AccountKey, str] | None = None,
) -> Totals:
    totals = Totals()
    accounts.settle(totals, committed or {}, intakes or {}, places)
    return totals


def test_what_was_planned_and_ended_balances() -> None:
    accounts = PartitionAccounts(2)
    accounts.intake("urgent", 0)
    accounts.planned(planned(0, 2, other=1))
    for delivery, outcome in enumerate(("accepted", "invalid", "suppressed")):
        assert accounts.receipt(receipt(0, delivery, outcome))
    totals = settled(accounts)
    assert totals.balanced
    assert totals.to_dict() == {
        "planned": 3,
        "accepted": 1,
        "invalid": 1,
        "rejected": 0,
        "expired": 0,
        "suppressed": 1,
        "cancelled": 0,
        "dead": 0,
        "unaccounted": 0,
        "lost_with_topic": 0,
        "copies_of_receipts": 0,
        "notifications": 1,
        "dead_letters": 0,
        "dead_letters_by_reason": [],
        "not_judgeable": 0,
        "void_records": 0,
        "unbalanced": [],
        "walking": [],
        "balanced": True,
    }


def test_nothing_at_all_balances() -> None:
    assert settled(PartitionAccounts(0)).balanced


def test_a_notification_planned_to_nothing_balances() -> None:
    accounts = PartitionAccounts(0)
    accounts.intake("urgent", 0)
    accounts.planned(planned(0, 0))
    assert settled(accounts).balanced


def test_a_copy_of_a_receipt_counts_once_and_is_told() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 1))
    assert accounts.receipt(receipt(0, 1))
    assert not accounts.receipt(receipt(0, 1))
    totals = settled(accounts)
    assert (totals.balanced, totals.copies_of_receipts, totals.outcomes["accepted"]) == (True, 1, 1)


def test_a_delivery_without_a_receipt_is_unaccounted_and_listed_with_its_place() -> None:
    accounts = PartitionAccounts(5)
    accounts.planned(planned(7, 3, note="goal"))
    accounts.receipt(receipt(7, 1, note="goal"))
    totals = settled(accounts, places={AccountKey("urgent", 0, 7, "goal"): "parked"})
    assert (totals.balanced, totals.unaccounted) == (False, 2)
    assert totals.unbalanced == [
        {
            "lane": "urgent",
            "source": "notification",
            "partition": 5,
            "offset": 7,
            "notification": "goal",
            "planned": 3,
            "terminal": 1,
            "where": "parked",
        }
    ]


def test_a_receipt_that_nobody_planned_does_not_balance() -> None:
    accounts = PartitionAccounts(0)
    accounts.receipt(receipt(0, 1))
    totals = settled(accounts)
    assert not totals.balanced
    assert totals.unbalanced[0]["where"] == "planned_missing"
    assert totals.unbalanced[0]["notification"] == "n"


def test_more_receipts_than_planned_deliveries_are_a_surplus() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 1))
    accounts.receipt(receipt(0, 1))
    accounts.receipt(receipt(0, 2))
    totals = settled(accounts)
    assert (totals.balanced, totals.unaccounted, totals.unbalanced[0]["where"]) == (False, 0, "surplus")


def test_a_surplus_here_does_not_hide_a_gap_there() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 1))
    accounts.planned(planned(1, 1))
    accounts.receipt(receipt(0, 1))
    accounts.receipt(receipt(0, 2))
    totals = settled(accounts)
    assert totals.planned == sum(totals.outcomes.values())
    assert (totals.balanced, totals.unaccounted) == (False, 1)


def test_a_record_without_any_account_is_behind_the_group_or_lost() -> None:
    accounts = PartitionAccounts(0)
    for offset in (3, 9):
        accounts.intake("urgent", offset)
    totals = settled(accounts, committed={"urgent": 9})
    assert [(each["offset"], each["where"]) for each in totals.unbalanced] == [(3, "lost"), (9, "lag")]
    assert totals.unaccounted == 2


def test_forwarded_records_owe_nothing() -> None:
    accounts = PartitionAccounts(0)
    accounts.intake("urgent", 3)
    accounts.excuse("urgent", 3)
    assert settled(accounts, committed={"urgent": 9}).balanced


def test_dead_letters_owe_nothing_and_are_counted_by_reason() -> None:
    """faults.md P2-11: five events planned, three refused, and no word of the three."""
    accounts = PartitionAccounts(0)
    for offset, reason in ((3, "unknown_field"), (4, "unknown_class"), (5, "unknown_class"), (1, "not_json")):
        accounts.intake("urgent", offset)
        accounts.dead_letter("urgent", offset, "in.dlq", reason)
    totals = settled(accounts, committed={"urgent": 9}, intakes={"urgent": Read(2)})
    assert totals.balanced
    found = totals.to_dict()
    assert found["dead_letters"] == 3, "the letter of a record from before is not judged"
    assert found["dead_letters_by_reason"] == [
        {"topic": "in.dlq", "reason": "unknown_class", "letters": 2},
        {"topic": "in.dlq", "reason": "unknown_field", "letters": 1},
    ]


def test_the_same_offset_in_two_lanes_is_two_notifications() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 1, "urgent"))
    accounts.planned(planned(0, 1, "bulk"))
    accounts.receipt(receipt(0, 1, lane="urgent"))
    totals = settled(accounts)
    assert (totals.notifications, totals.unaccounted) == (2, 1)
    assert totals.unbalanced[0]["lane"] == "bulk"


def test_the_last_planned_record_of_an_offset_counts() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 5))
    accounts.planned(planned(0, 1))
    accounts.receipt(receipt(0, 1))
    assert settled(accounts).balanced


def test_accounts_from_before_the_first_record_that_was_read_are_not_judged() -> None:
    accounts = PartitionAccounts(0)
    accounts.receipt(receipt(4, 1))
    accounts.planned(planned(5, 1))
    accounts.receipt(receipt(5, 2))
    totals = settled(accounts, intakes={"urgent": Read(5)})
    assert (totals.balanced, totals.not_judgeable, totals.notifications) == (True, 1, 1)
    assert totals.outcomes["accepted"] == 1


def test_partitions_add_up_and_the_list_of_what_is_wrong_is_bounded() -> None:
    totals = Totals()
    for partition in range(3):
        accounts = PartitionAccounts(partition)
        for offset in range(60):
            accounts.planned(planned(offset, 1))
        accounts.settle(totals, {}, {})
    assert (totals.unaccounted, totals.notifications, len(totals.unbalanced)) == (180, 180, MAX_LISTED)


def test_a_delivery_that_is_nowhere_is_lost() -> None:
    accounts = PartitionAccounts(5)
    accounts.planned(planned(7, 1))
    assert settled(accounts).unbalanced[0]["where"] == "lost"


def test_receipts_before_their_planned_record_are_lag_while_the_planner_is_behind() -> None:
    accounts = PartitionAccounts(0)
    accounts.receipt(receipt(7, 1))
    assert settled(accounts, committed={"urgent": 7}).unbalanced[0]["where"] == "lag"
    assert settled(accounts, committed={"urgent": 8}).unbalanced[0]["where"] == "planned_missing"


def test_only_open_accounts_that_are_judged_are_looked_for_and_not_more_than_are_listed() -> None:
    accounts = PartitionAccounts(0)
    for offset in range(5):
        accounts.planned(planned(offset, 1))
    accounts.receipt(receipt(3, 1))
    wanted = {AccountKey("urgent", 0, 2, "n"), AccountKey("urgent", 0, 4, "n")}
    assert accounts.open({"urgent": Read(2)}, 100) == wanted
    assert len(accounts.open({}, 2)) == 2
    assert accounts.open({}, 0) == set()


def test_of_a_redriven_delivery_the_last_run_counts() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 2))
    for each in (
        receipt(0, 1, "dead"),
        receipt(0, 2, "dead"),
        receipt(0, 1, "accepted", run=1),
        receipt(0, 2, "dead", run=2),
    ):
        assert accounts.receipt(each), "no copy"
    assert not accounts.receipt(receipt(0, 2, "accepted", run=1)), "a late one of an earlier run"
    totals = settled(accounts)
    assert (totals.balanced, dict(totals.outcomes)) == (True, {"accepted": 1, "dead": 1})
    assert totals.copies_of_receipts == 1


def test_an_acceptance_is_not_taken_back_by_a_copy_of_its_run() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(0, 2))
    for outcomes, delivery in ((("accepted", "dead"), 1), (("dead", "accepted"), 2)):
        for outcome in outcomes:
            accounts.receipt(receipt(0, delivery, outcome))
    assert settled(accounts).outcomes == {"accepted": 2}


def test_a_planned_record_of_a_later_run_counts() -> None:
    accounts = PartitionAccounts(0)
    again = planned(0, 1)
    again.run = 1
    accounts.planned(again)
    accounts.planned(planned(0, 5))
    accounts.receipt(receipt(0, 1))
    assert settled(accounts).balanced


def test_equal_offsets_of_two_sources_are_two_accounts() -> None:
    """Rulings II.4: offset 5 of due is not offset 5 of notification."""
    accounts = PartitionAccounts(0)
    accounts.planned(planned(5, 1))
    accounts.planned(planned(5, 2, source=Source.DUE))
    accounts.receipt(receipt(5, 1))
    accounts.receipt(receipt(5, 2, source=Source.DUE))
    totals = settled(accounts)
    assert (totals.planned, totals.unaccounted) == (3, 1)
    assert totals.notifications == 1, "what was held and came due is one notification"
    assert [row["source"] for row in totals.unbalanced] == ["due"]


def test_a_source_of_a_later_release_is_shown_by_its_number() -> None:
    accounts = PartitionAccounts(0)
    accounts.planned(planned(5, 1, source=9))
    assert settled(accounts).unbalanced[0]["source"] == "9"


def made_anew() -> PartitionAccounts:
    """Offsets 0 to 2 of a topic that was deleted, 0 and 1 of the one that took its place: 0 is planned, 1 waits."""
    accounts = PartitionAccounts(0)
    for offset in range(3):
        accounts.planned(planned(offset, 2, note=f"old-{offset}"))
        accounts.receipt(receipt(offset, offset, note=f"old-{offset}"))
    for offset in range(2):
        accounts.intake("urgent", offset, f"new-{offset}")
    accounts.planned(planned(0, 1, note="new-0"))
    accounts.receipt(receipt(0, 10, note="new-0"))
    return accounts


def test_accounts_of_a_topic_that_was_made_anew_are_not_mixed_with_those_of_its_predecessor() -> None:
    """Faults, section 3 no 11: 39 false `surplus` for a week. Rulings I.8: the older ones are not judgeable."""
    totals = settled(made_anew(), committed={"urgent": 1}, intakes={"urgent": Read(0, end=2)})
    assert (totals.notifications, totals.not_judgeable, totals.planned, totals.unaccounted) == (1, 3, 1, 1)
    assert [(row["notification"], row["where"]) for row in totals.unbalanced] == [("new-1", "lag")]


def test_deliveries_of_the_older_topic_are_not_looked_for() -> None:
    assert made_anew().open({"urgent": Read(0, end=2)}, 100) == set()


def test_a_notification_that_came_while_the_books_were_read_is_judged() -> None:
    accounts = PartitionAccounts(0)
    accounts.intake("urgent", 0, "n")
    accounts.planned(planned(0, 0))
    accounts.planned(planned(1, 1, note="m"))
    totals = settled(accounts, intakes={"urgent": Read(0, end=2)})
    assert (totals.notifications, totals.not_judgeable) == (2, 0)


def test_an_event_whose_id_cannot_be_read_is_found_by_its_offset() -> None:
    accounts = PartitionAccounts(0)
    accounts.intake("urgent", 0, None)
    accounts.planned(planned(0, 1))
    accounts.receipt(receipt(0, 1))
    assert settled(accounts, intakes={"urgent": Read(0, end=1)}).balanced


APNS = ("apns", "urgent")


def lost(
    planned_at_ms: int, begun: dict[tuple[str, str], float], places: dict[AccountKey, str] | None = None
) -> Totals:
    """Of two deliveries planned then, one has ended."""
    accounts, totals = PartitionAccounts(0), Totals()
    accounts.intake("urgent", 0)
    accounts.planned(planned(0, 2), planned_at_ms)
    accounts.receipt(receipt(0, 1))
    accounts.settle(totals, {"urgent": 1}, {}, places, begun)
    return totals


def test_what_stood_in_a_topic_that_was_made_anew_is_counted_as_lost_with_it() -> None:
    for begun in (1_001.0, math.inf):
        totals = lost(1_000, {APNS: begun})
        assert (totals.lost_with_topic, totals.unaccounted, totals.unbalanced) == (1, 0, [])
        assert totals.balanced


def test_a_log_that_began_before_explains_no_loss_nor_does_one_whose_beginning_is_gone() -> None:
    for begun in ({APNS: 1_000.0}, {}, {("fcm", "urgent"): math.inf}, {("apns", "bulk"): math.inf}):
        totals = lost(1_000, begun)
        assert (totals.lost_with_topic, totals.unaccounted) == (0, 1)


def test_what_is_found_elsewhere_is_not_lost() -> None:
    totals = lost(1_000, {APNS: math.inf}, {AccountKey("urgent", Source.NOTIFICATION, 0, "n"): "retry"})
    assert (totals.lost_with_topic, totals.unaccounted) == (0, 1)


def leg(number: int, count: int, *, last: bool = False, offset: int = 0, count_only: bool = False) -> Leg:
    return Leg("bulk", offset, "b-1", number, "", "", 0, 0, apns=count, last=last, count_only=count_only)


def test_the_legs_of_a_walk_are_summed_and_met_by_its_receipts() -> None:
    accounts = PartitionAccounts(2)
    for number, count in ((0, 2), (1, 0), (2, 1)):
        accounts.leg(leg(number, count, last=number == 2))
    accounts.leg(leg(2, 1, last=True))  # read twice
    for delivery in range(3):
        accounts.receipt(receipt(0, delivery, lane="bulk", note="b-1", source=Source.WALK))
    totals = settled(accounts)
    assert (totals.balanced, totals.planned, totals.walking) == (True, 3, [])


def test_a_walk_without_its_last_leg_is_open_and_not_unbalanced() -> None:
    accounts = PartitionAccounts(2)
    accounts.leg(leg(0, 2))
    accounts.receipt(receipt(0, 0, lane="bulk", note="b-1", source=Source.WALK))
    totals = settled(accounts)
    assert (totals.balanced, totals.planned) == (True, 0)
    assert [(entry["notification"], entry["planned"], entry["where"]) for entry in totals.walking] == [
        ("b-1", 2, "walking")
    ]


def test_a_walk_that_nobody_has_ended_ten_minutes_behind_its_expiry_is_unbalanced() -> None:
    for now_ms, balanced in ((1_600_000, True), (1_600_001, False)):
        accounts, totals = PartitionAccounts(2), Totals()
        accounts.leg(msgspec.structs.replace(leg(0, 2), expires_at=1_000_000))
        accounts.settle(totals, {}, {}, now_ms=now_ms)
        assert (totals.balanced, len(totals.walking)) == (balanced, int(balanced))
        assert [entry["where"] for entry in totals.unbalanced] == ([] if balanced else ["walk_unfinished"])


def test_a_delivery_of_a_finished_walk_without_a_receipt_is_lost() -> None:
    accounts = PartitionAccounts(2)
    accounts.leg(leg(0, 2, last=True))
    accounts.receipt(receipt(0, 0, lane="bulk", note="b-1", source=Source.WALK))
    totals = settled(accounts)
    assert (totals.balanced, totals.unaccounted) == (False, 1)
    assert totals.unbalanced[0]["source"] == "walk"


def test_a_walk_whose_first_legs_are_gone_is_not_judged() -> None:
    accounts = PartitionAccounts(2)
    accounts.leg(leg(7, 2, last=True))
    totals = settled(accounts)
    assert (totals.balanced, totals.not_judgeable) == (True, 1)


def test_a_count_has_no_account() -> None:
    accounts = PartitionAccounts(2)
    accounts.leg(leg(0, 100_000, last=True, count_only=True))
    assert settled(accounts).planned == 0


@pytest.mark.parametrize(("said", "excused"), [((b"7", b"40"), {40}), ((b"x",), set()), ((), set())])
def test_a_letter_excuses_the_record_that_was_refused_last_and_none_that_it_does_not_name(
    said: tuple[bytes, ...], excused: set[int]
) -> None:
    found: set[int] = set()
    accounts: Any = SimpleNamespace(dead_letter=lambda lane, offset, topic, reason: found.add(offset))
    headers = [("__streams.errors.offset", each) for each in said]
    letter: Any = SimpleNamespace(
        topic=lambda: topics.dead_letter(topics.notification(Lane.BULK)), headers=lambda: headers
    )
    books: Any = None
    Books._dead_letter(books, accounts, letter)
    assert found == excused
