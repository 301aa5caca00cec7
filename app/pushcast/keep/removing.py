"""Glue of removals: a cancel with `remove`, or what was read, joins the user's removal that waits, or opens one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from pushcast.keep import removals
from pushcast.keep.removals import OtherRemoval, RemovalAsked, RemovalRules
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.ids import device_name, device_row_key
from pushcast.model.own import OwnClass
from pushcast.model.recalls import RemovalScope, scope_of
from pushcast.model.words import Lane
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.events.cancels import Cancel
from pushcast.wire.events.engagement import Engagement, Event
from pushcast.wire.sending.recall_offers import RecallOffer
from pushcast.wire.waiting.recallable import Push, Recallable, app_of, recallable_key
from pushcast.wire.waiting.thread_places import thread_place
from pushcast.wire.waiting.timers import Timer, note_id_of, part_key, user_key

#: In place of the offset of a cancel: the record of a campaign's has none in this partition.
_OF_A_CAMPAIGN: Final = -1
#: Hears of a user's notifications in an app that are taken off devices, and when.
Removed = Callable[[KeepTenure, Barrier, str, str, Sequence[str], int], None]
#: Apple's first: theirs waits the longest.
_HALVES: Final = (RemovalScope.APPLE, RemovalScope.OTHERS)


class Removing:
    """Never awaits: what is read and what is written are one step."""

    def __init__(
        self,
        rows: Rows,
        rules: RemovalRules,
        count: Count,
        campaigns: Callable[[], Mapping[str, CampaignCancel]] = dict,
        removed: Removed | None = None,
    ) -> None:
        """`campaigns`: those that are cancelled. `removed`: hears of what goes with them."""
        self._campaigns = campaigns
        self._removed = removed
        self._rows = rows
        self._rules = rules
        self._count = count

    def offered(self, tenure: KeepTenure, barrier: Barrier, user: str, offer: RecallOffer, *, is_named: bool) -> None:
        """Remembers what a device has got, and how its service named it. Told twice, it is known once. `is_named`:
        whether a removal that waits may name it."""
        key, created_at = recallable_key(user, offer.app), offer.created_at or 0
        before = self._rows.recallables_of(tenure, user).get(key, Recallable())
        places = thread_place(offer.thread, created_at), thread_place(offer.campaign, created_at)
        device = device_name(device_row_key(user, offer.app, offer.device))
        after = before.showing(offer.notification_id, device, *places)
        push = None
        if offer.provider_id is not None or offer.tag is not None:
            push = Push(offer.notification_id, offer.device, offer.provider_id or "", offer.tag or "")
            after = after.having(push)
        if is_named:
            self._reach(tenure, barrier, user, offer.notification_id, device, push)
        campaigns = {}
        if offer.campaign is not None and (cancel := self._campaigns().get(offer.campaign)) is not None:
            campaigns = {offer.campaign: cancel} if cancel.remove else {}
        asked = self.of_campaigns(tenure, barrier, key, after, campaigns, offer.at)
        if not asked and after != before:
            self._rows.put(tenure, barrier, key, after)

    def of_campaigns(
        self,
        tenure: KeepTenure,
        barrier: Barrier,
        key: bytes,
        row: Recallable,
        campaigns: Mapping[str, CampaignCancel],
        now_ms: int,
    ) -> bool:
        """Takes off what a user's devices show of cancelled campaigns, and says whether there is any. `row`: as it is,
        or is to be, under `key`."""
        found = [name for campaign, each in campaigns.items() for name in row.of_campaign(campaign, each.covers)]
        if not found:
            return False
        user = user_key(key).decode()
        recall = tuple(push for push in row.pushes if push.notification in found)
        only = _devices_of([row], found)
        asked = RemovalAsked(app_of(key), tuple(found), None, _OF_A_CAMPAIGN, now_ms, recall, only)
        mine = self._rows.own_of(tenure, user, OwnClass.REMOVE)
        self._join_or_open(tenure, barrier, user, asked, mine)
        self._rows.put(tenure, barrier, key, row.without(found))
        if self._removed is not None:
            self._removed(tenure, barrier, user, app_of(key), found, now_ms)
        return True

    def read(self, tenure: KeepTenure, barrier: Barrier, engagement: Engagement, offset: int, written_at: int) -> None:
        """Takes off the other devices what was read on one, where its class is removable. What is asked for once is
        known no more; read again after a kill it joins the removal that waits."""
        if engagement.event is not Event.READ:
            return
        user = engagement.user
        for key, row in self._rows.recallables_of(tenure, user).items():
            app = app_of(key)
            if engagement.app not in (None, app):
                continue
            read = {*engagement.ids, *self._in_thread(row, engagement.thread, engagement.up_to)}
            shown = tuple(name for name in row.shown if name in read)
            digests = self._digests_of(tenure, user, row, engagement.ids)
            ids = (*shown, *digests)
            if not ids:
                continue
            recall = tuple(push for push in row.pushes if push.notification in shown)
            only = _devices_of([row], [*shown, *digests.values()])
            # Below 0: cancels are told apart by their offsets.
            asked = RemovalAsked(app, ids, None, -1 - offset, written_at, recall, only)
            mine = self._rows.own_of(tenure, user, OwnClass.REMOVE)
            self._join_or_open(tenure, barrier, user, asked, mine)
            if shown:
                self._rows.put(tenure, barrier, key, row.without(shown))

    def _digests_of(self, tenure: KeepTenure, user: str, row: Recallable, ids: Collection[str]) -> dict[str, str]:
        """Of those that left in a digest that devices show: which one. It stays, and its app may show it anew."""
        found: dict[str, str] = {}
        for name in ids:
            for timer in self._rows.named(tenure, user, name).values():
                if timer.left_as in row.shown:
                    found[name] = timer.left_as
        return found

    @staticmethod
    def _in_thread(row: Recallable, thread: str | None, up_to: int | None) -> list[str]:
        return [] if thread is None or up_to is None else row.in_thread(thread, up_to)

    def _recall(self, tenure: KeepTenure, cancel: Cancel, ids: Collection[str]) -> tuple[Push, ...]:
        """What push services may still have of these, and of the thread that is called off."""
        found: list[Push] = []
        for key, row in self._rows.recallables_of(tenure, cancel.user).items():
            if cancel.app in (None, app_of(key)):
                named = {*ids, *self._in_thread(row, cancel.thread, cancel.at)}
                found += [push for push in row.pushes if push.notification in named]
        return tuple(found)

    def _only(self, tenure: KeepTenure, cancel: Cancel, ids: Collection[str]) -> frozenset[bytes] | None:
        """The devices that may show these; None: of one of them it is not known, because its class is not removable, or
        too long ago."""
        rows = self._rows.recallables_of(tenure, cancel.user).items()
        return _devices_of([row for key, row in rows if cancel.app in (None, app_of(key))], ids)

    def _reach(
        self,
        tenure: KeepTenure,
        barrier: Barrier,
        user: str,
        notification: str,
        device: bytes,
        push: Push | None,
    ) -> None:
        """A device that got it after its removal was asked for gets that removal, too, while it waits; `push`: what its
        service may still have of it."""
        for key, timer in self._rows.own_of(tenure, user, OwnClass.REMOVE).items():
            if timer.waits and key not in tenure.firing:
                wider = removals.reaching(timer, notification, device, push)
                if wider is not None:
                    self._rows.put(tenure, barrier, key, wider)

    def ask(self, tenure: KeepTenure, barrier: Barrier, cancel: Cancel, offset: int, written_at: int) -> None:
        """Takes what a cancel names off the devices, but for what never left. `offset`, `written_at`: of its record."""
        mine = self._rows.own_of(tenure, cancel.user, OwnClass.REMOVE)
        known = removals.taken({note_id_of(key): row for key, row in mine.items()}, offset)
        if len(known) == len(_HALVES):
            return
        named = self._rows.named
        left = tuple(each for each in cancel.ids if removals.has_left(named(tenure, cancel.user, each).values()))
        if not left and cancel.thread is None:
            return
        recall = self._recall(tenure, cancel, left)
        # Of a thread there may be more than what is known here.
        only = None if cancel.thread is not None else self._only(tenure, cancel, left)
        asked = RemovalAsked(cancel.app, left, cancel.thread, offset, written_at, recall, only)
        if known:  # whoever read it before was killed between the two
            (half,) = set(_HALVES) - known
            self._put(tenure, barrier, cancel.user, asked, mine, half, self._apple_at(asked, mine))
        else:
            self._join_or_open(tenure, barrier, cancel.user, asked, mine)

    def _join_or_open(
        self, tenure: KeepTenure, barrier: Barrier, user: str, asked: RemovalAsked, mine: Mapping[bytes, Timer]
    ) -> None:
        """`mine`: the user's removals."""
        soon, at = asked.at_ms + self._rules.wait_ms, self._apple_at(asked, mine)
        apple_waits = self._waiting(tenure, asked, mine, RemovalScope.APPLE) is not None
        if self._waiting(tenure, asked, mine, RemovalScope.ALL) is not None or (at <= soon and not apple_waits):
            self._put(tenure, barrier, user, asked, mine, RemovalScope.ALL, at)
            return
        for half in _HALVES:
            self._put(tenure, barrier, user, asked, mine, half, at)

    def _put(
        self,
        tenure: KeepTenure,
        barrier: Barrier,
        user: str,
        asked: RemovalAsked,
        mine: Mapping[bytes, Timer],
        scope: RemovalScope,
        apple_at: int,
    ) -> None:
        """Joins the removal of these devices that waits, or opens one."""
        key = self._waiting(tenure, asked, mine, scope)
        if key is not None:
            self._rows.put(tenure, barrier, key, removals.merged(mine[key], asked, note_id_of(key)))
            self._count("removal_pushes", "merged", 1)
            return
        due_at = asked.at_ms + self._rules.wait_ms
        due_at = due_at if scope is RemovalScope.OTHERS else max(due_at, apple_at)
        key = part_key(user, removals.removal_id(asked, scope), 0)
        self._rows.put(tenure, barrier, key, removals.opened(asked, due_at, scope))
        self._count("opened", str(Lane.NORMAL), 1)
        self._count("removal_pushes", "opened", 1)

    @staticmethod
    def _waiting(
        tenure: KeepTenure, asked: RemovalAsked, mine: Mapping[bytes, Timer], scope: RemovalScope
    ) -> bytes | None:
        """The key of the removal that this one joins."""
        for key, row in mine.items():
            is_same = row.app == (asked.app or "") and scope_of(note_id_of(key)) is scope
            if row.waits and is_same and key not in tenure.firing:
                return key
        return None

    def _apple_at(self, asked: RemovalAsked, mine: Mapping[bytes, Timer]) -> int:
        """From when on Apple's devices may get one more."""
        others = []
        for key, row in mine.items():
            at_ms = row.due_at if row.closed_at is None else row.closed_at
            others.append(OtherRemoval(row.app, scope_of(note_id_of(key)), at_ms))
        return removals.apple_waits_until(asked.app, others, self._rules.per_hour)


def _devices_of(rows: Sequence[Recallable], ids: Collection[str]) -> frozenset[bytes] | None:
    """Those that show these, in whatever app; None: of one of them it is not known."""
    found: set[bytes] = set()
    for name in ids:
        devices = [row.devices_of(name) for row in rows if name in row.shown]
        if not devices or not all(devices):
            return None
        found.update(*devices)
    return frozenset(found)
