"""Whether the device of a delivery that has waited is still there, with the token that the push was planned for, and
whether its user still wants it.

A token that moved meanwhile is another person's phone. Parked and retried work would reach it for as long as it waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pushcast.config.classes import Class
from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, user_row_key
from pushcast.model.own import OwnClass
from pushcast.model.words import Outcome, Reason
from pushcast.settle.decide import End
from pushcast.stream.table import Table
from pushcast.wire.devices import decode_row
from pushcast.wire.user_rows import wishes_of

#: What was written later than so long ago is passed on unasked: a row that changes is not much younger than that.
LEAST_WAIT_MS: Final = 60_000
MOVED: Final[End] = (Outcome.CANCELLED, Reason.TOKEN_MOVED)
GONE: Final[End] = (Outcome.CANCELLED, Reason.DEVICE_GONE)
#: Deliveries without a device row: to a provider's topic or channel.
_NO_DEVICE: Final = ("topic:", "channel:")


class Recheck:
    """Asks the devices table of the delivery's partition: three look-ups a target."""

    def __init__(self, table: Table, classes: Mapping[str, Class]) -> None:
        self._table = table
        self._mandatory = {name for name, each in classes.items() if each.mandatory} | set(OwnClass)
        self._opt_in = {name for name, each in classes.items() if each.opt_in}

    def ended(self, partition: int, message: Message, now_ms: int) -> Mapping[int, End]:
        """Targets of a message that must not be sent any more, each with its end. A partition whose table is not here,
        and a row that this release cannot read, end nothing."""
        if not self._table.held(partition):
            return {}
        targets = message.targets
        found: dict[int, End] = {}
        for index, (user, device, digest) in enumerate(
            zip(targets.user, targets.device, targets.token_hash, strict=True)
        ):
            if not device.startswith(_NO_DEVICE):
                end = self._end(partition, device_row_key(user, message.app, device), digest)
                end = end or self._unwanted(partition, user, message, targets.notification[index], now_ms)
                if end is not None:
                    found[index] = end
        return found

    def _unwanted(self, partition: int, user: str, message: Message, notification: int, now_ms: int) -> End | None:
        keys = [user_row_key(user), user_row_key(user, message.app)]
        rows = [(key, value) for key in keys if (value := self._table.get(partition, key)) is not None]
        opt_in = message.klass in self._opt_in
        if not rows and not opt_in:
            return None
        reason = wishes_of(rows, lambda _: None).unwanted(
            message.app,
            message.klass,
            message.options_of(notification).thread_id,
            now_ms,
            mandatory=message.klass in self._mandatory,
            opt_in=opt_in,
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
