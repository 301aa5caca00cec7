"""Independent SDKs find the simulators real: each raises its own proper error for each scripted fault."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import firebase_admin
import pytest
import pywebpush
import requests
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol
from exponent_server_sdk import (
    DeviceNotRegisteredError,
    InvalidCredentialsError,
    MessageRateExceededError,
    MessageTooBigError,
    PushClient,
    PushMessage,
    PushServerError,
    PushTicketError,
)
from firebase_admin import credentials, exceptions, messaging
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account

from pushcast.simulators import Simulator, start

# fid replaces token in FCM since 2026; what is in the field is still the token.
pytestmark = pytest.mark.filterwarnings("ignore:Message.token is deprecated")
#: Its defaults are set where type checkers do not look.
ExpoMessage: Any = PushMessage
DEVICE = "cAbCdEfGhIjKlMnOpQrStU:APA91b" + "z" * 100


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture
async def apns(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("apns", work_dir=work_dir) as simulator:
        yield simulator


@pytest.fixture
async def fcm(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    async with start("fcm", work_dir=work_dir) as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_file))
        monkeypatch.setenv("SSL_CERT_FILE", str(simulator.ca_file))
        # google-auth asks iamcredentials.googleapis.com behind each refresh; a test asks nobody but the simulator.
        name = "_is_regional_access_boundary_lookup_required"
        monkeypatch.setattr(service_account.Credentials, name, lambda _: False)
        yield simulator


def aioapns_client(simulator: Simulator, **changes: Any) -> APNs:
    class Loopback(APNsProductionClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = simulator.port

    known = simulator.credentials
    options = {"key_id": known["key_id"], "team_id": known["team_id"], "topic": known["topic"]} | changes
    client = APNs(
        key=Path(known["key_file"]).read_text(),
        ssl_context=ssl.create_default_context(cafile=str(simulator.ca_file)),
        max_connections=1,
        **options,
    )
    client.pool.protocol_class = Loopback
    return client


def request(token: str, **options: Any) -> NotificationRequest:
    return NotificationRequest(device_token=token.ljust(64, "0"), message={"aps": {"alert": "hello"}}, **options)


async def test_aioapns_delivers(apns: Simulator) -> None:
    client = aioapns_client(apns)
    result = await client.send_notification(request("aa", collapse_key="goal", priority=5, push_type=PushType.ALERT))
    assert result.is_successful
    (delivery,) = apns.deliveries()
    assert delivery["headers"]["apns-collapse-id"] == "goal"
    assert json.loads(delivery["body"]) == {"aps": {"alert": "hello"}}


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        ("dead0410", "410", "Unregistered"),
        ("dead0412", "410", "ExpiredToken"),
        ("bad00400", "400", "BadDeviceToken"),
        ("bad00401", "400", "DeviceTokenNotForTopic"),
        ("e0000429", "429", "TooManyRequests"),
        ("e0000500", "500", "InternalServerError"),
        ("e0000503", "503", "ServiceUnavailable"),
        ("xyz", "400", "BadDeviceToken"),
    ],
)
async def test_aioapns_reports_the_reason(apns: Simulator, token: str, status: str, reason: str) -> None:
    result = await aioapns_client(apns).send_notification(request(token))
    assert (result.is_successful, result.status, result.description) == (False, status, reason)
    assert (result.timestamp is not None) == (status == "410")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"team_id": "ZZZZZZZZZZ"}, "InvalidProviderToken"),
        ({"key_id": "ZZZZZZZZZZ"}, "InvalidProviderToken"),
        ({"topic": "com.example.other"}, "TopicDisallowed"),
    ],
)
async def test_aioapns_is_told_about_wrong_credentials(apns: Simulator, changes: dict[str, str], reason: str) -> None:
    result = await aioapns_client(apns, **changes).send_notification(request("aa"))
    assert result.description == reason


async def test_aioapns_wedges_after_65535_bytes_of_errors_because_windows_are_respected(apns: Simulator) -> None:
    """Defect (a) of aioapns 4.0: it never replenishes its receive window."""
    client = aioapns_client(apns)
    assert (await client.send_notification(request("aa"))).is_successful
    length = len(b'{"reason":"ExpiredToken","timestamp":1700000000000}')
    errors = 65_535 // length
    results = await asyncio.gather(
        *(client.send_notification(request("dead0412")) for _ in range(900)),
    )
    assert {result.description for result in results} == {"ExpiredToken"}
    rest = [asyncio.ensure_future(client.send_notification(request("dead0412"))) for _ in range(errors - 900 + 1)]
    async with asyncio.timeout(10):
        while sum(task.done() for task in rest) < errors - 900:
            await asyncio.sleep(0.01)
    await asyncio.wait(rest, timeout=0.2)
    assert sum(task.done() for task in rest) == errors - 900
    for task in rest:
        task.cancel()


async def test_aioapns_waits_for_ever_on_a_503_without_a_body(apns: Simulator) -> None:
    """Defect (c) of aioapns 4.0: the future of an answer without DATA and without 200 is not resolved."""
    task = asyncio.ensure_future(aioapns_client(apns).send_notification(request("e0005030")))
    async with asyncio.timeout(5):
        while not apns.stats()["requests"]:
            await asyncio.sleep(0.01)
    done, _ = await asyncio.wait([task], timeout=0.2)
    assert not done
    task.cancel()


class Firebase:
    """firebase-admin with its addresses at a simulator; it retries nothing, so that a test need not wait for it."""

    def __init__(self, simulator: Simulator) -> None:
        certificate = credentials.Certificate(simulator.credentials["service_account_file"])
        self.app = firebase_admin.initialize_app(certificate, name=simulator.url)
        self.service = service = messaging._get_messaging_service(self.app)
        service._fcm_url = f"{simulator.url}/v1/projects/{simulator.credentials['project_id']}/messages:send"
        service._client.session.mount("https://", requests.adapters.HTTPAdapter(max_retries=0))

    async def close(self) -> None:
        await self.service._async_client.aclose()
        await asyncio.to_thread(firebase_admin.delete_app, self.app)

    async def send(self, message: messaging.Message, *, dry_run: bool = False) -> str:
        return await asyncio.to_thread(messaging.send, message, dry_run, self.app)


@pytest.fixture
async def firebase(fcm: Simulator) -> AsyncIterator[Firebase]:
    made = Firebase(fcm)
    yield made
    await made.close()


async def test_firebase_admin_delivers_every_block(fcm: Simulator, firebase: Firebase) -> None:
    message = messaging.Message(
        token=DEVICE,
        data={"k": "v"},
        notification=messaging.Notification(title="t", body="b", image="https://example.com/i.png"),
        android=messaging.AndroidConfig(
            collapse_key="c",
            priority="high",
            ttl=3600,
            notification=messaging.AndroidNotification(tag="x", channel_id="c", notification_count=2),
        ),
        apns=messaging.APNSConfig(
            headers={"apns-priority": "10"},
            payload=messaging.APNSPayload(aps=messaging.Aps(badge=3, content_available=True)),
        ),
        webpush=messaging.WebpushConfig(headers={"TTL": "60"}, data={"w": "1"}),
        fcm_options=messaging.FCMOptions(analytics_label="goal"),
    )
    name = await firebase.send(message)
    assert name.startswith("projects/news-project/messages/0:")
    assert json.loads(fcm.deliveries()[0]["body"])["message"]["android"]["ttl"] == "3600s"
    assert (await firebase.send(message, dry_run=True)).endswith("fake_message_id")
    assert fcm.stats()["accepted"] == 1


async def test_firebase_admin_sends_batches_over_http2(fcm: Simulator, firebase: Firebase) -> None:
    # It would fetch its access token with a blocking call inside the loop that also runs the simulator.
    await firebase.send(messaging.Message(token=DEVICE), dry_run=True)
    messages = [messaging.Message(token=f"{DEVICE}{n}") for n in range(30)]
    messages.append(messaging.Message(token="unreg:" + DEVICE))
    batch = await messaging.send_each_async(messages, app=firebase.app)
    assert (batch.success_count, batch.failure_count) == (30, 1)
    assert isinstance(batch.responses[-1].exception, messaging.UnregisteredError)
    assert fcm.stats()["accepted"] == 30


@pytest.mark.parametrize(
    ("prefix", "error"),
    [
        ("unreg:", messaging.UnregisteredError),
        ("mismatch:", messaging.SenderIdMismatchError),
        ("quota:", messaging.QuotaExceededError),
        ("thirdparty:", messaging.ThirdPartyAuthError),
        ("badarg:", exceptions.InvalidArgumentError),
        ("apns410:", exceptions.InvalidArgumentError),
        ("unavail:", exceptions.UnavailableError),
        ("internal:", exceptions.InternalError),
        ("html502:", exceptions.UnknownError),
        ("refused:", exceptions.UnavailableError),
    ],
)
async def test_firebase_admin_raises_its_own_error(firebase: Firebase, prefix: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await firebase.send(messaging.Message(token=prefix + DEVICE))


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("status:401", exceptions.UnauthenticatedError),
        ("status:403:PERMISSION_DENIED", exceptions.PermissionDeniedError),
        ("status:404:NOT_FOUND", exceptions.NotFoundError),
        ("drop", exceptions.UnavailableError),
    ],
)
async def test_firebase_admin_understands_scripted_faults(
    fcm: Simulator, firebase: Firebase, rule: str, error: type[Exception]
) -> None:
    fcm.set_rules([{"effect": rule}])
    with pytest.raises(error) as raised:
        await firebase.send(messaging.Message(token=DEVICE))
    assert raised.type is error


async def test_firebase_admin_is_told_that_its_account_is_gone(fcm: Simulator, firebase: Firebase) -> None:
    await fcm.set_state({"revoked_projects": ["news-project"]})
    with pytest.raises(RefreshError, match="invalid_grant"):
        await firebase.send(messaging.Message(token=DEVICE))


@pytest.fixture
async def expo(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    async with start("expo", work_dir=work_dir) as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_file))
        yield simulator


def expo_token(name: str) -> str:
    return f"ExponentPushToken[{name}]"


async def test_exponent_server_sdk_delivers_and_reads_receipts(expo: Simulator) -> None:
    client = PushClient(host=expo.url)
    messages = [ExpoMessage(to=expo_token(str(n)), body="hello", data={"n": n}) for n in range(3)]
    tickets = await asyncio.to_thread(client.publish_multiple, messages)
    assert [ticket.is_success() for ticket in tickets] == [True] * 3
    receipts = await asyncio.to_thread(client.check_receipts_multiple, tickets)
    for receipt in receipts:
        receipt.validate_response()
    assert (len(receipts), expo.stats()["accepted"]) == (3, 3)


async def test_exponent_server_sdk_raises_its_own_error_for_a_ticket(expo: Simulator) -> None:
    client = PushClient(host=expo.url)
    ticket = await asyncio.to_thread(client.publish, ExpoMessage(to=expo_token("unreg-a"), body="x"))
    with pytest.raises(DeviceNotRegisteredError):
        ticket.validate_response()
    large = await asyncio.to_thread(client.publish, ExpoMessage(to=expo_token("a"), body="x" * 5000))
    with pytest.raises(MessageTooBigError):
        large.validate_response()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("rcpt-unreg-a", DeviceNotRegisteredError),
        ("rcpt-big-a", MessageTooBigError),
        ("rate-a", MessageRateExceededError),
        ("cred-a", InvalidCredentialsError),
        ("expo-error-a", PushTicketError),
    ],
)
async def test_exponent_server_sdk_raises_its_own_error_for_a_receipt(
    expo: Simulator, name: str, error: type[Exception]
) -> None:
    client = PushClient(host=expo.url)
    ticket = await asyncio.to_thread(client.publish, ExpoMessage(to=expo_token(name), body="x"))
    (receipt,) = await asyncio.to_thread(client.check_receipts_multiple, [ticket])
    with pytest.raises(error):
        receipt.validate_response()


async def test_exponent_server_sdk_raises_its_own_error_for_a_request(expo: Simulator) -> None:
    client = PushClient(host=expo.url)
    mixed = [ExpoMessage(to=expo_token(name), body="x") for name in ("a", "other-project-b")]
    with pytest.raises(PushServerError) as raised:
        await asyncio.to_thread(client.publish_multiple, mixed)
    assert raised.value.errors[0]["code"] == "PUSH_TOO_MANY_EXPERIENCE_IDS"
    expo.set_rules([{"effect": "html:502"}])
    with pytest.raises(requests.HTTPError):
        await asyncio.to_thread(client.publish_multiple, mixed[:1])


@pytest.fixture
async def webpush_simulator(work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    async with start("webpush", work_dir=work_dir) as simulator:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(simulator.ca_file))
        yield simulator


async def pywebpush_send(simulator: Simulator, text: str, *, subject: str = "mailto:a@example.com", **kind: Any) -> Any:
    subscription = simulator.subscribe(**kind)
    info = {"endpoint": subscription.endpoint, "keys": {"p256dh": subscription.p256dh, "auth": subscription.auth}}
    answer = await asyncio.to_thread(
        pywebpush.webpush,
        info,
        text,
        vapid_private_key=simulator.credentials["vapid_key_file"],
        vapid_claims={"sub": subject},
        ttl=60,
    )
    return answer, simulator.messages(subscription.endpoint)


async def test_pywebpush_delivers_what_the_browser_can_read(webpush_simulator: Simulator) -> None:
    answer, messages = await pywebpush_send(webpush_simulator, "goal 🎉")
    assert (answer.status_code, messages[0]["body"]) == (201, "goal 🎉")


@pytest.mark.parametrize(
    ("kind", "subject", "status"),
    [
        ({"verdict": "410"}, "mailto:a@example.com", 410),
        ({"verdict": "404"}, "mailto:a@example.com", 404),
        ({"verdict": "429"}, "mailto:a@example.com", 429),
        ({"verdict": "413"}, "mailto:a@example.com", 413),
        ({"personality": "wns", "verdict": "429"}, "mailto:a@example.com", 406),
        ({"personality": "apple"}, "mailto:a@localhost", 403),
    ],
)
async def test_pywebpush_raises_its_own_error(
    webpush_simulator: Simulator, kind: dict[str, str], subject: str, status: int
) -> None:
    with pytest.raises(pywebpush.WebPushException) as raised:
        await pywebpush_send(webpush_simulator, "x", subject=subject, **kind)
    assert raised.value.status_code == status
    assert (raised.value.retry_after is not None) == (status in {406, 429})
