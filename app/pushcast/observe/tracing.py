"""Spans of pushes, for OpenTelemetry, where an event has a sampled `traceparent`.

PLAN writes a CONSUMER span for each batch, with links to the events in it: a batch mixes events of many traces, and the
conventions ask for links then. SEND writes a CLIENT span for each answered target, a child of its own event's. Names
and attributes are those of the semantic conventions. Off unless `observe.tracing`; an event that is not sampled costs
one look at its message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pushcast import __version__
from pushcast.model.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]([0-9a-f])")
#: Last digit of a traceparent whose flag says so. Most are not sampled: their other digits are not looked at.
_SAMPLED_ENDS: Final = frozenset("13579bdf")
_MS_NS: Final = 1_000_000


class TracedAttempt(Protocol):
    """What a span tells of an attempt: `providers.port.Result`. Times are milliseconds since the epoch, 0 for none."""

    @property
    def target(self) -> int: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def sent_at(self) -> int: ...
    @property
    def answered_at(self) -> int: ...


Sampled = tuple[int, int]  # trace id, span id


def sampled(traceparent: str) -> Sampled | None:
    """The parent that a W3C traceparent names; None: it is not sampled, or none of version 00."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or not int(found[3], 16) & 1:
        return None
    trace, span = int(found[1], 16), int(found[2], 16)
    return (trace, span) if trace and span else None


@cache
def tracer() -> Tracer:
    """A tracer that exports by OTLP, as the variables OTEL_EXPORTER_OTLP_… say; one for the process.

    Raises ConfigurationError where the extra is not installed.
    """
    from opentelemetry import trace

    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(f"observe.tracing: install pushcast[otel] ({error.name} is missing)") from None
    provider = TracerProvider(resource=Resource.create({"service.name": "pushcast", "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return trace.get_tracer("pushcast", __version__)


#: Of one span: what the SDK keeps.
MAX_LINKS: Final = 128


class PlannedBatch(NamedTuple):
    """A batch that PLAN wrote. `began_at`, `ended_at`: when its window closed and when Kafka had it, in milliseconds
    since the epoch."""

    topic: str  # of the events
    platform: str
    targets: int
    began_at: int
    ended_at: int


#: Told (a batch, traceparents of the events in it).
BatchSpans = Callable[[PlannedBatch, Iterable[str]], None]


def batch_spans_of(tracer: Tracer) -> BatchSpans:
    """Writes the span of a batch in which an event is sampled."""
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def write(batch: PlannedBatch, traces: Iterable[str]) -> None:
        found = (sampled(text) for text in traces if text and text[-1] in _SAMPLED_ENDS)
        parents = dict.fromkeys(parent for parent in found if parent is not None)
        if not parents:
            return
        span = tracer.start_span(
            f"process {batch.topic}",
            kind=trace.SpanKind.CONSUMER,
            start_time=batch.began_at * _MS_NS,
            links=[
                trace.Link(trace.SpanContext(*parent, is_remote=True, trace_flags=flags))
                for parent in islice(parents, MAX_LINKS)
            ],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": batch.topic,
                "pushcast.platform": batch.platform,
                "pushcast.targets": batch.targets,
            },
        )
        span.end(max(batch.ended_at, batch.began_at) * _MS_NS)

    return write


#: Told (app, platform, traceparents of the notifications, notification of each target, answers).
Spans = Callable[[str, str, Sequence[str], Sequence[int], Sequence[Any]], None]


def spans_of(tracer: Tracer) -> Spans:
    """Writes the spans of one message's answers."""
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def write(
        app: str, platform: str, traces: Sequence[str], notification: Sequence[int], answers: Sequence[TracedAttempt]
    ) -> None:
        parents = {
            number: parent
            for number, text in enumerate(traces)
            if text and text[-1] in _SAMPLED_ENDS and (parent := sampled(text))
        }
        if not parents:
            return
        for answer in answers:
            parent = parents.get(notification[answer.target])
            if parent is None or not answer.sent_at:
                continue
            context = trace.SpanContext(*parent, is_remote=True, trace_flags=flags)
            span = tracer.start_span(
                f"push {platform}",
                context=trace.set_span_in_context(trace.NonRecordingSpan(context)),
                kind=trace.SpanKind.CLIENT,
                start_time=answer.sent_at * _MS_NS,
                attributes={"pushcast.app": app, "pushcast.platform": platform},
            )
            if answer.status is not None:
                span.set_attribute("http.response.status_code", answer.status)
            if answer.reason is not None:
                span.set_attribute("error.type", answer.reason)
                span.set_status(trace.StatusCode.ERROR)
            span.end(max(answer.answered_at, answer.sent_at) * _MS_NS)

    return write
