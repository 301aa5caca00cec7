"""Events in schemas that the registry has, as tools read them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from pushcast.audit.answer import GroupProgress, answer
from pushcast.audit.case import Case
from pushcast.audit.intakes import id_of
from pushcast.audit.timers import WaitingTimer, of_campaign
from pushcast.audit.whatif import Comparison, compare
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.register.history import Historian
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.registry import ToolSchemas
from pushcast.wire.schemas import FRAME_BYTES, SchemaSource, avro_type
from pushcast.wire.waiting.timers import Timer
from twins.books import CREATED_MS, planned
from unit.audit.test_whatif import ANN, PARTITION, Past, ms, rows, settings

KIND = avro_type("notification")
EVENT = {"id": "n", "app": "news", "class": "promo", "title": "t", "campaign": "xmas"}


def framed(kind: str, datum: dict[str, Any], schema_id: int = 7) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + avro_type(kind).encode(datum)[FRAME_BYTES:]


def record(topic: str, offset: int, value: bytes, key: bytes | None = ANN.encode()) -> PlainRecord:
    return PlainRecord(topic, PARTITION, offset, CREATED_MS, key, value, ())


class Registry:
    """Schema 7 is there."""

    def __init__(self, problem: httpx.HTTPError | None = None, status: int = 200, kind: str = "notification") -> None:
        self.asked: list[str] = []
        self._problem, self._status, self._kind = problem, status, kind
        self.schemas = ToolSchemas("http://registry.test", httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self._problem is not None:
            raise self._problem
        if not request.url.path.endswith("/7"):
            return httpx.Response(404)
        return httpx.Response(self._status, json={"schema": json.dumps(avro_type(self._kind).source)})


def test_a_tool_asks_once_for_each_schema() -> None:
    registry = Registry()
    assert [id_of(framed("notification", EVENT), registry.schemas) for _ in range(3)] == ["n"] * 3
    assert [id_of(framed("notification", EVENT, 8), registry.schemas) for _ in range(3)] == [None] * 3
    assert registry.asked == ["/schemas/ids/7", "/schemas/ids/8"]


@pytest.mark.parametrize("registry", [Registry(httpx.ConnectError("refused")), Registry(status=503)])
def test_a_registry_that_is_away_is_asked_once_and_named(registry: Registry) -> None:
    for schema_id in (7, 7, 8):
        with pytest.raises(InvalidInput, match="schema registry"):
            registry.schemas.schema(schema_id)
    assert len(registry.asked) == 1


def case_of(schemas: SchemaSource | None) -> Case:
    case = Case(ANN, "n", schemas=schemas)
    case.record(record(topics.notification(Lane.NORMAL), 7, framed("notification", EVENT)))
    case.record(record(topics.PLANNED, 0, planned((7, "n", {}, "no_devices"))))
    return case


def test_why_tells_of_an_event_without_a_receipt() -> None:
    """Nothing was known of it: a planned record names no user, and the event could not be read."""
    progress = GroupProgress({topics.notification(Lane.NORMAL): 100})
    assert answer(case_of(None), progress) is None
    said = answer(case_of(Registry().schemas), progress)
    assert said is not None
    assert said.startswith("not yet: 1 on the way")


@pytest.mark.parametrize(
    ("schemas", "why"),
    [(None, "schemas.registry_url is unset"), (Registry(httpx.ConnectError("refused")).schemas, "ConnectError")],
)
def test_why_says_which_event_it_could_not_read(schemas: SchemaSource | None, why: str) -> None:
    [said] = [each for each in case_of(schemas).evidence if "cannot be read here" in each.what]
    assert (said.topic, said.offset) == (topics.notification(Lane.NORMAL), 7)
    assert why in said.what


async def test_whatif_rehearses_events_cancels_and_reads() -> None:
    """Every such event was a dead letter under both configurations: whatever was asked, nothing would have changed."""
    at, found = "2026-12-01T12:00:00Z", Comparison()
    past = [Past(topics.notification(Lane.NORMAL), 0, ANN.encode(), framed("notification", EVENT), (), ms(at))]
    schemas = Registry().schemas
    await compare(settings(), settings(), PARTITION, past, rows("UTC"), found, schemas=schemas)
    assert (found.sent_before, found.sent_after) == (1, 1)


async def test_whatif_ends_what_a_cancel_in_a_frame_of_the_registry_called_off() -> None:
    at, found = "2026-12-01T12:00:00Z", Comparison()
    event = json.dumps({"id": "n", "app": "news", "class": "promo", "title": "t", "deliver_at": "2026-12-01T18:00:00Z"})
    cancel = framed("cancel", {"ids": ["n"]})
    past = [
        Past(topics.notification(Lane.NORMAL), 0, ANN.encode(), event.encode(), (), ms(at)),
        Past(topics.CANCEL, 0, ANN.encode(), cancel, (), ms(at) + 1000),
    ]
    schemas = Registry(kind="cancel").schemas
    await compare(settings(), settings(), PARTITION, past, rows("UTC"), found, schemas=schemas)
    assert found.sent_before == 0


def test_what_waits_is_found_by_its_campaign() -> None:
    timer = Timer("normal", 1, CREATED_MS, CREATED_MS, event=framed("notification", EVENT))
    waiting = [WaitingTimer(ANN, "n", timer)]
    assert of_campaign(waiting, "xmas", Registry().schemas) == waiting


def test_a_devices_history_has_its_registrations() -> None:
    change = framed("device_change", {"op": "forget_user"})
    step = Historian(["news"], schemas=Registry(kind="device_change").schemas).step_of(
        record(topics.DEVICE_CHANGED, 0, change)
    )
    assert step is not None
    assert step.device.user == ANN
