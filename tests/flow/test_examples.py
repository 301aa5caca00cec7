"""examples/ on a real Kafka (doors.md O7): Java's partitions, and webhooks told true from false."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from flow.examples import COMMANDS, EXAMPLES, run
from flow.kafka_tools import create_topic, read_all
from pushcast.model.ids import partition_of

#: A first run builds the Go program.
pytestmark = pytest.mark.timeout(300)
KEYS: list[dict[str, Any]] = json.loads((EXAMPLES / "partitions.json").read_text(encoding="utf-8"))
SECRET = "whsec_" + base64.b64encode(b"a secret of at least 24 bytes").decode()


def test_o7_the_file_has_the_partitions_that_pushcast_computes() -> None:
    assert len({each["key"] for each in KEYS}) == 200
    for each in KEYS:
        key = each["key"].encode()
        assert (each["of_8"], each["of_64"]) == (partition_of(key, 8), partition_of(key, 64)), each["key"]


@pytest.mark.parametrize("language", COMMANDS)
def test_o7_a_producer_puts_every_key_where_java_puts_it(
    language: str, kafka: str, unique: Callable[[str], str]
) -> None:
    events = "".join(
        json.dumps({"user": each["key"], "id": "n", "title": "t"}, ensure_ascii=False) + "\n" for each in KEYS
    )
    for partitions in (8, 64):
        topic = create_topic(kafka, unique(f"example-{language}-{partitions}"), partitions)
        ran = run(language, "produce", kafka, topic, stdin=events)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found = {(message.key() or b"").decode(): message.partition() for message in read_all(kafka, topic, partitions)}
        assert found == {each["key"]: each[f"of_{partitions}"] for each in KEYS}


def signature(body: str, message_id: str, timestamp: int, secret: str = SECRET) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{message_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


@pytest.mark.parametrize("language", COMMANDS)
def test_o7_a_reader_of_webhooks_takes_true_ones_alone(language: str) -> None:
    now, body = int(time.time()), '{"type":"report.settled","data":{"id":"é"}}'
    true = signature(body, "crm_3_1_2", now)
    other = signature(body, "crm_3_1_2", now, "whsec_" + base64.b64encode(b"another secret of 24 bytes!").decode())

    def takes(sent: str, timestamp: int, signatures: str) -> bool:
        ran = run(language, "verify", SECRET, "crm_3_1_2", str(timestamp), signatures, stdin=sent)
        return ran.returncode == 0

    assert takes(body, now, true)
    assert takes(body, now, f"{other} {true}"), "two signatures while a secret is rotated"
    assert not takes(body, now, other)
    assert not takes(body + " ", now, true)
    old = now - 600
    assert not takes(body, old, signature(body, "crm_3_1_2", old)), "an old one is played again"
