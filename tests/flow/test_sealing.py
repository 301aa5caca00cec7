"""Sealing through a whole Pushcast: known tokens are nowhere but at the providers."""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import orjson
import pytest
from confluent_kafka import TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typer.testing import CliRunner

from flow.broadcast_tools import accepted_at_providers, balanced, followed, send
from pushcast.audit.reader import Books
from pushcast.cli import build
from pushcast.demo.load import DeviceOf, make_devices
from pushcast.demo.produce import register
from pushcast.demo.world import Options, World, data_folder
from pushcast.kafka.clients import client_config, open_admin, open_consumer
from pushcast.kafka.headers import headers_of
from pushcast.kafka.intake import put_one
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.devices.addresses import Given
from pushcast.wire.devices.content_keys import RawContentKey
from pushcast.wire.sealing.sealed_intake import intake_place, seal_for_intake

DEVICES = 1_000
INTAKE = "i1"
#: Characters of tokens in a row: looking for each of a thousand tokens takes too long.
TOKEN_LIKE = re.compile(rb"[0-9A-Za-z:_-]{40,}")

pytestmark = pytest.mark.timeout(300)


def keys(*arguments: str) -> str:
    result = CliRunner().invoke(build(("seal",)), ["seal", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


@pytest.fixture(scope="module")
def public_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The keyring, and the key that producers seal for."""
    file = tmp_path_factory.mktemp("keys") / "keyring.json"
    keys("add", "t1", "--keyring", str(file), "--outer", str(file.parent / "outer"))
    return file, b64decode(keys("intake", INTAKE, "--keyring", str(file)).splitlines()[0])


@pytest.fixture(scope="module")
def world(public_key: tuple[Path, bytes]) -> Iterator[World]:
    letters = {"privacy": "sealed", "generic_title": "New letter", "privacy_fallback": "skip"}
    overrides: dict[str, Any] = {"sealing": {"keyring_file": str(public_key[0]), "require": True}}
    options = Options(
        platforms=("apns", "fcm"), transient_errors=0.0, overrides=overrides | {"classes": {"letters": letters}}
    )
    with World(lambda text: None, options) as made:
        yield made


def sealed(device: DeviceOf, public: bytes, content_key: RawContentKey) -> DeviceOf:
    """The registration as a producer writes it that seals before Kafka."""
    event = device.event
    place = intake_place(event["app"], event["platform"], device.user, event["device"])
    box = seal_for_intake(Given(token=event["token"], content_key=content_key), place, INTAKE, public)
    rest = {name: value for name, value in event.items() if name != "token"}
    return DeviceOf(device.user, {**rest, "sealed": msgspec.structs.asdict(box)}, device.dead)


CONTENT_KEY = secrets.token_bytes(32)


def read_by_an_app(world: World, text: str) -> list[dict[str, Any]]:
    """What apps make of the sealed contents that reached them; the text itself is in no push."""
    found = []
    for simulated in world.simulators.values():
        for delivery in simulated.control("/deliveries?since=0&limit=10000")["deliveries"]:
            assert text not in delivery["body"]
            payload = orjson.loads(delivery["body"])
            data = payload.get("message", {}).get("data") or payload
            if "c" in data:
                box = b64decode(data["c"])
                assert int(data["k"]) == 7
                found.append(orjson.loads(AESGCM(CONTENT_KEY).decrypt(box[:12], box[12:], None)))
    return found


def test_facts_43_and_48_known_tokens_and_content_keys_are_in_no_file_no_topic_and_no_log(
    world: World, public_key: tuple[Path, bytes], unique: Any
) -> None:
    plain = [
        each for each in make_devices(DEVICES * 2, 1) if each.event["platform"] in ("apns", "fcm") and not each.dead
    ]
    with Books(world.settings) as books:
        content_key = RawContentKey(7, "a256gcm", b64encode(CONTENT_KEY).decode())
        made = [sealed(each, public_key[1], content_key) for each in plain]
        register(world, books, made, lambda step, done, of: None, planners=len(Lane))
    # One in clear is refused, and its dead letter holds no token; so is one that is sealed for another device.
    clear = {**plain[0].event, "device": "in-clear"}
    for event in (clear, {**made[0].event, "device": "another"}):
        put_one(world.settings, topics.DEVICE_CHANGED, plain[0].user.encode(), orjson.dumps(event))
    name = unique("b")
    found = followed(world, name, send(world, name)).to_dict()
    mine = [each for each in plain if each.event["app"] == "news"]
    assert (found["planned"], found["receipts"]) == (len(mine), {"accepted": len(mine)})
    assert accepted_at_providers(world) == (len(mine), 0)
    private = unique("p")
    audience = {"where": {"user": [each.user for each in mine[:20]]}}
    letter = {"class": "letters", "body": "Dinner at eight?", "audience": audience}
    reached = followed(world, private, send(world, private, **letter)).to_dict()
    read = read_by_an_app(world, "Dinner at eight?")
    assert (len(read), reached["receipts"]) == (reached["planned"], {"accepted": reached["planned"]})
    assert {(each["body"], each["id"], each["class"]) for each in read} == {("Dinner at eight?", private, "letters")}
    balanced(world)
    tokens = {each.event["token"].encode() for each in plain} - {plain[0].event["token"].encode()}
    assert len(tokens) >= DEVICES
    written = records(world)
    assert hits(tokens, written.items()) == []
    assert hits(tokens, files(data_folder(world.folder))) == []
    for name, text in [*written.items(), *files(data_folder(world.folder))]:
        assert CONTENT_KEY not in text, name
        assert b64encode(CONTENT_KEY) not in text, name
    assert hits(tokens, [(world.log_file.name, Path(world.log_file.name).read_bytes())]) == []
    assert clear["token"].encode() not in written[f"{topics.DEVICE_CHANGED}.dlq"]


def hits(tokens: set[bytes], texts: Any) -> list[str]:
    """Where a token stands."""
    lengths = {len(token) for token in tokens}
    found = []
    for name, text in texts:
        runs = (run.group() for run in TOKEN_LIKE.finditer(text))
        if any(run[at : at + n] in tokens for run in runs for n in lengths for at in range(len(run) - n + 1)):
            found.append(name)
    return found


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def records(world: World) -> dict[str, bytes]:
    """By topic, key, value and headers of all its records in one text: segments may be compressed."""
    client = client_config(world.settings.kafka.bootstrap_servers, world.settings.kafka.security, tool=True)
    topics_there = open_admin(client).list_topics(timeout=15).topics
    left = {(topic, partition) for topic, about in topics_there.items() for partition in about.partitions}
    consumer = open_consumer({**client, "enable.partition.eof": True}, "test-sealing")
    found: dict[str, bytearray] = {topic: bytearray() for topic in topics_there}
    try:
        consumer.assign([TopicPartition(*spot, 0) for spot in left])
        while left:
            for message in consumer.consume(10_000, 1.0):
                topic = str(message.topic())
                if message.error() is not None:
                    left.discard((topic, cast(int, message.partition())))
                    continue
                headers = [value or b"" for _, value in headers_of(message)]
                found[topic] += b"|".join((message.key() or b"", message.value() or b"", *headers, b""))
    finally:
        consumer.close()
    return {topic: bytes(text) for topic, text in found.items()}
