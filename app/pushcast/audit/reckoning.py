"""Accounts of one partition. Pure: records go in, the balance comes out.

Account key: the source record (lane, partition, offset). Distinct delivery ids count; copies are reported apart. Of a
delivery that was redriven the last run counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pushcast.model.words import Outcome
from pushcast.wire.receipts import Planned

MAX_LISTED = 100
#: Where what has not ended is: in the intake or a send topic, not handled yet; waiting on a rung; kept aside; moving
#: while it was looked for; or nowhere.
LAG, RETRY, PARKED, MOVING, LOST = "lag", "retry", "parked", "moving", "lost"
OUTCOMES = tuple(str(outcome) for outcome in Outcome)


#: (lane, source offset) of an account within its partition.
Key = tuple[str, int]


class End(NamedTuple):
    """How a delivery ended in a run."""

    run: int
    outcome: str


@dataclass(slots=True)
class Account:
    """One notification's books."""

    notification: str = ""
    planned: int | None = None  # None: no planned record was read
    run: int = 0  # of the planned record
    ended: dict[bytes, End] = field(default_factory=dict)  # by delivery id

    @property
    def open(self) -> int:
        """Planned deliveries without a terminal receipt."""
        return max(0, (self.planned or 0) - len(self.ended))


@dataclass(slots=True)
class Totals:
    """Sums over all accounts that were judged, in the words of the contract."""

    planned: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unaccounted: int = 0
    copies_of_receipts: int = 0
    notifications: int = 0
    not_judgeable: int = 0
    void_records: int = 0  # written by stages that had lost their partition; they do not count
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)  # events never planned: topic and reason
    unbalanced: list[dict[str, Any]] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        """Everything planned has ended, and nothing ended that was not planned."""
        return self.unaccounted == 0 and self.planned == sum(self.outcomes.values()) and not self.unbalanced

    def to_dict(self) -> dict[str, Any]:
        """The contract's account keys."""
        return {
            "planned": self.planned,
            **{name: self.outcomes.get(name, 0) for name in OUTCOMES},
            "unaccounted": self.unaccounted,
            "copies_of_receipts": self.copies_of_receipts,
            "notifications": self.notifications,
            "not_judgeable": self.not_judgeable,
            "void_records": self.void_records,
            "dead_letters": self.dead_letters.total(),
            "dead_letters_by_reason": [
                {"topic": topic, "reason": reason, "letters": count}
                for (topic, reason), count in sorted(self.dead_letters.items())
            ],
            "unbalanced": self.unbalanced,
            "balanced": self.balanced,
        }


class PartitionAccounts:
    """Books of one partition p, all lanes. Memory: one entry per delivery read, so a partition at a time."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._accounts: dict[Key, Account] = {}
        self._taken: set[Key] = set()
        self._excused: set[Key] = set()
        self._letters: dict[Key, tuple[str, str]] = {}
        self._ends: dict[End, End] = {}
        self._copies = 0

    def intake(self, lane: str, offset: int) -> None:
        """A notification record at this offset exists."""
        self._taken.add((lane, offset))

    def excuse(self, lane: str, offset: int) -> None:
        """The record at this offset was forwarded: it owes no planned record."""
        self._excused.add((lane, offset))

    def dead_letter(self, lane: str, offset: int, topic: str, reason: str) -> None:
        """The record at this offset is a letter in `topic`: it owes no planned record."""
        self.excuse(lane, offset)
        self._letters[lane, offset] = topic, reason

    def planned(self, planned: Planned) -> None:
        """A planned record; for the same source offset the last one of the last run counts."""
        for offset, notification, total, _ in planned.rows():
            account = self._account(planned.lane, offset)
            if planned.run >= account.run:
                account.notification, account.planned, account.run = notification, total, planned.run

    def receipt(self, receipt: dict[str, Any]) -> bool:
        """A terminal receipt; False when it is a copy. One of a later run takes the place of an earlier one's."""
        account = self._account(receipt["lane"], receipt["source_offset"])
        delivery = bytes.fromhex(receipt["delivery_id"])
        end, known = End(receipt["run"], receipt["outcome"]), account.ended.get(delivery)
        end = self._ends.setdefault(end, end)  # millions of deliveries share a few
        new = known is None or end.run > known.run
        self._copies += not new
        # Within a run an acceptance is never taken back: the push is on its way.
        if known is None or new or (end.run == known.run and known.outcome != Outcome.ACCEPTED):
            account.ended[delivery] = end
        account.notification = account.notification or receipt["notification_id"]
        return new

    def open(self, first: Mapping[str, int], limit: int) -> set[Key]:
        """At most so many accounts with deliveries that have not ended: `settle` wants to know where they are."""
        found: set[Key] = set()
        for (lane, offset), account in self._accounts.items():
            if len(found) >= limit:
                break
            if account.open and offset >= first.get(lane, 0):
                found.add((lane, offset))
        return found

    def _account(self, lane: str, offset: int) -> Account:
        account = self._accounts.get((lane, offset))
        if account is None:
            account = self._accounts[lane, offset] = Account()
        return account

    def settle(
        self,
        totals: Totals,
        committed: Mapping[str, int],
        first: Mapping[str, int],
        places: Mapping[Key, str] | None = None,
    ) -> None:
        """Adds this partition's balance to `totals`.

        `committed`: per lane the planner group's committed offset; `first`: per lane the first source offset that
        was read. Accounts from before it are not judgeable, because their other half may be gone. `places`: where the
        deliveries of open accounts are, as far as that was asked.
        """
        places = places or {}
        totals.copies_of_receipts += self._copies
        totals.dead_letters.update(letter for key, letter in self._letters.items() if key[1] >= first.get(key[0], 0))
        for (lane, offset), account in sorted(self._accounts.items()):
            if offset < first.get(lane, 0):
                totals.not_judgeable += 1
                continue
            totals.notifications += 1
            totals.planned += account.planned or 0
            totals.outcomes.update(end.outcome for end in account.ended.values())
            totals.unaccounted += account.open
            if account.planned is None:
                behind = offset >= committed.get(lane, offset + 1)
                self._list(totals, lane, offset, account, LAG if behind else "planned_missing")
            elif account.open:
                self._list(totals, lane, offset, account, places.get((lane, offset), LOST))
            elif account.planned != len(account.ended):
                self._list(totals, lane, offset, account, "surplus")
        for lane, offset in sorted(self._taken - self._accounts.keys() - self._excused):
            totals.unaccounted += 1
            where = LAG if offset >= committed.get(lane, 0) else LOST
            self._list(totals, lane, offset, Account(), where)

    def _list(self, totals: Totals, lane: str, offset: int, account: Account, where: str) -> None:
        if len(totals.unbalanced) < MAX_LISTED:
            totals.unbalanced.append(
                {
                    "lane": lane,
                    "partition": self.partition,
                    "offset": offset,
                    "notification": account.notification,
                    "planned": account.planned,
                    "terminal": len(account.ended),
                    "where": where,
                }
            )
