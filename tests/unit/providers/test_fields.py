"""What each field of a notification becomes on each platform: golden files, each of which the simulator takes
(and decrypts, for Web Push). `golden/bytes` has the bodies byte by byte, a line for each case.

After a wanted change: `python -m unit.providers.test_fields` in tests/, and read the difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from pushcast.model.batch import Message
from pushcast.model.notification import Content, Options
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expiry import NOW_OR_NEVER, epoch_seconds, expiry_of
from pushcast.providers.expo.message import Recipient, request_body
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.identity import filled
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import encrypt
from pushcast.providers.webpush.message import render as render_webpush
from pushcast.simulators.apns.validation import LIMIT_BYTES, Headers, refuse_headers, refuse_payload
from pushcast.simulators.expo.messages import parse as parse_expo
from pushcast.simulators.fcm.messages import parse as parse_fcm
from pushcast.simulators.webpush.subscriptions import BrowserKeys
from unit.providers.fields import CASES, message_of
from unit.providers.messages import fcm_bodies
from unit.providers.rendering import RENDERERS as BODIES

GOLDEN = Path(__file__).parent / "golden"


def apns(message: Message) -> Any:
    rendered = render_apns(message, "com.example.news")
    headers = dict(rendered.headers)
    assert refuse_headers(Headers.of(list(headers.items()))) is None
    assert refuse_payload(rendered.body, LIMIT_BYTES.get(headers[b"apns-push-type"], 4096)) is None
    told = {name.decode(): value.decode() for name, value in rendered.headers}
    expiry = expiry_of(message, 0) if rendered.stored else NOW_OR_NEVER
    told["apns-expiration"] = str(epoch_seconds(expiry))
    return {"headers": told, "payload": json.loads(rendered.body), "collapses": rendered.collapses}


def fcm(message: Message) -> Any:
    message.targets.address = [b"token-of-sixteen:APA91b"]
    [body] = fcm_bodies(message)
    assert parse_fcm(body).fault is None
    return json.loads(body)


def expo(message: Message) -> Any:
    [content] = filled(render_expo(message), message, [0], "notification")
    body = request_body([Recipient(b"ExponentPushToken[a]", content, epoch_seconds(expiry_of(message, 0)))])
    assert len(parse_expo(body, checks=True)) == 1
    return json.loads(body)


def webpush(message: Message) -> Any:
    """As the browser decrypts it, with the keys of the simulator's."""
    rendered, browser = render_webpush(message), BrowserKeys(seed=1)
    [plaintext] = filled(rendered.plaintext, message, [0], "notification")
    _, public_key, secret = browser.of(b"phone")
    payload = browser.decrypt(b"phone", encrypt(plaintext, public_key, secret))
    topic = None if rendered.topic is None else rendered.topic.decode()
    return {"payload": json.loads(payload), "urgency": rendered.urgency.decode(), "topic": topic}


RENDERERS: dict[str, Callable[[Message], Any]] = {"apns": apns, "fcm": fcm, "expo": expo, "webpush": webpush}


def rendered(platform: str, event: dict[str, Any], form: str = "json") -> Any:
    try:
        return RENDERERS[platform](message_of(event, form=form))
    except Unsendable as refusal:
        return {"refused": refusal.reason, "field": refusal.field}


def bytes_of(platform: str, event: dict[str, Any], form: str = "json") -> bytes:
    """The body as it leaves; of what cannot be sent the reason."""
    try:
        return BODIES[platform](message_of(event, b"token-of-sixteen:APA91b", form=form))
    except Unsendable as refusal:
        return refusal.reason.encode()


def lines_of(platform: str, form: str = "json") -> bytes:
    return b"".join(b"%s\t%s\n" % (name.encode(), bytes_of(platform, event, form)) for name, event in CASES.items())


@pytest.mark.parametrize("form", ["json", "avro"])
@pytest.mark.parametrize("platform", RENDERERS)
def test_every_field_alone_and_all_together_are_rendered_as_the_golden_file_says(platform: str, form: str) -> None:
    """Reproductions 5.12 to 5.16: rich pushes, channels, parts for a platform, nested data, badge or sound alone."""
    file = GOLDEN / f"{platform}.json"
    made = {name: rendered(platform, event, form) for name, event in CASES.items()}
    assert made == json.loads(file.read_text())


@pytest.mark.parametrize("form", ["json", "avro"])
@pytest.mark.parametrize("platform", RENDERERS)
def test_the_bytes_are_those_of_the_golden_file(platform: str, form: str) -> None:
    assert lines_of(platform, form) == (GOLDEN / "bytes" / f"{platform}.txt").read_bytes()


def test_every_option_that_a_producer_may_give_is_among_the_cases() -> None:
    """But for those that change nothing of what a provider gets: who is sent to, and whether."""
    given = {name for event in CASES.values() for name in event.get("options", {})}
    assert {field.name for field in fields(Options)} - given == {"dry_run", "at_most_once", "override"}
    shown = {name for event in CASES.values() for name in event} - {"options"}
    assert {field.name for field in fields(Content)} - shown == {"locales", "tracked"}, "tracked: of the class"


#: Headers that a service reads; a misspelt one is passed over in silence. Apple, "Sending notification requests to
#: APNs"; RFC 8030, section 5.
APNS_HEADERS = {"apns-topic", "apns-push-type", "apns-priority", "apns-expiration", "apns-collapse-id"}
WEBPUSH_HEADERS = {"TTL", "Urgency", "Topic"}


def sent(platform: str) -> list[Any]:
    """What the golden file says of the cases that the platform can be sent."""
    cases = json.loads((GOLDEN / f"{platform}.json").read_text()).values()
    return [case for case in cases if "refused" not in case]


def test_every_header_that_is_sent_is_one_that_the_service_reads() -> None:
    for case in sent("apns"):
        assert case["headers"].keys() <= APNS_HEADERS
    for case in sent("fcm"):
        message = case["message"]
        assert message["apns"]["headers"].keys() <= APNS_HEADERS
        assert message["webpush"]["headers"].keys() == WEBPUSH_HEADERS - {"Topic"}


def write() -> None:
    """Makes the golden files anew."""
    for platform in RENDERERS:
        made = {name: rendered(platform, event) for name, event in CASES.items()}
        (GOLDEN / f"{platform}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        (GOLDEN / "bytes" / f"{platform}.txt").write_bytes(lines_of(platform))


if __name__ == "__main__":
    write()
