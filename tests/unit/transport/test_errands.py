"""What a loop has another thread's loop do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from pushcast.transport.errands import Errands


@pytest.fixture
def there() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def errands(there: asyncio.AbstractEventLoop) -> Errands:
    return Errands(asyncio.get_running_loop(), there)


async def test_an_errand_is_done_on_the_other_loop_and_its_result_comes_home(there: asyncio.AbstractEventLoop) -> None:
    async def errand() -> asyncio.AbstractEventLoop:
        await asyncio.sleep(0)
        return asyncio.get_running_loop()

    assert await errands(there).run(errand()) is there


async def test_what_it_raises_there_is_raised_here(there: asyncio.AbstractEventLoop) -> None:
    async def errand() -> None:
        raise ConnectionError("away")

    with pytest.raises(ConnectionError, match="away"):
        await errands(there).run(errand())


async def test_one_that_is_cancelled_there_is_cancelled_here(there: asyncio.AbstractEventLoop) -> None:
    async def errand() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await errands(there).run(errand())


async def test_several_are_under_way_at_a_time(there: asyncio.AbstractEventLoop) -> None:
    both = asyncio.Event()

    async def first() -> str:
        await both.wait()
        return "first"

    async def second() -> str:
        both.set()
        return "second"

    ours = errands(there)
    assert await asyncio.gather(ours.run(first()), ours.run(second())) == ["first", "second"]


async def test_nobody_hears_of_one_that_was_given_up(there: asyncio.AbstractEventLoop) -> None:
    goes_on = threading.Event()

    async def errand() -> str:
        goes_on.wait(10)
        return "too late"

    ours = errands(there)
    waiting = asyncio.create_task(ours.run(errand()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    goes_on.set()

    async def other() -> str:
        return "the next one"

    assert await ours.run(other()) == "the next one"


async def test_a_loop_that_is_closed_takes_none(there: asyncio.AbstractEventLoop) -> None:
    async def errand() -> None: ...

    ours = errands(there)
    there.call_soon_threadsafe(there.stop)
    while there.is_running():
        await asyncio.sleep(0.001)
    there.close()
    with pytest.raises(RuntimeError):
        await ours.run(errand())
