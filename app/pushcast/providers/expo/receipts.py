"""What Expo says of receipts, and the port through which they are asked for.

A ticket says that Expo has the push; its receipt, some minutes later and for 24 hours, what Apple or Google said.
https://docs.expo.dev/push-notifications/sending-notifications/#push-receipts
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from pushcast.providers.verdict import Verdict

MAX_IDS_PER_REQUEST: Final = 1000
# As many as Expo's own SDK asks for.
IDS_PER_REQUEST: Final = 300
KEPT_SECONDS: Final = 24 * 3600
# After the push was sent. A minute before the receipts go would be in time for nobody who is a little late.
LAST_ASK_SECONDS: Final = 23 * 3600


class Polled(NamedTuple):
    """`verdicts` by ticket id of the receipts that were there; `refused` when Expo answered with something else."""

    verdicts: dict[str, Verdict]
    refused: Verdict | None = None


@runtime_checkable
class ReceiptSource(Protocol):
    """Who may be asked what became of tickets (`client.ExpoProvider`)."""

    async def receipts(self, ticket_ids: Sequence[str]) -> Polled:
        """At most 1,000 of them. Ids that are not in the answer are pending, or unknown.

        Raises nothing for what the provider or a network does. Cancelling it costs nothing: asking changes nothing.
        """
        ...
