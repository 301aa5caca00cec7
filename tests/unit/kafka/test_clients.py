from __future__ import annotations

import ast
import logging
from pathlib import Path

import pytest

import pushcast
from pushcast.kafka import clients
from pushcast.kafka.clients import ClientLog, client_config, member_config, open_consumer

MADE = {"Consumer", "Producer", "AdminClient"}
#: The bench measures against clients of its own, and the embedded broker is asked before there is a configuration.
ELSEWHERE = ("bench/", "kafka/embedded/", "kafka/clients.py")


def makers() -> list[str]:
    """Modules that make a confluent-kafka client themselves."""
    root, found = Path(pushcast.__file__).parent, []
    for path in sorted(root.rglob("*.py")):
        name = str(path.relative_to(root))
        tree = ast.parse(path.read_text())
        imported = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("confluent_kafka")
            for alias in node.names
        }
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        if imported & called & MADE and not name.startswith(ELSEWHERE):
            found.append(name)
    return found


def test_every_client_of_the_product_is_made_in_one_place() -> None:
    assert makers() == []


def test_a_consumer_reads_what_is_committed_whatever_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, object]] = []
    monkeypatch.setattr(clients, "Consumer", lambda config, logger: made.append(config))
    open_consumer(client_config("127.0.0.1:1", None), "g", isolation_level="read_uncommitted", fetch_wait_max_ms=50)
    assert made[0]["isolation.level"] == "read_committed"
    assert (made[0]["fetch.wait.max.ms"], made[0]["enable.auto.commit"], made[0]["group.id"]) == (50, False, "g")


def test_lines_of_a_client_go_to_our_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    consumer = open_consumer(client_config("127.0.0.1:1", None), "g")
    while not caplog.records:
        consumer.poll(0.1)
    consumer.close()
    assert {record.name for record in caplog.records} == {"pushcast.kafka.clients"}
    assert "Connect to" in caplog.text
    assert capfd.readouterr().err == ""


def test_a_log_that_fails_raises_nothing_into_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("the disk is full")

    handler = Failing()
    clients.logger.addHandler(handler)
    try:
        ClientLog().log(logging.ERROR, "%s is away", "a broker")
    finally:
        clients.logger.removeHandler(handler)


def test_a_member_of_a_group_is_missed_after_the_time_of_the_configuration() -> None:
    assert member_config(10.0) == {"session.timeout.ms": 10_000}
    assert member_config(6.5, "crm-1") == {"session.timeout.ms": 6_500, "group.instance.id": "crm-1"}


def test_whoever_subscribes_says_so() -> None:
    """librdkafka's own session timeout, 45 s, left the partitions of a killed reporter alone for that long."""
    root = Path(pushcast.__file__).parent
    subscribers = {path for path in root.rglob("*.py") if "consumer.subscribe(" in path.read_text()}
    # What teaches Java ends before its broker does.
    assert {path.relative_to(root).as_posix() for path in subscribers} == {
        "kafka/embedded/archive_load.py",
        "report/follow.py",
        "webhook/endpoint.py",
    }
    for made_in in ("runtime/reporter.py", "webhook/endpoint.py"):
        assert "member_config(" in (root / made_in).read_text(), made_in
