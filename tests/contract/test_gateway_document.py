"""G31: schemathesis asks the running gateway whatever its document allows, and what it forbids."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
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


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_g31_every_answer_is_one_that_the_document_has(mode: GenerationMode, running: Running) -> None:
    document = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # a document with an error has none, and fails here

        @settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers={"Authorization": f"Bearer {running.key}"}, checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):  # nothing of this call can be wrong
            ask()
    assert asked > 100
