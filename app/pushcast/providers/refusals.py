"""What becomes of a message that its platform cannot take: the receipts have the reason, the log has limit and size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog

from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition, Result
from pushcast.providers.unsendable import Unsendable

log = structlog.get_logger(__name__)

#: A campaign has thousands of such messages: of an app each reason is told so often at most.
QUIET_SECONDS: Final = 60.0
#: A key of `data` may be as long as its producer likes.
MAX_TOLD_CHARS: Final = 300


class MessageRefusals:
    """Of one provider."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_at: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def results(self, refusal: Unsendable, message: Message, indices: Iterable[int]) -> list[Result]:
        """Each of these targets is rejected."""
        results = [Result(index, Disposition.REJECTED, refusal.reason) for index in indices]
        if results and refusal.reason != Reason.NOTHING_TO_SHOW:  # a badge for a browser is no mistake
            self._tell(refusal, message, results[0].target, len(results))
        return results

    def _tell(self, refusal: Unsendable, message: Message, target: int, targets: int) -> None:
        kind, now = (message.app, refusal.reason), self._clock.monotonic_seconds()
        told_at = self._told_at.get(kind)
        if told_at is not None and now - told_at < QUIET_SECONDS:
            self._untold[kind] = self._untold.get(kind, 0) + targets
            return
        self._told_at[kind] = now
        log.warning(
            "message_refused",
            app=message.app,
            notification=message.notification_ids[message.targets.notification[target]],
            reason=refusal.reason,
            field=None if refusal.field is None else refusal.field[:MAX_TOLD_CHARS],
            problem=str(refusal)[:MAX_TOLD_CHARS],
            targets=targets,
            untold_targets=self._untold.pop(kind, 0),
        )
