"""One log for everything in the process, ours and the libraries': JSON lines on stderr, or text for people."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, TextIO

import orjson
import structlog

from pushcast.observe.rate_limit import RateLimitFilter
from pushcast.observe.redaction import redact_event

#: Their information is of use to their authors only.
QUIET: Final = ("aiokafka", "asyncio", "hpack", "httpcore", "httpx", "faust", "mode", "urllib3")

#: A line for each group at each rebalance: on a terminal they bury the one that says that all is ready.
DETAILS: Final = ("pushcast.handover", "pushcast.spread", "pushcast.transport.consumer")

_handler: logging.StreamHandler[TextIO] | None = None
_role = ""
_json: bool | None = None
_details = True


def _tell_fatal_signals() -> None:
    """A process that a library in C aborts leaves the call of ours that was under way: raw lines on stderr."""
    if not faulthandler.is_enabled():
        with suppress(RuntimeError, OSError, ValueError):  # without a stderr there is nowhere to say it
            faulthandler.enable()


def configure_logging(
    role: str, level: str = "info", json: bool | None = None, stream: TextIO | None = None
) -> RateLimitFilter:
    """Sets up the process's logging; calling it again replaces what it did before. Returns the outage filter.

    Every line has `timestamp` (UTC), `level`, `logger`, `event`, `role` and `pid`; secrets are redacted, exceptions
    included, and Kafka clients' outage lines are limited. Writing blocks while `stream` (stderr) does. `json`: None
    for text on a terminal and JSON lines elsewhere. Text has local time, and at level info no details of take-overs.
    """
    global _handler, _role, _json
    stream = stream or sys.stderr
    if json is None:
        json = not stream.isatty()
    _role = role
    _tell_fatal_signals()
    if _is_set_up(level, json, stream):
        return _limited()
    _json = json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper("iso" if json else "%H:%M:%S", utc=json),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]

    def add_process(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {**event, "role": _role, "pid": os.getpid()}

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=["suppressed"])],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            add_process,
            redact_event,
            *([_json_renderer()] if json else [_for_people, _text_renderer(stream)]),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    if _handler is not None:
        root.removeHandler(_handler)
    root.addHandler(handler)
    _handler = handler
    set_level(level, details=json)
    # A commit that takes longer than its interval is nothing to act on: the lag shows whether it matters.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return _limited()


def _is_set_up(level: str, json: bool, stream: TextIO) -> bool:
    """In a fork whose parent had the same: to set it up again writes to every logger that there is, and copies the
    pages of all of them."""
    root = logging.getLogger()
    if _handler is None or _handler not in root.handlers or _handler.stream is not stream:
        return False
    return (_json, root.level) == (json, logging.getLevelNamesMapping()[level.upper()])


def _limited() -> RateLimitFilter:
    """Gives the handler a filter of its own for this process and role, and returns it."""
    assert _handler is not None
    for each in list(_handler.filters):
        _handler.removeFilter(each)
    limit = RateLimitFilter()
    _handler.addFilter(limit)
    return limit


def set_level(level: str, *, details: bool | None = None) -> None:
    """From now on. `details`: of take-overs at level info; None: as it was."""
    global _details
    _details = _details if details is None else details
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(number if number <= logging.DEBUG else max(number, logging.WARNING))
    hidden = not _details and number == logging.INFO
    for name in DETAILS:
        logging.getLogger(name).setLevel(logging.WARNING if hidden else logging.NOTSET)


def _for_people(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The process in front of what it says, and nothing that only programs read."""
    kept = {name: value for name, value in event.items() if name not in {"logger", "pid", "role"}}
    return {**kept, "event": f"{event['role']}: {event['event']}"}


def _json_renderer() -> structlog.typing.Processor:
    return structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str).decode())


def _text_renderer(stream: TextIO) -> structlog.typing.Processor:
    # structlog's own default would print the local variables of each frame, and with them what is secret.
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty() and "NO_COLOR" not in os.environ,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("pushcast").critical("uncaught exception", exc_info=(kind, error, trace))
