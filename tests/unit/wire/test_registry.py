"""Writer schemas from a registry: asked once, never blamed on a record while the registry is away."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.registry import RegistrySchemas
from pushcast.wire.schemas import avro_type

KIND = avro_type("notification")
BODY = KIND.encode({"id": "n-1", "title": "Goal!"})[10:]


def framed(schema_id: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + BODY


def registry(asked: list[str], clock: Callable[[], float] = lambda: 0.0) -> RegistrySchemas:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        match request.url.path.rpartition("/")[2]:
            case "7":
                return httpx.Response(200, json={"schema": json.dumps(KIND.source)})
            case "8":
                return httpx.Response(200, json={"schema": "syntax", "schemaType": "PROTOBUF"})
            case "9":
                return httpx.Response(404, json={"error_code": 40403})
            case "10":
                raise httpx.ConnectError("refused")
            case _:
                return httpx.Response(500)

    return RegistrySchemas("http://registry.test", httpx.MockTransport(answer), clock)


def decode(schemas: RegistrySchemas, schema_id: int) -> str:
    decoder = NotificationDecoder(["news"], {"default": ClassRule(1000)}, schemas)
    return decoder.decode("u", framed(schema_id), 1_800_000_000_000).id


async def test_a_schema_is_asked_for_once_and_then_known() -> None:
    asked: list[str] = []
    schemas = registry(asked)
    await schemas.prepare([framed(7), b"{}", None, framed(7)])
    await schemas.prepare([framed(7)])
    assert decode(schemas, 7) == "n-1"
    assert asked == ["/schemas/ids/7"]


@pytest.mark.parametrize("schema_id", [8, 9])
async def test_no_schema_or_another_kind_is_the_records_fault(schema_id: int) -> None:
    asked: list[str] = []
    schemas = registry(asked)
    await schemas.prepare([framed(schema_id)])
    await schemas.prepare([framed(schema_id)])
    with pytest.raises(InvalidInput) as caught:
        decode(schemas, schema_id)
    assert caught.value.reason == "unknown_schema"
    assert len(asked) == 1


async def test_a_schema_that_the_registry_does_not_know_is_asked_for_again_with_back_off() -> None:
    now = [0.0]
    asked: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(now[0])
        known = now[0] >= 5
        return httpx.Response(200, json={"schema": json.dumps(KIND.source)}) if known else httpx.Response(404)

    schemas = RegistrySchemas("http://registry.test", httpx.MockTransport(answer), lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        await schemas.prepare([framed(2)])
    assert asked == [0, 1, 3, 7]
    assert decode(schemas, 2) == "n-1"


async def test_what_is_no_avro_schema_is_never_asked_for_again() -> None:
    asked: list[str] = []
    now = [0.0]
    schemas = registry(asked, lambda: now[0])
    for hour in range(3):
        now[0] = hour * 3600.0
        await schemas.prepare([framed(8)])
    assert len(asked) == 1


@pytest.mark.parametrize("schema_id", [10, 11])
async def test_a_registry_that_is_away_is_nobodys_fault_and_asked_again(schema_id: int) -> None:
    with pytest.raises(OSError, match="schema registry"):
        await registry([]).prepare([framed(schema_id)])


@pytest.mark.parametrize(
    "page",
    [
        b"<html>Sign in</html>",
        b"",
        b"\xff",
        b"[" * 5_000,
        b"5",
        b'["schema"]',
        b'{"error": "sign in"}',
        b'{"schema": 5}',
    ],
)
async def test_a_page_instead_of_a_schema_is_a_registry_that_is_away(page: bytes) -> None:
    answers = [httpx.Response(200, content=page), httpx.Response(200, json={"schema": json.dumps(KIND.source)})]
    schemas = RegistrySchemas("http://registry.test", httpx.MockTransport(lambda _: answers.pop(0)))
    with pytest.raises(OSError, match="schema registry"):
        await schemas.prepare([framed(2)])
    await schemas.prepare([framed(2)])
    assert decode(schemas, 2) == "n-1"


@pytest.mark.parametrize(
    "text",
    [
        *("5", "null", "true", "syntax", "[" * 5_000, "{}", "[5]", '"n"'),
        *('{"type": "record"}', '{"type": 5}', '{"type": "enum"}'),
        *('{"type": "record", "name": "n", "fields": 5}', '{"type": "record", "name": 5, "fields": []}'),
    ],
)
async def test_a_schema_that_is_none_is_the_records_fault(text: str) -> None:
    schemas = RegistrySchemas(
        "http://registry.test", httpx.MockTransport(lambda _: httpx.Response(200, json={"schema": text}))
    )
    await schemas.prepare([framed(2)])
    with pytest.raises(InvalidInput) as caught:
        decode(schemas, 2)
    assert caught.value.reason == "unknown_schema"


def test_an_address_that_is_none_refuses_to_start() -> None:
    with pytest.raises(ConfigurationError, match="registry_url"):
        RegistrySchemas("registry:8081")
