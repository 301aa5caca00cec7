"""Spans of sampled requests, as OpenTelemetry's own SDK sees them, and the trace that their records carry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.observe.request_spans import BeginSpan, passed_on, request_spans_of
from pushcast.observe.tracing import sampled
from twins.gateway import Rig, gateway

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"
NOTE = {"id": "n", "user": "u", "class": "breaking", "title": "t"}
URGENT, NORMAL = "push.notification.urgent.v1", "push.notification.normal.v1"


class Spans:
    """What an exporter gets."""

    def __init__(self) -> None:
        pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed: spans are not judged")
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.begin: BeginSpan = request_spans_of(provider.get_tracer("test"))

    @property
    def ended(self) -> dict[str, Any]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


async def post(rig: Rig, path: str, body: Any, traceparent: str | None, key: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({} if traceparent is None else {"traceparent": traceparent})
    async with rig.client(key or rig.key()) as client:
        return await client.post(path, content=json.dumps(body).encode(), headers=headers)


@pytest.mark.parametrize("path", ["/v1/notifications", "/v1/notifications?"], ids=["quick", "usual"])
async def test_a_sampled_request_is_a_child_of_the_clients_span_and_its_record_of_the_requests(path: str) -> None:
    spans = Spans()
    async with gateway() as rig:
        rig.server.begin_span = spans.begin
        await post(rig, path, NOTE, SAMPLED)
        [headers] = rig.producer.headers
    server, producer = spans.ended["POST /v1/notifications"], spans.ended[f"send {URGENT}"]
    assert (server.kind.name, server.parent.span_id) == ("SERVER", int(SPAN, 16))
    assert server.attributes["http.response.status_code"] == 202
    assert (producer.kind.name, producer.parent.span_id) == ("PRODUCER", server.context.span_id)
    assert producer.attributes["messaging.destination.name"] == URGENT
    [(name, value)] = headers or ()
    assert (name, sampled((value or b"").decode())) == ("traceparent", (int(TRACE, 16), producer.context.span_id))


async def test_a_bulk_has_a_span_for_each_topic_and_tells_how_many_went_there() -> None:
    spans = Spans()
    async with gateway() as rig:
        rig.server.begin_span = spans.begin
        notes = [NOTE, NOTE | {"id": "m"}, {"id": "o", "user": "u", "title": "t"}]
        await post(rig, "/v1/notifications/bulk", {"notifications": notes}, SAMPLED)
        written = [dict(each or ())["traceparent"] for each in rig.producer.headers]
    counts = {name: span.attributes.get("messaging.batch.message_count", 1) for name, span in spans.ended.items()}
    assert counts == {"POST /v1/notifications/bulk": 1, f"send {URGENT}": 2, f"send {NORMAL}": 1}
    assert (written[0] == written[1], written[0] == written[2]) == (True, False)


async def test_a_request_that_fails_says_so_in_its_spans() -> None:
    spans = Spans()
    async with gateway(ack_seconds=0.05) as rig:
        rig.server.begin_span = spans.begin
        rig.producer.confirms = False
        await post(rig, "/v1/notifications", NOTE, SAMPLED)
    assert {span.attributes["error.type"] for span in spans.ended.values()} == {"503"}


@pytest.mark.parametrize("path", ["/v1/notifications", "/v1/notifications?"], ids=["quick", "usual"])
@pytest.mark.parametrize("traceparent", [None, UNSAMPLED, "nonsense"])
async def test_what_is_not_sampled_has_no_span_and_no_header(path: str, traceparent: str | None) -> None:
    spans = Spans()
    async with gateway() as rig:
        rig.server.begin_span = spans.begin
        await post(rig, path, NOTE, traceparent)
        assert rig.producer.headers == [None]
    assert spans.ended == {}


async def test_nobody_without_a_key_makes_spans() -> None:
    spans = Spans()
    async with gateway() as rig:
        rig.server.begin_span = spans.begin
        answer = await post(rig, "/v1/notifications", NOTE, SAMPLED, key="pc_wrong")
    assert (answer.status_code, spans.ended) == (401, {})


@pytest.mark.parametrize("path", ["/v1/notifications", "/v1/notifications/bulk"])
async def test_where_nobody_traces_the_record_carries_the_clients_own_trace(path: str) -> None:
    async with gateway() as rig:
        await post(rig, path, NOTE if path.endswith("s") else {"notifications": [NOTE]}, SAMPLED)
        assert rig.producer.headers == [[("traceparent", SAMPLED.encode())]]
    assert passed_on("POST", path, UNSAMPLED) is None
