"""The log behind the port."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.http2.leave import MayLeave, always
from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.log.credentials import LogFile
from pushcast.providers.log.message import render
from pushcast.providers.log.verdicts import judge
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.refusals import MessageRefusals
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from pushcast.providers.verdict import NOT_SENT_IN_TIME


class LogProvider:
    """Writes a line of JSON for each target; see `pushcast.providers.port.Provider` for its promises. It blocks while
    it writes, as nothing that leaves the machine may. Lines name the delivery, never the token."""

    engine = "file"

    def __init__(self, app: str, platform: Platform, file: LogFile, clock: Clock) -> None:
        self.app = app
        self.platform = platform
        self._file = file
        self._clock = clock
        self._refusals = MessageRefusals(clock)

    @property
    def slow(self) -> bool:
        return False

    async def start(self) -> None:
        """The file is opened with the first line."""

    async def send(
        self, message: Message, indices: Sequence[int], on_results: OnResults, may_leave: MayLeave = always
    ) -> None:
        if not may_leave():
            on_results([Result(index, Disposition.UNSENT, NOT_SENT_IN_TIME) for index in indices])
            return
        try:
            line = render_or_refuse(render, message)
        except Unsendable as refusal:
            on_results(self._refusals.results(refusal, message, indices))
            return
        deliveries = message.targets.delivery_id
        names = [deliveries[index].hex() for index in indices]
        lines = b"".join(b'{"delivery":"%b",%b\n' % (name.encode(), line[1:]) for name in names)
        sent_at = self._clock.now_ms()
        problem: OSError | None = None
        if not message.options.dry_run:
            try:
                self._file.write(lines)
            except OSError as error:
                problem = error
        verdict, now = judge(problem), self._clock.now_ms()
        on_results(
            [
                Result(
                    index,
                    verdict.disposition,
                    verdict.reason,
                    provider_id=None if problem else name,
                    retry_after_seconds=verdict.retry_after_seconds,
                    sent_at=sent_at,
                    answered_at=now,
                )
                for index, name in zip(indices, names, strict=True)
            ]
        )

    async def close(self) -> None:
        self._file.close()
