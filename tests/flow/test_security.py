"""A Kafka that asks for TLS and a password, and one that asks for a client certificate: all our clients get in."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from flow.kafka_tools import DEADLINE_SECONDS
from pushcast.kafka import embedded
from pushcast.kafka.embedded import ports
from pushcast.runtime.child import child_command
from pushcast.wire import topics

HOST = "127.0.0.1"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """`kafka` sections of two ways in: by password over TLS, and by client certificate."""
    folder = tmp_path_factory.mktemp("secured")
    ca = trustme.CA()
    broker, client = ca.issue_cert(HOST), ca.issue_cert("pushcast.example")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    key = serialization.load_pem_private_key(broker.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the one form that Kafka reads
    (folder / "broker.pem").write_bytes(pkcs8 + broker.cert_chain_pems[0].bytes())
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")
    (folder / "password").write_text(PASSWORD + "\n")
    plain, controller, by_password, by_certificate = ports.choose(4, random.SystemRandom())
    data = folder / "kafka"
    data.mkdir()
    (data / "extra.properties").write_text(
        f"listeners=PLAINTEXT://{HOST}:{plain},CONTROLLER://{HOST}:{controller},"
        f"PASSWORD://{HOST}:{by_password},CERTIFICATE://{HOST}:{by_certificate}\n"
        f"advertised.listeners=PLAINTEXT://{HOST}:{plain},"
        f"PASSWORD://{HOST}:{by_password},CERTIFICATE://{HOST}:{by_certificate}\n"
        f"controller.quorum.voters=1@{HOST}:{controller}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PASSWORD:SASL_SSL,CERTIFICATE:SSL\n"
        "sasl.enabled.mechanisms=SCRAM-SHA-512\n"
        "listener.name.password.scram-sha-512.sasl.jaas.config="
        "org.apache.kafka.common.security.scram.ScramLoginModule required;\n"
        "listener.name.certificate.ssl.client.auth=required\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={folder / 'broker.pem'}\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={folder / 'ca.pem'}\n"
    )
    embedded.start(data_dir=data, port=plain)
    try:
        admin = AdminClient({"bootstrap.servers": f"{HOST}:{plain}"})
        user = UserScramCredentialUpsertion(
            "pushcast", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
        )
        for future in admin.alter_user_scram_credentials([user]).values():
            future.result(DEADLINE_SECONDS)
        common = {"partitions": 2, "replication_factor": 1}
        files = {"ca_file": str(folder / "ca.pem")}
        password = {
            "protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": "pushcast",
            "password_file": str(folder / "password"),
            **files,
        }
        certificate = {
            "protocol": "SSL",
            "certificate_file": str(folder / "client.pem"),
            "key_file": str(folder / "client.key"),
            **files,
        }
        yield {
            "password": {**common, "bootstrap_servers": f"{HOST}:{by_password}", "security": password},
            "certificate": {**common, "bootstrap_servers": f"{HOST}:{by_certificate}", "security": certificate},
            "plain": {"bootstrap_servers": f"{HOST}:{plain}"},
        }
    finally:
        embedded.stop(data)


@pytest.mark.parametrize("way", ["password", "certificate"])
async def test_a_device_is_registered_through_a_kafka_that_asks_who_is_there(
    way: str, secured: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    environment, log = _environment(tmp_path, secured[way]), tmp_path / "log"
    await _pushcast(environment, "topology", "apply")
    with log.open("wb") as file:
        registrar = subprocess.Popen(child_command("run", "registrar"), env=environment, stderr=file)
    try:
        line = {"op": "register", "user": way, "app": "news", "device": "d", "platform": "apns", "token": "ab" * 32}
        await _pushcast(environment, "device", "import", "-", given=json.dumps(line))
        rows = await asyncio.to_thread(_rows, secured["plain"]["bootstrap_servers"], f"{way}\0news\0d".encode())
        assert rows, log.read_text()[-3000:]
        assert registrar.poll() is None
    finally:
        registrar.terminate()
        registrar.wait(DEADLINE_SECONDS)
    assert registrar.returncode == 0, log.read_text()[-3000:]
    assert PASSWORD not in log.read_text()


async def test_a_wrong_password_ends_with_a_clear_error_and_does_not_hang(
    secured: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (wrong := tmp_path / "wrong").write_text("wrong")
    kafka = {**secured["password"], "security": {**secured["password"]["security"], "password_file": str(wrong)}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pushcast",
        "topology",
        "plan",
        env=_environment(tmp_path, kafka),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 2 * DEADLINE_SECONDS)
    assert process.returncode == 1
    assert b"authentication" in said.lower()
    assert b"Traceback" not in said


def _environment(folder: Path, kafka: dict[str, Any]) -> dict[str, str]:
    file = folder / "pushcast.yaml"
    file.write_text(yaml.safe_dump({"kafka": kafka, "apps": {"news": {}}, "data_dir": str(folder / "data")}))
    return {**os.environ, "PUSHCAST_CONFIG": str(file)}


async def _pushcast(environment: dict[str, str], *arguments: str, given: str | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pushcast",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate((given or "").encode()), 2 * DEADLINE_SECONDS)
    assert process.returncode == 0, said.decode()


def _rows(bootstrap_servers: str, key: bytes) -> list[bytes]:
    """Values of the rows of a key, once there is one."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "looks", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topics.DEVICE, number, 0) for number in range(2)])
    deadline = time.monotonic() + 2 * DEADLINE_SECONDS
    try:
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None and message.key() == key and message.value():
                return [message.value() or b""]
        return []
    finally:
        consumer.close()
