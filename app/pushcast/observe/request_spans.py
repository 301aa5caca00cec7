"""Spans of requests with a sampled `traceparent`, and the trace that their records carry on.

With `observe.tracing` a request has a SERVER span, a child of the client's own, and a PRODUCER span for each topic that
it writes to. What PLAN and SEND trace then hangs below those. Without it the record carries the client's own trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from pushcast.observe.tracing import sampled

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_FIRST_ERROR: Final = 500


class RequestSpan(Protocol):
    """Of one request."""

    def sends(self, topic: str, records: int = 1) -> bytes:
        """The traceparent of records that go to this topic."""
        ...

    def ends(self, status: int) -> None:
        """The request is answered."""
        ...


#: Told (method, path with its placeholders, the client's traceparent). None: it is not sampled.
BeginSpan = Callable[[str, str, str | None], RequestSpan | None]


class _PassedOn:
    """The client's trace, without a span of ours."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent.encode()

    def sends(self, topic: str, records: int = 1) -> bytes:
        return self._traceparent

    def ends(self, status: int) -> None:
        """Nothing was begun."""


def passed_on(method: str, path: str, traceparent: str | None) -> RequestSpan | None:
    """As `BeginSpan`, where nobody traces."""
    if traceparent is None or sampled(traceparent) is None:
        return None
    return _PassedOn(traceparent)


class _Traced:
    """A SERVER span and its PRODUCER spans."""

    def __init__(self, tracer: Tracer, server: Span) -> None:
        self._tracer = tracer
        self._server = server
        self._producers: list[Span] = []

    def sends(self, topic: str, records: int = 1) -> bytes:
        from opentelemetry import trace

        span = self._tracer.start_span(
            f"send {topic}",
            context=trace.set_span_in_context(self._server),
            kind=trace.SpanKind.PRODUCER,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "send",
                "messaging.destination.name": topic,
                **({} if records == 1 else {"messaging.batch.message_count": records}),
            },
        )
        self._producers.append(span)
        found = span.get_span_context()
        return b"00-%032x-%016x-01" % (found.trace_id, found.span_id)

    def ends(self, status: int) -> None:
        from opentelemetry import trace

        self._server.set_attribute("http.response.status_code", status)
        if status >= _FIRST_ERROR:
            for span in (*self._producers, self._server):
                span.set_attribute("error.type", str(status))
                span.set_status(trace.StatusCode.ERROR)
        for span in self._producers:
            span.end()
        self._server.end()


def request_spans_of(tracer: Tracer) -> BeginSpan:
    """Begins spans of sampled requests."""
    from opentelemetry import trace

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)

    def begin(method: str, path: str, traceparent: str | None) -> RequestSpan | None:
        parent = None if traceparent is None else sampled(traceparent)
        if parent is None:
            return None
        context = trace.SpanContext(*parent, is_remote=True, trace_flags=flags)
        span = tracer.start_span(
            f"{method} {path}",
            context=trace.set_span_in_context(trace.NonRecordingSpan(context)),
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": path},
        )
        return _Traced(tracer, span)

    return begin
