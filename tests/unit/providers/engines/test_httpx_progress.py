from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from pushcast.providers.engines.httpx_progress import NotLeft, RequestProgress

BEGUN = "http11.send_request_headers.started"
LEFT = "http11.send_request_body.complete"


async def silence() -> str:
    await asyncio.Event().wait()
    return ""


async def answer(after_seconds: float) -> str:
    await asyncio.sleep(after_seconds)
    return "here"


async def in_time(progress: RequestProgress, request: asyncio.Task[str], timeout_seconds: float) -> bool:
    try:
        return await progress.in_time(request, timeout_seconds)
    finally:
        request.cancel()


async def test_the_time_to_answer_begins_when_the_request_has_left() -> None:
    progress = RequestProgress()
    request = asyncio.create_task(answer(0.25))
    asyncio.get_running_loop().call_later(0.15, lambda: asyncio.ensure_future(progress.trace(LEFT, {})))
    assert await in_time(progress, request, 0.2)


async def test_an_answer_that_lies_in_the_socket_when_the_time_is_over_counts() -> None:
    progress = RequestProgress()
    await progress.trace(LEFT, {})
    assert await in_time(progress, asyncio.create_task(answer(0.1)), 0.0)


async def test_without_an_answer_it_says_whether_a_byte_may_have_left() -> None:
    progress = RequestProgress()
    assert not await in_time(progress, asyncio.create_task(silence()), 0.01)
    assert not progress.begun
    await progress.trace("http11.send_request_headers.started", {})
    await progress.trace(LEFT, {})
    assert not await in_time(progress, asyncio.create_task(silence()), 0.01)
    assert progress.begun


async def test_a_process_without_cpu_reads_on_before_it_calls_an_answer_missing() -> None:
    """Also when one of its looks comes in time by chance: reading an answer takes several."""
    progress = RequestProgress()

    async def answered() -> str:
        await progress.trace(LEFT, {})
        for turn in range(12):
            await asyncio.sleep(0)
            time.sleep(0.15 if turn % 3 else 0.0)
        return "answer"

    assert await in_time(progress, asyncio.create_task(answered()), 1.0)


async def test_what_a_proxy_is_asked_first_is_nothing_of_the_request() -> None:
    progress = RequestProgress()
    await progress.trace(BEGUN, {"request": SimpleNamespace(method=b"CONNECT")})
    await progress.trace(LEFT, {})
    assert not progress.begun
    assert not await in_time(progress, asyncio.create_task(silence()), 0.01)
    await progress.trace(BEGUN, {"request": SimpleNamespace(method=b"POST")})
    assert progress.begun


async def test_what_may_not_leave_any_more_ends_before_its_first_byte() -> None:
    progress = RequestProgress(lambda: False)
    await progress.trace(BEGUN, {"request": SimpleNamespace(method=b"CONNECT")})
    with pytest.raises(NotLeft):
        await progress.trace(BEGUN, {"request": SimpleNamespace(method=b"POST")})
    assert not progress.begun
