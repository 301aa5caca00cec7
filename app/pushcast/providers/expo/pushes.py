"""Pushes in the line to Expo, and the way of their results back to the calls they belong to."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pushcast.http2.leave import MayLeave
from pushcast.providers.expo.message import Recipient
from pushcast.providers.expo.verdicts import THEIRS, Ticket
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.verdict import NOT_SENT_IN_TIME, Verdict, verdict_of


class SendCall:
    """One call of `send`, until each of its pushes has a result."""

    __slots__ = ("done", "left", "may_leave", "on_results")

    def __init__(self, on_results: OnResults, left: int, may_leave: MayLeave) -> None:
        self.on_results = on_results
        self.may_leave = may_leave
        self.left = left
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wanted(self) -> bool:
        """Whether its pushes may leave: it was not cancelled, and its caller says so."""
        return not self.done.done() and self.may_leave()

    def deliver(self, results: list[Result]) -> None:
        """A cancelled call hears nothing more; what its callback raises is its own caller's to know."""
        if self.done.done():
            return
        self.left -= len(results)
        try:
            self.on_results(results)
        except Exception as error:
            self.done.set_exception(error)
            return
        if self.left == 0:
            self.done.set_result(None)


class QueuedPush(NamedTuple):
    """One target in the line; `queued_at` is in monotonic seconds."""

    sending: SendCall
    target: int
    recipient: Recipient
    queued_at: float


def unwanted(pushes: list[QueuedPush]) -> set[SendCall]:
    """Calls whose pushes may not leave now."""
    return {sending for sending in {push.sending for push in pushes} if not sending.wanted()}


def leaving(pushes: list[QueuedPush], stays: set[SendCall], now_ms: int) -> list[QueuedPush]:
    """Those that may still leave; those of `stays`, and those that have expired, have their results, where anybody
    wants one."""
    late = now_ms // 1000
    going: list[QueuedPush] = []
    held: list[QueuedPush] = []
    for push in pushes:
        (held if push.sending in stays or 0 < push.recipient.expiration <= late else going).append(push)
    deliver([(push, unsent(push, NOT_SENT_IN_TIME)) for push in held])
    return going


def by_project(pushes: list[QueuedPush], projects: dict[str, list[str]]) -> list[list[QueuedPush]]:
    """Parts of one project each, the largest first; tokens that the answer does not name are a part of their own."""
    project_of = {token.encode(): project for project, tokens in projects.items() for token in tokens}
    parts: dict[str | None, list[QueuedPush]] = {}
    for push in pushes:
        parts.setdefault(project_of.get(push.recipient.token), []).append(push)
    return sorted(parts.values(), key=len, reverse=True)


def ticket_result(push: QueuedPush, ticket: Ticket, status: int, sent_at: int, now: int) -> Result:
    """What a ticket means; one without an id is no promise."""
    verdict = ticket.verdict
    if verdict.disposition is Disposition.ACCEPTED and ticket.ticket_id is None:
        verdict = verdict_of(THEIRS)._replace(disposition=Disposition.UNKNOWN)
    return result_of(push, verdict, status, ticket.ticket_id, sent_at, now)


def result_of(
    push: QueuedPush, verdict: Verdict, status: int | None, ticket_id: str | None, sent_at: int, now: int
) -> Result:
    """A verdict on one push. Times are in milliseconds since the epoch."""
    # Expo's verdict is about the token as it was when we sent. A registration after that is not judged by it.
    since = sent_at if verdict.disposition is Disposition.INVALID else None
    return Result(
        push.target,
        verdict.disposition,
        verdict.reason,
        status,
        ticket_id,
        since,
        verdict.retry_after_seconds,
        sent_at,
        now,
    )


def unsent(push: QueuedPush, reason: str) -> Result:
    """It never left us."""
    return Result(push.target, Disposition.UNSENT, str(reason))


def deliver(results: list[tuple[QueuedPush, Result]]) -> None:
    """One list for each call of `send`."""
    by_sending: dict[SendCall, list[Result]] = {}
    for push, result in results:
        by_sending.setdefault(push.sending, []).append(result)
    for sending, own in by_sending.items():
        sending.deliver(own)
