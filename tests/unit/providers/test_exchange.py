"""Outcomes become results of the parts they belong to."""

from __future__ import annotations

from collections.abc import Hashable

from pushcast.http2.request import Kind, Response
from pushcast.model.clock import Clock, ManualClock
from pushcast.providers.exchange import Exchange
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition, Part, Result
from pushcast.providers.requests import Requests
from pushcast.providers.verdict import Remedy, Verdict
from unit.providers.messages import message

OK = Response(Kind.ANSWERED, 200)
VERDICTS = {
    403: Verdict(Disposition.CREDENTIAL, "credential_refused", Remedy.REFRESH),
    410: Verdict(Disposition.INVALID, "device_unregistered"),
    400: Verdict(Disposition.INVALID, "token_refused"),
    503: Verdict(Disposition.RETRY, "provider_unavailable", Remedy.RECONNECT),
}


class TwinJudge:
    """Believes `believed`, and remembers what it was asked."""

    pace: Pace | None = None

    def __init__(self, *, believed: bool = True) -> None:
        self.clock: Clock = ManualClock(1_000)
        self.believed = believed
        self.counted: list[tuple[int, int]] = []
        self.replaced: list[float] = []

    def judge(self, response: Response, now_ms: int, key: Hashable) -> Verdict:
        return VERDICTS[response.status]

    def judge_tokens(self, answers: int, suspect: int) -> bool:
        self.counted.append((answers, suspect))
        return self.believed

    def provider_id(self, requests: Requests, position: int, response: Response) -> str:
        return f"id-{position}"

    def replace_connections(self, opened_before: float) -> None:
        self.replaced.append(opened_before)


def two_parts() -> tuple[Requests, list[list[Result]], list[int]]:
    """Targets 0 and 2 of one message, then 1 of another; results by message; how often each was told."""
    heard: list[list[Result]] = [[], []]
    calls = [0, 0]

    def hearing(number: int):
        def on_results(results: list[Result]) -> None:
            heard[number] += results
            calls[number] += 1

        return on_results

    parts = [Part(message(), [0, 2], hearing(0)), Part(message(), [1], hearing(1))]
    requests = Requests("key", 0)
    requests.owners += [parts[0], parts[0], parts[1]]
    requests.targets += [0, 2, 1]
    return requests, heard, calls


def answer(status: int) -> Response:
    return Response(Kind.ANSWERED, status)


def test_consecutive_outcomes_of_one_part_come_in_one_list() -> None:
    requests, heard, calls = two_parts()
    Exchange(TwinJudge(), requests, None, 0.0).on_outcomes([(0, OK), (1, OK), (2, OK)])
    assert [[(result.target, result.provider_id) for result in results] for results in heard] == [
        [(0, "id-0"), (2, "id-1")],
        [(1, "id-2")],
    ]
    assert calls == [1, 1]


def test_outcomes_in_any_order_reach_their_own_part() -> None:
    requests, heard, _ = two_parts()
    Exchange(TwinJudge(), requests, None, 0.0).on_outcomes([(1, OK), (2, answer(410)), (0, OK)])
    assert [result.target for result in heard[0]] == [2, 0]
    assert [result.disposition for result in heard[1]] == [Disposition.INVALID]


def test_disbelieved_tokens_are_a_matter_of_the_credential() -> None:
    requests, heard, _ = two_parts()
    judge = TwinJudge(believed=False)
    Exchange(judge, requests, None, 0.0).on_outcomes([(0, answer(400)), (1, answer(410)), (2, answer(400))])
    assert {result.target: result.disposition for result in heard[0]} == {
        0: Disposition.CREDENTIAL,
        2: Disposition.INVALID,
    }
    assert [(result.disposition, result.reason) for result in heard[1]] == [
        (Disposition.CREDENTIAL, "mass_invalid_tokens")
    ]
    assert judge.counted == [(3, 2)]


def test_a_refused_credential_makes_a_second_trip_once() -> None:
    requests, heard, _ = two_parts()
    judge = TwinJudge()
    first = Exchange(judge, requests, None, 7.0)
    first.on_outcomes([(0, OK), (1, answer(403)), (2, answer(403))])
    assert (first.again, first.remedies, judge.replaced) == ([1, 2], {Remedy.REFRESH}, [7.0])
    assert [len(results) for results in heard] == [1, 0]
    second = Exchange(judge, requests, first.again, 8.0)
    second.on_outcomes([(0, OK), (1, answer(403))])
    assert second.again == []
    assert [result.disposition for result in heard[0]] == [Disposition.ACCEPTED] * 2
    assert [result.disposition for result in heard[1]] == [Disposition.CREDENTIAL]


def test_a_reconnect_is_asked_for_and_the_answer_stands() -> None:
    requests, heard, _ = two_parts()
    judge = TwinJudge()
    exchange = Exchange(judge, requests, None, 7.0)
    exchange.on_outcomes([(0, answer(503)), (1, answer(503)), (2, OK)])
    assert (exchange.again, judge.replaced) == ([], [7.0])
    assert [result.disposition for result in heard[0]] == [Disposition.RETRY] * 2
