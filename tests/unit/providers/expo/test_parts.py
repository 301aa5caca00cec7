"""A request that Expo takes in parts only: whose pushes are still wanted is asked before each part."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import orjson
import pytest

from pushcast.http2.leave import MayLeave, always
from pushcast.model.clock import ManualClock
from pushcast.providers.expo.api import ExpoAnswer, ExpoApi
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.port import Result
from pushcast.providers.verdict import Verdict
from unit.providers.messages import message

NOW = 1_800_000_000_000


class Api:
    """Refuses every request of several tokens; `on_refusal` is called then."""

    slow = False

    def __init__(self, refusal: Callable[[list[str]], tuple[int, Any]]) -> None:
        self.asked: list[list[str]] = []
        self.on_refusal: Callable[[], object] = lambda: None
        self._refusal = refusal

    def start(self) -> None: ...

    async def close(self) -> None: ...

    async def post(self, path: str, body: bytes, may_leave: MayLeave = always) -> ExpoAnswer | Verdict:
        tokens = [token for part in orjson.loads(body) for token in part["to"]]
        self.asked.append(tokens)
        await asyncio.sleep(0)
        if len(tokens) == 1:
            return ExpoAnswer(200, orjson.dumps({"data": [{"status": "ok", "id": tokens[0]}]}), None)
        self.on_refusal()
        await asyncio.sleep(0)
        status, answer = self._refusal(tokens)
        return ExpoAnswer(status, orjson.dumps(answer), None)


def too_large(_: list[str]) -> tuple[int, Any]:
    return 413, {}


def other_projects(tokens: list[str]) -> tuple[int, Any]:
    details = {f"project {token}": [token] for token in tokens}
    return 400, {"errors": [{"code": "PUSH_TOO_MANY_EXPERIENCE_IDS", "details": details}]}


def malformed(_: list[str]) -> tuple[int, Any]:
    return 400, {"errors": [{"code": "VALIDATION_ERROR"}]}


def tokens(name: str, count: int = 3) -> list[bytes]:
    return [f"ExponentPushToken[{name}{number}]".encode() for number in range(count)]


async def sent(provider: ExpoProvider, addresses: list[bytes], expires_at: int = NOW + 3_600_000) -> list[Result]:
    results: list[Result] = []
    batch = message(addresses, expires_at=[expires_at] * len(addresses), kinds=[0] * len(addresses))
    await provider.send(batch, range(len(addresses)), results.extend)
    return results


@pytest.mark.parametrize("refusal", [too_large, malformed, other_projects])
async def test_pushes_of_a_cancelled_call_do_not_leave_with_the_parts(
    refusal: Callable[[list[str]], tuple[int, Any]],
) -> None:
    api = Api(refusal)
    provider = ExpoProvider("news", "httpx", cast(ExpoApi, api), ManualClock(NOW))
    dropped = asyncio.create_task(sent(provider, tokens("dropped")))
    kept = asyncio.create_task(sent(provider, tokens("kept")))
    api.on_refusal = dropped.cancel
    assert [result.disposition for result in await kept] == ["accepted"] * 3
    with contextlib.suppress(asyncio.CancelledError):
        await dropped
    assert [token for asked in api.asked[1:] for token in asked if "dropped" in token] == []


async def test_what_expires_while_it_waits_for_its_turn_does_not_leave() -> None:
    api, clock = Api(too_large), ManualClock(NOW)
    provider = ExpoProvider("news", "httpx", cast(ExpoApi, api), clock)
    api.on_refusal = lambda: clock.advance(61)
    late = asyncio.create_task(sent(provider, tokens("late"), NOW + 60_000))
    results = await asyncio.gather(late, sent(provider, tokens("kept")))
    assert [(result.disposition, result.reason) for result in results[0]] == [("unsent", "not_sent_in_time")] * 3
    assert [result.disposition for result in results[1]] == ["accepted"] * 3
    assert [token for asked in api.asked[1:] for token in asked if "late" in token] == []
