"""G31: schemathesis asks the running gateway whatever its document allows, and what it forbids."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pushcast.wire.control.api_keys import KeyLimits
from twins.gateway import Rig


class Running:
    """A gateway on a loop of its own: schemathesis blocks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.rig: Rig = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(30)
        self.key = self.rig.key(limits=KeyLimits(10_000_000, 1_000_000_000))
        self.url = f"http://127.0.0.1:{self.rig.server.port}"

    async def _start(self) -> Rig:
        rig = Rig()
        await rig.server.start("127.0.0.1", 0)
        return rig

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.rig.server.close(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    found = Running()
    yield found
    found.close()


CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


EXAMPLES = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
LONG_SECONDS = 600


def ask_everything(running: Running, mode: GenerationMode, seeded: Callable[[Any], Any]) -> int:
    """Asks each call some 20 times, and returns how often in all. `seeded`: decorates what asks."""
    document = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # a document with an error has none, and fails here

        @seeded
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers={"Authorization": f"Bearer {running.key}"}, checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):  # nothing of this call can be wrong
            ask()
    return asked


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_g31_every_answer_is_one_that_the_document_has(mode: GenerationMode, running: Running) -> None:
    assert ask_everything(running, mode, settings(EXAMPLES, derandomize=True)) > 100


def seeded(number: int, ask: Any) -> Any:
    """So many examples, by this seed."""
    return seed(number)(EXAMPLES(ask))


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG_SECONDS)
def test_g31_so_it_is_for_ten_minutes_of_other_seeds(running: Running) -> None:
    until, asked = time.monotonic() + LONG_SECONDS, 0
    for number in itertools.count(1):
        for mode in GenerationMode:
            asked += ask_everything(running, mode, partial(seeded, number))
            if time.monotonic() > until:
                assert asked > 100
                return
