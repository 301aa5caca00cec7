"""Spans of sampled pushes, as OpenTelemetry's own SDK sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.observe import tracing
from pushcast.observe.tracing import MAX_LINKS, PlannedBatch, batch_spans_of, sampled, spans_of
from pushcast.providers.port import Disposition, Result

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
T = 1_800_000_000_000


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"01-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        SAMPLED + "-more",
        "",
        "nonsense",
    ],
)
def test_what_is_not_sampled_or_no_traceparent_has_no_parent(traceparent: str) -> None:
    assert sampled(traceparent) is None


def test_a_sampled_traceparent_names_trace_and_span_also_with_other_flags() -> None:
    assert sampled(SAMPLED) == sampled(SAMPLED[:-2] + "03") == (int(TRACE, 16), int(SPAN, 16))


def exported(write: Callable[[Any], None]) -> Any:
    pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed: spans are not judged")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    write(provider.get_tracer("test"))
    return exporter.get_finished_spans()


def written(traces: list[str], notification: list[int], answers: list[Result]) -> Any:
    return exported(lambda tracer: spans_of(tracer)("news", "apns", traces, notification, answers))


def test_each_answer_of_a_sampled_event_is_a_child_of_the_producers_span() -> None:
    answers = [
        Result(0, Disposition.ACCEPTED, None, 200, sent_at=T, answered_at=T + 40),
        Result(1, Disposition.INVALID, "device_unregistered", 410, sent_at=T, answered_at=T + 50),
        Result(2, Disposition.ACCEPTED, None, 200, sent_at=T, answered_at=T + 60),
        Result(3, Disposition.UNSENT, "not_sent_in_time"),
    ]
    accepted, refused = written([SAMPLED, ""], [0, 0, 1, 0], answers)
    for span in (accepted, refused):
        assert (span.parent.trace_id, span.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
        assert (span.name, span.kind.name) == ("push apns", "CLIENT")
        assert span.start_time == T * 1_000_000
    assert accepted.end_time == (T + 40) * 1_000_000
    assert dict(accepted.attributes) == {
        "pushcast.app": "news",
        "pushcast.platform": "apns",
        "http.response.status_code": 200,
    }
    assert (refused.attributes["error.type"], refused.status.status_code.name) == ("device_unregistered", "ERROR")


def test_a_traceparent_that_is_not_sampled_is_looked_at_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "sampled", None)
    unsampled = f"00-{TRACE}-{SPAN}-00"
    answers = [Result(0, Disposition.ACCEPTED, None, 200, sent_at=T, answered_at=T + 40)]
    assert written([unsampled, ""], [0], answers) == ()
    batch = PlannedBatch("push.notification.urgent.v1", "apns", 1, T, T)
    assert exported(lambda tracer: batch_spans_of(tracer)(batch, [unsampled, ""])) == ()


def test_a_batch_without_a_sampled_event_writes_nothing() -> None:
    assert written(["", f"00-{TRACE}-{SPAN}-00"], [0, 1], [Result(0, Disposition.ACCEPTED, sent_at=T)]) == ()


def test_a_batch_has_links_to_its_sampled_events_each_once_and_no_parent() -> None:
    batch = PlannedBatch("push.notification.urgent.v1", "apns", 900, T, T + 12)
    others = [f"00-{TRACE}-{number:016x}-01" for number in range(1, 200)]
    traces = ["", SAMPLED, f"00-{TRACE}-{SPAN}-00", SAMPLED, *others]
    [span] = exported(lambda tracer: batch_spans_of(tracer)(batch, traces))
    assert (span.name, span.kind.name, span.parent) == ("process push.notification.urgent.v1", "CONSUMER", None)
    assert (span.start_time, span.end_time) == (T * 1_000_000, (T + 12) * 1_000_000)
    assert len(span.links) == MAX_LINKS
    assert [link.context.span_id for link in span.links[:2]] == [int(SPAN, 16), 1]
    assert span.attributes["pushcast.targets"] == 900


def test_a_batch_of_events_that_are_not_sampled_has_no_span() -> None:
    batch = PlannedBatch("push.notification.urgent.v1", "apns", 900, T, T + 12)
    assert exported(lambda tracer: batch_spans_of(tracer)(batch, ["", f"00-{TRACE}-{SPAN}-00"])) == ()


def test_without_the_extra_the_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"observe\.tracing: install pushcast\[otel\]"):
        tracing.tracer()
