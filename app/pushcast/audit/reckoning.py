"""Accounts of one partition. Pure: records go in, the balance comes out.

Account key: the source record (lane, source, partition, offset) together with the notification's id: a topic that was
made anew uses its offsets again. Distinct delivery ids count; copies are reported apart. Of a delivery that was
redriven the last run counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pushcast.audit.accounts import MAX_LISTED, Account, AccountKey, Begun, DeliveryEnd, Totals
from pushcast.model.words import Outcome, Platform, Source
from pushcast.wire.answers.legs import Leg
from pushcast.wire.answers.receipts import Planned

#: Where what has not ended is: in the intake or a send topic, not handled yet; waiting on a rung; kept aside; moving
#: while it was looked for; sent, or about to be, by a sender whose outcome Kafka refuses; or nowhere.
LAG, RETRY, PARKED, MOVING, LOST = "lag", "retry", "parked", "moving", "lost"
NOT_WRITTEN = "sent, receipt not written"
#: A walk whose broadcast expired so long ago, and that nobody has ended.
UNFINISHED = "walk_unfinished"
WALK_GRACE_MS = 600_000


class Read(NamedTuple):
    """Which offsets of a lane's intake were read. `end`: of the log, asked when everything was read; None: not asked,
    and accounts whose records were not read are judged."""

    first: int = 0
    end: int | None = None


EVERYTHING = Read()


class PartitionAccounts:
    """Books of one partition p, all lanes. Memory: one entry per delivery read, so a partition at a time."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self._accounts: dict[AccountKey, Account] = {}
        self._taken: dict[tuple[str, int], str | None] = {}  # by lane and offset: the notification's id, where known
        self._excused: set[tuple[str, int]] = set()
        self._letters: dict[tuple[str, int], tuple[str, str]] = {}
        self._ends: dict[DeliveryEnd, DeliveryEnd] = {}
        self._platforms: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._copies = 0

    def intake(self, lane: str, offset: int, notification: str | None = None) -> None:
        """A notification record at this offset exists; None: its id cannot be read."""
        self._taken[lane, offset] = notification

    def excuse(self, lane: str, offset: int) -> None:
        """The record at this offset was forwarded: it owes no planned record."""
        self._excused.add((lane, offset))

    def dead_letter(self, lane: str, offset: int, topic: str, reason: str) -> None:
        """The record at this offset is a letter in `topic`: it owes no planned record."""
        self.excuse(lane, offset)
        self._letters[lane, offset] = topic, reason

    def planned(self, planned: Planned, at_ms: int = 0) -> None:
        """A planned record of this Kafka time; for the same account the last one of the last run counts."""
        columns = planned.platforms.items()
        for at, (offset, notification, total, _) in enumerate(planned.rows()):
            account = self._account(AccountKey(planned.lane, planned.source, offset, notification))
            if planned.run >= account.run:
                account.planned, account.run, account.planned_at_ms = total, planned.run, at_ms
                sent_to = tuple([platform for platform, column in columns if column[at]])
                account.platforms = self._platforms.setdefault(sent_to, sent_to)

    def leg(self, leg: Leg, at_ms: int = 0) -> None:
        """A leg of a walk, of this Kafka time: an account's legs are summed. A count has no account."""
        if leg.count_only:
            return
        account = self._account(AccountKey(leg.lane, leg.source, leg.source_offset, leg.broadcast))
        if not account.legs:
            account.over = False
        account.legs[leg.leg] = leg.planned
        account.planned = sum(account.legs.values())
        account.over = account.over or leg.last
        account.expires_at_ms = max(account.expires_at_ms, leg.expires_at)
        account.planned_at_ms = max(account.planned_at_ms, at_ms)
        sent_to = {str(platform) for platform in Platform if getattr(leg, platform)} | set(account.platforms)
        platforms = tuple(sorted(sent_to))
        account.platforms = self._platforms.setdefault(platforms, platforms)

    def receipt(self, receipt: dict[str, Any]) -> bool:
        """A terminal receipt; False when it is a copy. One of a later run takes the place of an earlier one's."""
        names = ("lane", "source", "source_offset", "notification_id")
        account = self._account(AccountKey(*(receipt[name] for name in names)))
        delivery = bytes.fromhex(receipt["delivery_id"])
        end, known = DeliveryEnd(receipt["run"], receipt["outcome"]), account.ended.get(delivery)
        end = self._ends.setdefault(end, end)  # millions of deliveries share a few
        new = known is None or end.run > known.run
        self._copies += not new
        # Within a run an acceptance is never taken back: the push is on its way.
        if known is None or new or (end.run == known.run and known.outcome != Outcome.ACCEPTED):
            account.ended[delivery] = end
        return new

    def open(self, intakes: Mapping[str, Read], limit: int) -> set[AccountKey]:
        """At most so many accounts with deliveries that have not ended: `settle` wants to know where they are."""
        found: set[AccountKey] = set()
        for key, account in self._accounts.items():
            if len(found) >= limit:
                break
            if account.open and account.over and self._is_judgeable(key, intakes.get(key.lane, EVERYTHING)):
                found.add(key)
        return found

    def _account(self, key: AccountKey) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account()
        return account

    def _is_judgeable(self, key: AccountKey, read: Read) -> bool:
        """Whether the account's source record is still there: without it, its other half may be gone as well."""
        account = self._accounts[key]
        if key.source == Source.WALK:
            return not account.legs or 0 in account.legs  # a walk's first legs may be gone, or older than what is read
        if key.source != Source.NOTIFICATION:
            return True
        if key.offset < read.first:
            return False
        if (key.lane, key.offset) in self._taken:
            return self._taken[key.lane, key.offset] in (None, key.notification)
        return read.end is None or key.offset < read.end  # beyond the log: of a topic that was made anew

    def settle(
        self,
        totals: Totals,
        committed: Mapping[str, int],
        intakes: Mapping[str, Read],
        places: Mapping[AccountKey, str] | None = None,
        begun: Begun | None = None,
        now_ms: int = 0,
    ) -> None:
        """Adds this partition's balance to `totals`.

        `committed`: per lane the planner group's committed offset; `intakes`: per lane what was read. Accounts whose
        source record is gone are not judgeable. `places`: where the deliveries of open accounts are, as far as that was
        asked. `begun`: when the send topics' logs began; those left out are taken for whole. `now_ms`: a walk without
        its last leg is open until its planner has had time to end it as expired.
        """
        places, begun = places or {}, begun or {}
        totals.copies_of_receipts += self._copies
        for (lane, offset), letter in self._letters.items():
            if offset >= intakes.get(lane, EVERYTHING).first:
                totals.dead_letters[letter] += 1
        for key, account in sorted(self._accounts.items()):
            if not self._is_judgeable(key, intakes.get(key.lane, EVERYTHING)):
                totals.not_judgeable += 1
                continue
            if not account.over:
                if account.expires_at_ms and now_ms > account.expires_at_ms + WALK_GRACE_MS:
                    totals.unaccounted += 1
                    self._list(totals, key, account, UNFINISHED)
                else:
                    self._entry(totals.walking, key, account, "walking")
                continue
            # What was held was counted as it came, and a broadcast has an account in every partition.
            totals.notifications += key.source not in (Source.DUE, Source.WALK)
            totals.planned += account.planned or 0
            totals.outcomes.update(end.outcome for end in account.ended.values())
            if account.open and key not in places and account.went_with_its_topic(key.lane, begun):
                totals.lost_with_topic += account.open
                continue
            totals.unaccounted += account.open
            if account.planned is None:
                behind = key.source == Source.NOTIFICATION and key.offset >= committed.get(key.lane, key.offset + 1)
                self._list(totals, key, account, LAG if behind else "planned_missing")
            elif account.open:
                self._list(totals, key, account, places.get(key, LOST))
            elif account.planned != len(account.ended):
                self._list(totals, key, account, "surplus")
        known = {(key.lane, key.offset) for key in self._accounts if key.source == Source.NOTIFICATION}
        for (lane, offset), notification in sorted(self._taken.items(), key=lambda item: item[0]):
            key = AccountKey(lane, Source.NOTIFICATION, offset, notification or "")
            if (lane, offset) in self._excused or key in self._accounts:
                continue
            if notification is None and (lane, offset) in known:
                continue
            totals.unaccounted += 1
            where = LAG if offset >= committed.get(lane, 0) else LOST
            self._list(totals, key, Account(), where)

    def _list(self, totals: Totals, key: AccountKey, account: Account, where: str) -> None:
        self._entry(totals.unbalanced, key, account, where)

    def _entry(self, entries: list[dict[str, Any]], key: AccountKey, account: Account, where: str) -> None:
        if len(entries) < MAX_LISTED:
            entries.append(
                {
                    "lane": key.lane,
                    "source": source_word(key.source),
                    "partition": self.partition,
                    "offset": key.offset,
                    "notification": key.notification,
                    "planned": account.planned,
                    "terminal": len(account.ended),
                    "where": where,
                }
            )


def source_word(source: int) -> str:
    """notification, walk, due or keep; the number of a source that a later release knows."""
    return Source(source).name.lower() if source in set(Source) else str(source)
