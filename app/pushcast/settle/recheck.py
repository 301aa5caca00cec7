"""Whether the device of a delivery that has waited is still there, with the token that the push was planned for, and
whether its user still wants it, and wants it now.

A token that moved meanwhile is another person's phone. Parked and retried work would reach it for as long as it waits.
What the user wants may have changed a moment ago: it is asked at every pass, however short the wait was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from pushcast.config.quiet import app_times
from pushcast.config.settings import Settings
from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.gates import Override
from pushcast.model.ids import device_row_key, device_row_prefix, user_row_key
from pushcast.model.own import OwnClass
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.quiet import Quiet, QuietRule, QuietTerms
from pushcast.model.words import Outcome, Reason
from pushcast.model.zones import name_of
from pushcast.settle.decide import End
from pushcast.stream.table import Table
from pushcast.wire.devices.device_zones import home_of, place_of
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.row_reader import Device, active_device
from pushcast.wire.devices.user_rows import wishes_of

#: Of what was written later than so long ago nobody asks whether its device is there: a row that changes is not much
#: younger than that.
LEAST_WAIT_MS: Final = 60_000
MOVED: Final[End] = (Outcome.CANCELLED, Reason.TOKEN_MOVED)
GONE: Final[End] = (Outcome.CANCELLED, Reason.DEVICE_GONE)
#: Deliveries without a device row: to a provider's topic or channel.
_NO_DEVICE: Final = ("topic:", "channel:")


class Recheck:
    """Asks the devices table of the delivery's partition: two look-ups a target for its user, one for its device."""

    def __init__(self, table: Table, settings: Settings) -> None:
        classes = settings.classes
        self._table = table
        self._mandatory = {name for name, each in classes.items() if each.mandatory} | set(OwnClass)
        self._opt_in = {name for name, each in classes.items() if each.opt_in}
        # An event may have passed the gate by its own word where its class allows that: what was planned then counts.
        self._policies = {
            name: each.in_quiet_hours for name, each in classes.items() if Override.QUIET_HOURS not in each.may_override
        }
        self._rule = QuietRule(app_times(settings.apps), 0)

    def ended(self, partition: int, message: Message, now_ms: int, written_at: int) -> Mapping[int, End]:
        """Targets of a message that must not be sent any more, each with its end. A partition whose table is not here,
        and a row that this release cannot read, end nothing. `written_at`: of the record that it waits in."""
        if not self._table.held(partition):
            return {}
        targets, asks_device = message.targets, now_ms - written_at >= LEAST_WAIT_MS
        found: dict[int, End] = {}
        for index, (user, device, digest) in enumerate(
            zip(targets.user, targets.device, targets.token_hash, strict=True)
        ):
            if not device.startswith(_NO_DEVICE):
                end = self._end(partition, device_row_key(user, message.app, device), digest) if asks_device else None
                end = end or self._unwanted(partition, user, message, targets.notification[index], now_ms)
                if end is not None:
                    found[index] = end
        return found

    def quiet_terms(self, partition: int, message: Message) -> Sequence[QuietTerms | None] | None:
        """The quiet hours that each target is judged by now: those that its user has chosen last, where its device is.
        None: those that it was planned with."""
        planned = message.quiet
        policy = self._policies.get(message.klass, Quiet.IGNORE) if planned is None else planned.policy
        if policy in (Quiet.IGNORE, Quiet.PASSIVE) or not self._table.held(partition):
            return None
        targets = message.targets
        return [
            planned if device.startswith(_NO_DEVICE) else self._terms(partition, user, device, message, policy)
            for user, device in zip(targets.user, targets.device, strict=True)
        ]

    def _terms(self, partition: int, user: str, device: str, message: Message, policy: Quiet) -> QuietTerms | None:
        app = message.app
        wishes = self._wishes(partition, user, app)
        windows = self._rule.windows(wishes, app)
        if not windows:
            return None
        own = self._device(partition, device_row_key(user, app, device))
        if own is None:
            return message.quiet

        def home() -> tzinfo | None:
            return home_of(list(self._table.scan(partition, device_row_prefix(user))))

        zone, _ = place_of(own, home, wishes, self._rule.zone(app))
        return QuietTerms(policy, name_of(zone), windows)

    def _device(self, partition: int, key: bytes) -> Device | None:
        """As planners see it; None: it is not active, or this release cannot read it."""
        value = self._table.get(partition, key)
        try:
            return None if value is None else active_device(key, value)
        except InvalidInput:
            return None

    def _wishes(self, partition: int, user: str, app: str) -> Wishes:
        keys = [user_row_key(user), user_row_key(user, app)]
        rows = [(key, value) for key in keys if (value := self._table.get(partition, key)) is not None]
        return wishes_of(rows, lambda _: None) if rows else NO_WISHES

    def _unwanted(self, partition: int, user: str, message: Message, notification: int, now_ms: int) -> End | None:
        reason = self._wishes(partition, user, message.app).unwanted(
            message.app,
            message.klass,
            message.options_of(notification).thread_id,
            now_ms,
            mandatory=message.klass in self._mandatory,
            opt_in=message.klass in self._opt_in,
        )
        return None if reason is None else (Outcome.SUPPRESSED, reason)

    def _end(self, partition: int, key: bytes, digest: bytes) -> End | None:
        value = self._table.get(partition, key)
        if value is None:
            return GONE
        try:
            row = decode_row(value)
        except InvalidInput:
            return None
        if row.is_gone:
            return MOVED if row.suspended_reason == Reason.TOKEN_MOVED else GONE
        return None if digest in (row.token_hash, row.token_hash_before) else MOVED
