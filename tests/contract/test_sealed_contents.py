"""A sealed content through a provider: what APNs and FCM see, and what the app of the device reads (fact 48)."""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.secret import SecretBox

from contract.provider_lab import address_at, outcomes, provider_for
from pushcast.model.notification import Content
from pushcast.model.sealing import Cipher, Sealing
from pushcast.model.words import Platform
from pushcast.providers.port import Part, Result
from pushcast.send.sealing import ContentSealing
from pushcast.simulators import Simulator, start
from pushcast.wire.devices.content_keys import KeptKey, pack
from pushcast.wire.sending.sealed_contents import plaintext_of
from unit.providers.messages import message

TITLE = "A message here.."  # 16 letters
CONTENT = Content("Anna", "Dinner at eight? 🍝", {"room": 7})
KEY_ID = 2**32 - 1  # the longest


class App:
    """The app of one device: it has chosen a key, and reads what comes for it."""

    def __init__(self, cipher: Cipher) -> None:
        self.cipher = cipher
        self.key = os.urandom(32)

    @property
    def registered(self) -> bytes:
        return pack(KeptKey(KEY_ID, self.cipher, "", self.key))

    def read(self, data: dict[str, Any]) -> dict[str, Any]:
        assert int(data["k"]) == KEY_ID
        box = b64decode(data["c"])
        if self.cipher is Cipher.SECRETBOX:
            text = SecretBox(self.key).decrypt(box)
        else:
            text = AESGCM(self.key).decrypt(box[:12], box[12:], None)
        found: dict[str, Any] = orjson.loads(text)
        return found


async def pushed(simulator: Simulator, apps: list[App], content: Content = CONTENT) -> list[Result]:
    made = message([address_at(simulator) for _ in apps], content=content)
    made.klass, made.sealing = "messages", Sealing(TITLE)
    made.targets.content_key = [app.registered for app in apps]
    private = ContentSealing(Platform(simulator.platform)).pieces(made, range(len(apps)))
    assert private is not None
    provider = provider_for(simulator, "multicast")
    await provider.start()
    results: list[Result] = []
    await provider.send_many([Part(*piece, results.extend) for piece in private.pieces])  # type: ignore[attr-defined]
    await provider.close()
    return results


def seen(simulator: Simulator) -> list[bytes]:
    return [each["body"].encode() for each in simulator.deliveries()]


@pytest.mark.parametrize("platform", ["apns", "fcm"])
async def test_the_provider_sees_a_title_and_the_app_reads_the_content(platform: str, work_dir: Path) -> None:
    apps = [App(Cipher.SECRETBOX), App(Cipher.A256GCM)]
    async with start(platform, work_dir=work_dir) as simulator:
        assert outcomes(await pushed(simulator, apps)) == {("accepted", None): 2}
        bodies = seen(simulator)
    for app, body in zip(apps, bodies, strict=True):
        for word in ("Anna", "Dinner", "room", "messages", "n-1"):
            assert word.encode() not in body
        assert TITLE.encode() in body
        payload = orjson.loads(body)
        aps = (payload if platform == "apns" else payload["message"]["apns"]["payload"])["aps"]
        assert aps == {"alert": {"title": TITLE}, "mutable-content": 1}
        assert "notification" not in payload.get("message", {}), "Android would show it, and not ask the app"
        data = payload if platform == "apns" else payload["message"]["data"]
        assert app.read(data) == orjson.loads(plaintext_of(CONTENT, "n-1", "messages", 1_800_000_000_000))


@pytest.mark.parametrize(("platform", "longest"), [("apns", 2_966), ("fcm", 3_023)])
async def test_a_plaintext_may_fill_what_the_provider_takes_and_no_more(
    platform: str, longest: int, work_dir: Path
) -> None:
    told = Content(body="", tracked=True)
    assert plaintext_of(told, "n-1", "messages", 1) == plaintext_of(Content(body=""), "n-1", "messages", 1)
    size = len(plaintext_of(Content(body=""), "n-1", "messages", 1_800_000_000_000))
    full, more = Content(body="x" * (longest - size)), Content(body="x" * (longest - size + 3))
    assert len(plaintext_of(full, "n-1", "messages", 1_800_000_000_000)) == longest
    async with start(platform, work_dir=work_dir) as simulator:
        assert outcomes(await pushed(simulator, [App(Cipher.SECRETBOX)], full)) == {("accepted", None): 1}
        assert outcomes(await pushed(simulator, [App(Cipher.SECRETBOX)], more)) == {
            ("rejected", "payload_too_large"): 1
        }
