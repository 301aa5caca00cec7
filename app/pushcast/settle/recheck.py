"""Whether the device of a delivery that has waited is still there, with the token that the push was planned for.

A token that moved meanwhile is another person's phone. Parked and retried work would reach it for as long as it waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pushcast.model.batch import Message
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key
from pushcast.model.words import Outcome, Reason
from pushcast.settle.decide import End
from pushcast.stream.table import Table
from pushcast.wire.devices import decode_row

#: What was written later than so long ago is passed on unasked: a row that changes is not much younger than that.
LEAST_WAIT_MS: Final = 60_000
MOVED: Final[End] = (Outcome.CANCELLED, Reason.TOKEN_MOVED)
GONE: Final[End] = (Outcome.CANCELLED, Reason.DEVICE_GONE)
#: Deliveries without a device row: to a provider's topic or channel.
_NO_DEVICE: Final = ("topic:", "channel:")


class Recheck:
    """Asks the devices table of the delivery's partition. Costs about 10 microseconds a target."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def ended(self, partition: int, message: Message) -> Mapping[int, End]:
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
                if end is not None:
                    found[index] = end
        return found

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
