"""Accounts of one partition. Pure: records go in, the balance comes out.

Account key: the source record (lane, partition, offset). Distinct delivery ids count; copies are reported apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pushcast.model.words import Outcome
from pushcast.wire.receipts import Planned

MAX_LISTED = 100
OUTCOMES = tuple(str(outcome) for outcome in Outcome)


@dataclass(slots=True)
class Account:
    """One notification's books."""

    notification: str = ""
    planned: int | None = None  # None: no planned record was read
    ended: dict[bytes, str] = field(default_factory=dict)  # delivery id to its outcome

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
            "unbalanced": self.unbalanced,
            "balanced": self.balanced,
        }


class PartitionAccounts:
    """Books of one partition p, all lanes. Memory: one entry per delivery read, so a partition at a time."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._accounts: dict[tuple[str, int], Account] = {}
        self._taken: set[tuple[str, int]] = set()
        self._excused: set[tuple[str, int]] = set()
        self._copies = 0

    def intake(self, lane: str, offset: int) -> None:
        """A notification record at this offset exists."""
        self._taken.add((lane, offset))

    def excuse(self, lane: str, offset: int) -> None:
        """The record at this offset is a dead letter or was forwarded: it owes no planned record."""
        self._excused.add((lane, offset))

    def planned(self, planned: Planned) -> None:
        """A planned record; for the same source offset the last one counts."""
        for offset, notification, total, _ in planned.rows():
            account = self._account(planned.lane, offset)
            account.notification = notification
            account.planned = total

    def receipt(self, receipt: dict[str, Any]) -> bool:
        """A terminal receipt; False when it is a copy."""
        account = self._account(receipt["lane"], receipt["source_offset"])
        delivery = bytes.fromhex(receipt["delivery_id"])
        first = delivery not in account.ended
        self._copies += not first
        account.ended[delivery] = receipt["outcome"]
        account.notification = account.notification or receipt["notification_id"]
        return first

    def _account(self, lane: str, offset: int) -> Account:
        account = self._accounts.get((lane, offset))
        if account is None:
            account = self._accounts[lane, offset] = Account()
        return account

    def settle(self, totals: Totals, committed: dict[str, int], first: dict[str, int]) -> None:
        """Adds this partition's balance to `totals`.

        `committed`: per lane the planner group's committed offset; `first`: per lane the first source offset that
        was read. Accounts from before it are not judgeable, because their other half may be gone.
        """
        totals.copies_of_receipts += self._copies
        for (lane, offset), account in sorted(self._accounts.items()):
            if offset < first.get(lane, 0):
                totals.not_judgeable += 1
                continue
            totals.notifications += 1
            totals.planned += account.planned or 0
            totals.outcomes.update(account.ended.values())
            totals.unaccounted += account.open
            if account.planned is None or account.planned != len(account.ended):
                where = "planned_missing" if account.planned is None else "sending" if account.open else "surplus"
                self._list(totals, lane, offset, account, where)
        for lane, offset in sorted(self._taken - self._accounts.keys() - self._excused):
            totals.unaccounted += 1
            where = "lag" if offset >= committed.get(lane, 0) else "lost"
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
