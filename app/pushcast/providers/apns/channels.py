"""Broadcast channels of Live Activities: management, and publishing to all who listen.

https://developer.apple.com/documentation/usernotifications/sending-channel-management-requests-to-apns and
https://developer.apple.com/documentation/usernotifications/sending-broadcast-push-notification-requests-to-apns
A handful of requests a second at most: one by one, without a batch.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

from pushcast.http2.pool import Pool
from pushcast.http2.request import Kind, Response, Template
from pushcast.model.clock import Clock
from pushcast.model.errors import PushcastError
from pushcast.model.notification import LiveActivity, Priority
from pushcast.model.words import Reason
from pushcast.providers.apns.live_activity import fields_of
from pushcast.providers.apns.message import IMMEDIATE, POWER_AWARE
from pushcast.providers.apns.verdicts import judge
from pushcast.providers.credential import Credential
from pushcast.providers.expiry import NOW_OR_NEVER, epoch_seconds
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.verdict import Remedy

MAX_BROADCAST_BYTES: Final = 5120
_JSON: Final = (b"content-type", b"application/json")
_PUSH_TYPE: Final = "LiveActivity"


class ChannelRefused(PushcastError):
    """APNs took no such request, or did not answer. `reason` is our word, `answer` Apple's, `status` 0 for none."""

    def __init__(self, action: str, reason: str, status: int, answer: str | None) -> None:
        super().__init__(f"channel {action}: {answer or reason}" + (f" (status {status})" if status else ""))
        self.reason = reason
        self.status = status
        self.answer = answer


class Channel(NamedTuple):
    """`stores_newest`: devices that come online within 8 hours get the newest message; never changes."""

    id: str
    stores_newest: bool


class ChannelHost(NamedTuple):
    """Where requests go; management and publishing have hosts of their own."""

    make_pool: Callable[[], Pool]  # called on the running loop
    authority: bytes


class Channels:
    """The channels of one app at one APNs environment. Use it on one running loop, and `close` it.

    Every method raises ChannelRefused. An expired provider token is renewed once. Nothing else is tried again: whether
    a request without an answer was processed is not known.
    """

    def __init__(
        self,
        bundle: str,
        management: ChannelHost,
        publishing: ChannelHost,
        credential: Credential,
        timeout_seconds: float,
        clock: Clock,
    ) -> None:
        self._management = management
        self._publishing = publishing
        self._bundle = bundle.encode()
        self._credential = credential
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._pools: dict[bytes, Pool] = {}

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        await self._credential.close()

    async def create(self, *, stores_newest: bool = False) -> str:
        """A new channel's id, base64. Apple allows 10,000 for an app and environment."""
        body = orjson.dumps({"message-storage-policy": int(stores_newest), "push-type": _PUSH_TYPE})
        response = await self._manage("create", b"POST", body=body)
        channel_id = response.header(b"apns-channel-id")
        if channel_id is None:
            raise ChannelRefused("create", str(Reason.PROVIDER_ERROR), response.status, "no apns-channel-id")
        return channel_id.decode("latin-1")

    async def read(self, channel_id: str) -> Channel:
        """What APNs knows of it."""
        response = await self._manage("read", b"GET", channel_id)
        return Channel(channel_id, _member("read", response, "message-storage-policy") == 1)

    async def every(self) -> list[str]:
        """Ids of all channels, in APNs' order."""
        channels = _member("list", await self._manage("list", b"GET", resource=b"all-channels"), "channels")
        if not isinstance(channels, list):
            raise ChannelRefused("list", str(Reason.PROVIDER_ERROR), 200, "channels is no list")
        return [str(channel) for channel in channels]

    async def delete(self, channel_id: str) -> None:
        """Ends it for good; activities that listen to it get no more updates."""
        await self._manage("delete", b"DELETE", channel_id)

    async def publish(
        self,
        channel_id: str,
        activity: LiveActivity,
        *,
        alert: dict[str, str] | None = None,
        priority: Priority = "high",
        expires_at: int | None = None,
    ) -> str | None:
        """Sends an update or end to all who listen; returns APNs' id of the request.

        `expires_at`: milliseconds since the epoch; only for a channel that stores its newest message; None: not stored.
        Raises Unsendable for a payload that APNs would refuse.
        """
        aps: dict[str, Any] = fields_of(activity, self._clock.now_ms())
        if alert:
            aps["alert"] = alert
        body = orjson.dumps({"aps": aps})
        if len(body) > MAX_BROADCAST_BYTES:
            raise Unsendable(
                Reason.PAYLOAD_TOO_LARGE, f"broadcast payload is {len(body)} bytes, APNs takes {MAX_BROADCAST_BYTES}"
            )
        headers = [
            (b"apns-channel-id", _id_header("publish", channel_id)),
            (b"apns-push-type", b"liveactivity"),
            (b"apns-expiration", b"%d" % epoch_seconds(NOW_OR_NEVER if expires_at is None else expires_at)),
            (b"apns-priority", IMMEDIATE if priority == "high" else POWER_AWARE),
            _JSON,
        ]
        path = b"/4/broadcasts/apps/" + self._bundle
        response = await self._ask("publish", self._publishing, b"POST", path, headers, body)
        request_id = response.header(b"apns-request-id")
        return None if request_id is None else request_id.decode("latin-1")

    async def _manage(
        self,
        action: str,
        method: bytes,
        channel_id: str | None = None,
        *,
        resource: bytes = b"channels",
        body: bytes = b"",
    ) -> Response:
        headers = [] if channel_id is None else [(b"apns-channel-id", _id_header(action, channel_id))]
        if body:
            headers.append(_JSON)
        path = b"/1/apps/" + self._bundle + b"/" + resource
        return await self._ask(action, self._management, method, path, headers, body)

    async def _ask(
        self,
        action: str,
        host: ChannelHost,
        method: bytes,
        path: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> Response:
        pool = self._pools.get(host.authority)
        if pool is None:
            pool = self._pools[host.authority] = host.make_pool()
        for last in (False, True):
            authorization = await self._credential.header()
            template = Template(
                method=method,
                path=path,
                headers=[*headers, *([(b"authorization", authorization)] if authorization else [])],
                body=body,
                authority=host.authority,
                wants_headers=True,
            )
            response = await pool.ask(template, timeout_seconds=self._timeout_seconds)
            if response.kind is Kind.ANSWERED and 200 <= response.status < 300:
                return response
            verdict = judge(response, self._clock.now_ms())
            if last or verdict.remedy is not Remedy.REFRESH:
                break
            await self._credential.refresh(authorization)
            pool.rotate()
        reason = verdict.reason or str(Reason.PROVIDER_ERROR)
        raise ChannelRefused(action, reason, response.status, _answer(response))


def _id_header(action: str, channel_id: str) -> bytes:
    try:
        base64.b64decode(channel_id, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ChannelRefused(action, "channel_gone", 0, "the channel id is not base64") from error
    return channel_id.encode()


def _member(action: str, response: Response, name: str) -> Any:
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise ChannelRefused(action, str(Reason.PROVIDER_ERROR), response.status, "the answer is not JSON") from error
    return value.get(name) if isinstance(value, dict) else None


def _answer(response: Response) -> str | None:
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    answer = value.get("reason") if isinstance(value, dict) else None
    return answer if isinstance(answer, str) else None
