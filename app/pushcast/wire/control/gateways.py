"""Which gateways there are: records `gateway/<instance>` of `push.where.v1`, and which one counts for a key. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Final

import msgspec

from pushcast.wire.json_errors import UNREADABLE

PREFIX: Final = b"gateway/"
#: A gateway that has said nothing for so long counts for nobody.
LIVE_SECONDS: Final = 10.0
#: How often each says that it is there.
SAY_SECONDS: Final = 3.0
_INSTANCE_CHARS: Final = 64


class GatewayPeer(msgspec.Struct, frozen=True):
    """Where the others ask a gateway for shares of quotas. `at`: when it said so, milliseconds since the epoch."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]{1,500}$")]
    at: int


_DECODER: Final = msgspec.json.Decoder(GatewayPeer)


def key_of(instance: str) -> bytes:
    """The record key."""
    return PREFIX + instance.encode()


def encode(peer: GatewayPeer) -> bytes:
    """The record value."""
    return msgspec.json.encode(peer)


class GatewayPeers:
    """Those that said within the last 10 seconds that they are there. Records of other kinds change nothing.

    `live`, `current_at`: as `kafka.control.ControlTail` keeps them.
    """

    def __init__(self, now_seconds: Callable[[], float], now_ms: Callable[[], int]) -> None:
        """`now_seconds` measures how long one is silent; `now_ms` tells old records of the topic from new ones."""
        self.live = False
        self.current_at = math.inf
        self.ignored = 0
        self._now_seconds = now_seconds
        self._now_ms = now_ms
        self._heard: dict[str, tuple[str, float]] = {}  # url, when it was last heard

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes the next record."""
        if key is None or not key.startswith(PREFIX):
            return
        try:
            instance = key[len(PREFIX) :].decode("ascii")
            if not 0 < len(instance) <= _INSTANCE_CHARS:
                raise ValueError("no instance")
            if value is None:
                self._heard.pop(instance, None)
                return
            peer = _DECODER.decode(value)
        except (ValueError, *UNREADABLE):
            self.ignored += 1
            return
        # Clocks differ, but not by a minute: what was written before is of a gateway that was killed.
        if peer.at > self._now_ms() - 60_000:
            self._heard[instance] = peer.url, self._now_seconds()

    def urls(self) -> dict[str, str]:
        """By instance."""
        oldest = self._now_seconds() - LIVE_SECONDS
        for instance in [each for each, (_, heard_at) in self._heard.items() if heard_at < oldest]:
            del self._heard[instance]
        return {instance: url for instance, (url, _) in self._heard.items()}

    def home_of(self, key_id: str) -> tuple[str, str] | None:
        """(instance, url) of the gateway that counts for this key, the same for all that know the same gateways; None:
        there is none."""
        urls = self.urls()
        if not urls:
            return None
        chosen = max(urls, key=lambda instance: blake2b(f"{key_id}\0{instance}".encode(), digest_size=8).digest())
        return chosen, urls[chosen]
