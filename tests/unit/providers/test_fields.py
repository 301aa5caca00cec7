"""What each field of a notification becomes on each platform: golden files, each of which the simulator takes
(and decrypts, for Web Push).

After a wanted change: `python -m unit.providers.test_fields` in tests/, and read the difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushcast.model.batch import Message
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import Recipient, request_body
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.identity import filled
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import encrypt
from pushcast.providers.webpush.message import render as render_webpush
from pushcast.simulators.apns.validation import refuse_payload
from pushcast.simulators.expo.messages import parse as parse_expo
from pushcast.simulators.fcm.messages import parse as parse_fcm
from pushcast.simulators.webpush.subscriptions import BrowserKeys
from unit.providers.fields import CASES, message_of
from unit.providers.messages import fcm_bodies

GOLDEN = Path(__file__).parent / "golden"


def apns(message: Message) -> Any:
    rendered = render_apns(message, "com.example.news")
    assert refuse_payload(rendered.body, 4096) is None
    headers = {name.decode(): value.decode() for name, value in rendered.headers}
    return {"headers": headers, "payload": json.loads(rendered.body), "collapses": rendered.collapses}


def fcm(message: Message) -> Any:
    message.targets.address = [b"token-of-sixteen:APA91b"]
    [body] = fcm_bodies(message)
    assert parse_fcm(body).fault is None
    return json.loads(body)


def expo(message: Message) -> Any:
    [content] = filled(render_expo(message), message, [0], "notification")
    body = request_body([Recipient(b"ExponentPushToken[a]", content, 1_800_003_600)])
    assert len(parse_expo(body, checks=True)) == 1
    return json.loads(body)


def webpush(message: Message) -> Any:
    """As the browser decrypts it, with the keys of the simulator's."""
    rendered, browser = render_webpush(message), BrowserKeys(seed=1)
    [plaintext] = filled(rendered.plaintext, message, [0], "notification")
    _, public_key, secret = browser.of(b"phone")
    payload = browser.decrypt(b"phone", encrypt(plaintext, public_key, secret))
    return {"payload": json.loads(payload), "urgency": rendered.urgency.decode()}


RENDERERS: dict[str, Callable[[Message], Any]] = {"apns": apns, "fcm": fcm, "expo": expo, "webpush": webpush}


def rendered(platform: str, event: dict[str, Any]) -> Any:
    try:
        return RENDERERS[platform](message_of(event))
    except Unsendable as refusal:
        return {"refused": refusal.reason, "field": refusal.field}


@pytest.mark.parametrize("platform", RENDERERS)
def test_every_field_alone_and_all_together_are_rendered_as_the_golden_file_says(platform: str) -> None:
    """Reproductions 5.12 to 5.16: rich pushes, channels, parts for a platform, nested data, badge or sound alone."""
    file = GOLDEN / f"{platform}.json"
    made = {name: rendered(platform, event) for name, event in CASES.items()}
    assert made == json.loads(file.read_text())


#: Headers that a service reads; a misspelt one is passed over in silence. Apple, "Sending notification requests to
#: APNs"; RFC 8030, section 5.
APNS_HEADERS = {"apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"}
WEBPUSH_HEADERS = {"TTL", "Urgency", "Topic"}


def test_every_header_that_is_sent_is_one_that_the_service_reads() -> None:
    for case in json.loads((GOLDEN / "apns.json").read_text()).values():
        assert case["headers"].keys() <= APNS_HEADERS
    for case in json.loads((GOLDEN / "fcm.json").read_text()).values():
        message = case["message"]
        assert message["apns"]["headers"].keys() <= APNS_HEADERS
        assert message["webpush"]["headers"].keys() == WEBPUSH_HEADERS - {"Topic"}


def write() -> None:
    """Makes the golden files anew."""
    for platform in RENDERERS:
        made = {name: rendered(platform, event) for name, event in CASES.items()}
        (GOLDEN / f"{platform}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
