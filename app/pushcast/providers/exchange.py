"""Outcomes of requests become results of the parts they belong to."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final, Protocol

from pushcast.http2.request import Outcomes, Response
from pushcast.model.clock import Clock
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.requests import Requests
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, SUSPECT_REASONS
from pushcast.providers.verdict import Remedy, Verdict

# 429 and 503: the provider asks for less.
_SLOW_DOWN: Final = frozenset((429, 503))
_DISBELIEVED: Final[dict[str, Any]] = {"disposition": Disposition.CREDENTIAL, "reason": MASS_INVALID_TOKENS}
_ACCEPTED: Final = Disposition.ACCEPTED
_new: Final = tuple.__new__


class Judge(Protocol):
    """The provider, as its exchanges see it."""

    clock: Clock
    pace: Pace | None

    def judge(self, response: Response, now_ms: int, key: Hashable) -> Verdict: ...

    def judge_tokens(self, answers: int, suspect: int) -> bool: ...

    def provider_id(self, requests: Requests, position: int, response: Response) -> str | None: ...

    def replace_connections(self, opened_before: float) -> None: ...


class Exchange:
    """One trip of some requests: `positions`, or all of them at their first trip.

    `again`: positions that a remedy promises more for, filled only at the first trip. `remedies`: what was called for.
    """

    __slots__ = ("_judge", "_positions", "_requests", "_sent_at", "_started_at", "again", "remedies")

    def __init__(self, judge: Judge, requests: Requests, positions: list[int] | None, started_at: float) -> None:
        """`started_at`: on the loop's clock."""
        self.again: list[int] = []
        self.remedies: set[Remedy] = set()
        self._judge = judge
        self._requests = requests
        self._positions = positions
        self._started_at = started_at
        self._sent_at = judge.clock.now_ms()

    def on_outcomes(self, outcomes: Outcomes) -> None:
        """Reports results, those of consecutive outcomes with one hearer in one list."""
        judge, requests, positions, sent_at = self._judge, self._requests, self._positions, self._sent_at
        owners, targets, names, provider_id = requests.owners, requests.targets, requests.names, judge.provider_id
        now = judge.clock.now_ms()
        runs: list[tuple[OnResults, list[Result]]] = []
        last: OnResults | None = None
        results: list[Result] = []
        suspects: list[tuple[OnResults, Result]] = []
        throttled: list[Verdict] = []
        silent = 0  # answers that say nothing about tokens
        for at, response in outcomes:
            position = at if positions is None else positions[at]
            hearer = owners[position].on_results
            if hearer is not last:
                last, results = hearer, []
                runs.append((hearer, results))
            if response.status == 200:
                name = names[position] if names else provider_id(requests, position, response)
                # As the class makes it, for half the price: it is one for each push.
                results.append(_new(Result, (targets[position], _ACCEPTED, None, 200, name, None, None, sent_at, now)))
                continue
            verdict = judge.judge(response, now, requests.key)
            result = _result(targets[position], verdict, response, sent_at, now)
            if verdict.disposition is Disposition.INVALID:
                if verdict.reason in SUSPECT_REASONS:
                    suspects.append((hearer, result))
                else:
                    results.append(result)
                continue
            silent += 1
            if response.status in _SLOW_DOWN:
                throttled.append(verdict)
            if verdict.remedy is Remedy.NONE or not self._remedied(verdict.remedy, position):
                results.append(result)
        believed = judge.judge_tokens(len(outcomes) - silent, len(suspects))
        for hearer, suspect in suspects:
            runs.append((hearer, [suspect if believed else suspect._replace(**_DISBELIEVED)]))
        if judge.pace is not None:
            named = [verdict.retry_after_seconds for verdict in throttled if verdict.retry_after_seconds is not None]
            now_seconds = judge.clock.monotonic_seconds()
            judge.pace.note(now_seconds, len(outcomes), len(throttled), max(named, default=None))
        for hearer, results in runs:
            if results:
                hearer(results)

    def _remedied(self, remedy: Remedy, position: int) -> bool:
        """Whether the request makes a second trip instead of ending here."""
        if remedy not in self.remedies:
            self.remedies.add(remedy)
            self._judge.replace_connections(self._started_at)
        if remedy is Remedy.RECONNECT or self._positions is not None:
            return False
        self.again.append(position)
        return True


def _result(target: int, verdict: Verdict, response: Response, sent_at: int, now: int) -> Result:
    return Result(
        target,
        verdict.disposition,
        verdict.reason,
        response.status or None,
        None,
        verdict.invalid_since,
        verdict.retry_after_seconds,
        sent_at,
        now,
    )
