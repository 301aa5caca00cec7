"""Pushcast from Python: produce to Kafka, call the gateway, verify a webhook. See ../README.md."""

import base64
import hashlib
import hmac
import json
import sys
import time

import httpx
from confluent_kafka import Producer


def produce(bootstrap: str, topic: str) -> None:
    # librdkafka's own default partitioner is another one.
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "acks": "all"})
    failed = []
    for line in sys.stdin:
        event = json.loads(line)
        producer.produce(
            topic, key=event["user"], value=line.strip(), on_delivery=lambda error, _: error and failed.append(error)
        )
        producer.poll(0)
    if producer.flush(30) or failed:
        raise SystemExit(f"not written: {failed or 'no answer from Kafka'}")


def call(url: str, key: str) -> None:
    event = sys.stdin.read()
    for _ in range(5):
        answer = httpx.post(
            f"{url}/v1/notifications",
            content=event,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=15,
        )
        if answer.status_code not in (429, 503):
            break
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    print(answer.status_code, answer.text)
    if answer.status_code != 202:
        raise SystemExit(1)


def verify(secret: str, message_id: str, timestamp: str, signatures: str) -> None:
    body = sys.stdin.buffer.read()
    signed = f"{message_id}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    recent = abs(time.time() - int(timestamp)) <= 300
    if not recent or not any(hmac.compare_digest(made, each) for each in signatures.split()):
        raise SystemExit("the signature does not fit")


if __name__ == "__main__":
    {"produce": produce, "call": call, "verify": verify}[sys.argv[1]](*sys.argv[2:])
