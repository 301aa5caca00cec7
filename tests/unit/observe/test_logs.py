from __future__ import annotations

import io
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pushcast.observe.logs import configure_logging

TOKEN = "ab12" * 16


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    yield io.StringIO()
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.captureWarnings(False)
    structlog.reset_defaults()


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_events_are_json_with_role_and_fields(stream: io.StringIO) -> None:
    configure_logging("planner", stream=stream)
    structlog.get_logger("pushcast.plan").info("partition_assigned", partition=3)
    (line,) = _lines(stream)
    assert line["event"] == "partition_assigned"
    assert (line["partition"], line["role"], line["level"], line["logger"]) == (3, "planner", "info", "pushcast.plan")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_form(stream: io.StringIO) -> None:
    configure_logging("planner", stream=stream)
    logging.getLogger("aiokafka.conn").warning("Broker %s away", "b-1")
    (line,) = _lines(stream)
    assert (line["event"], line["logger"], line["level"]) == ("Broker b-1 away", "aiokafka.conn", "warning")


def test_the_level_holds_for_all_and_libraries_do_not_chat(stream: io.StringIO) -> None:
    configure_logging("planner", "info", stream=stream)
    structlog.get_logger("pushcast").debug("hidden")
    logging.getLogger("aiokafka").info("hidden too")
    assert _lines(stream) == []


def test_a_second_call_replaces_the_first(stream: io.StringIO) -> None:
    configure_logging("planner", stream=stream)
    configure_logging("sender", stream=stream)
    logging.getLogger("x").warning("once")
    (line,) = _lines(stream)
    assert line["role"] == "sender"


@pytest.mark.parametrize("json_lines", [True, False])
def test_a_token_in_an_exception_is_redacted_and_no_local_variable_is_shown(
    stream: io.StringIO, json_lines: bool
) -> None:
    configure_logging("sender", json=json_lines, stream=stream)
    secret_local = "only-in-a-frame"
    try:
        raise ValueError(f"refused {TOKEN} {len(secret_local)}")
    except ValueError:
        logging.getLogger("pushcast.send").exception("failed")
        structlog.get_logger("pushcast.send").exception("failed")
    text = stream.getvalue()
    assert text.count("ValueError: refused [redacted]") == 2
    assert TOKEN not in text
    assert "only-in-a-frame" not in text.replace('secret_local = "only-in-a-frame"', "")


def test_a_token_among_arguments_and_fields_is_redacted(stream: io.StringIO) -> None:
    configure_logging("sender", stream=stream)
    logging.getLogger("aioapns").warning("status for %s: %s", TOKEN, {"token": "short"})
    structlog.get_logger().warning("sent", address="short", nested={"p256dh": "short", "app": "news"})
    text = stream.getvalue()
    assert TOKEN not in text
    assert "short" not in text
    assert "news" in text


def test_a_value_that_is_no_json_is_shown_as_text(stream: io.StringIO) -> None:
    configure_logging("sender", stream=stream)
    structlog.get_logger().warning("odd", error=RuntimeError("why"), number=2**70, raw=b"secret bytes", text="\ud800")
    (line,) = _lines(stream)
    assert line["error"] == "why"
    assert line["raw"] == "[12 bytes]"


def test_outage_chatter_is_cut_short(stream: io.StringIO) -> None:
    limit = configure_logging("sender", stream=stream)
    for attempt in range(100):
        logging.getLogger("aiokafka.conn").error("Unable to connect, attempt %d", attempt)
        logging.getLogger("pushcast.send").error("ours %d", attempt)
    lines = _lines(stream)
    assert len([line for line in lines if line["logger"] == "aiokafka.conn"]) == 5
    assert len([line for line in lines if line["logger"] == "pushcast.send"]) == 100
    assert limit.total == 95


def test_an_uncaught_exception_is_a_redacted_line(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    configure_logging("sender", stream=stream)
    error = RuntimeError(f"token={TOKEN}")
    sys.excepthook(RuntimeError, error, None)
    (line,) = _lines(stream)
    assert (line["level"], line["event"]) == ("critical", "uncaught exception")
    assert TOKEN not in stream.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_at_a_terminal_reads_text_unless_json_is_asked_for(stream: io.StringIO) -> None:
    for json_, is_json in ((None, False), (True, True)):
        terminal = _Terminal()
        configure_logging("planner", json=json_, stream=terminal)
        logging.getLogger("pushcast").warning("hello")
        shown = terminal.getvalue()
        assert "hello" in shown
        assert shown.startswith("{") is is_json


def test_on_a_terminal_the_process_stands_before_what_it_says_and_details_stay_out(stream: io.StringIO) -> None:
    """faults.md P3-22."""
    configure_logging("planner-urgent", json=False, stream=stream)
    structlog.get_logger("pushcast.runtime.process").info("ready", after_seconds=2.1)
    logging.getLogger("pushcast.handover.runner").info("took 8 partitions over")
    logging.getLogger("pushcast.handover.runner").warning("a tail is not readable")
    ready, tail = stream.getvalue().splitlines()
    assert "planner-urgent: ready" in ready
    assert "after_seconds=2.1" in ready
    assert "logger" not in ready
    assert "pid" not in ready
    assert "a tail is not readable" in tail


def test_a_fork_that_logs_as_its_parent_did_says_its_own_role_and_has_a_filter_of_its_own(stream: io.StringIO) -> None:
    first = configure_logging("supervisor", "info", stream=stream)
    second = configure_logging("sender", "info", stream=stream)
    logging.getLogger("pushcast.x").info("once")
    assert [json.loads(line)["role"] for line in stream.getvalue().splitlines()] == ["sender"]
    assert second is not first
    [handler] = [each for each in logging.getLogger().handlers if second in each.filters]
    assert first not in handler.filters
    configure_logging("sender", "error", stream=stream)
    logging.getLogger("pushcast.x").info("another level is set up anew")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_process_that_a_library_aborts_says_in_which_call() -> None:
    code = "import ctypes; from pushcast.observe.logs import *; configure_logging('planner'); ctypes.CDLL(None).abort()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in ended.stderr
    assert 'File "<string>", line 1' in ended.stderr
