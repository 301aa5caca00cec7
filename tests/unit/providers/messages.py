"""Messages for provider tests."""

from __future__ import annotations

from typing import Any

from pushcast.model.batch import Message, Targets
from pushcast.model.notification import Content, Options
from pushcast.providers.fcm.bodies import bodies
from pushcast.providers.fcm.message import render as render_fcm

NOW_MS = 1_800_000_000_000


def fcm_bodies(message: Message, now_ms: int = NOW_MS) -> list[bytes]:
    """What FCM gets for each target."""
    return bodies(message, *render_fcm(message), range(len(message.targets)), now_ms, "notification")


def message(
    addresses: list[bytes] | None = None,
    *,
    title: str | None = "Goal!",
    body: str | None = "1:0",
    data: dict[str, str] | None = None,
    expires_at: list[int] | None = None,
    kinds: list[int] | None = None,
    content: Content | None = None,
    content_hash: bytes = bytes(range(16)),
    **options: Any,
) -> Message:
    """A message of one notification for the given addresses; one hour to live unless told otherwise."""
    addresses = [b"ab" * 32] if addresses is None else addresses
    count = len(addresses)
    targets = Targets(
        notification=[0] * count,
        user=[f"u-{index}" for index in range(count)],
        device=["d-1"] * count,
        delivery_id=[index.to_bytes(16, "big") for index in range(count)],
        kind=kinds or [0] * count,
        address=addresses,
        key_id=[""] * count,
        token_hash=[bytes(16)] * count,
        registered_at=[0] * count,
        source_offset=list(range(count)),
        expires_at=expires_at or [NOW_MS + 3_600_000] * count,
        attempt=[0] * count,
    )
    return Message(
        app="news",
        klass="default",
        content=content or Content(title=title, body=body, data=data or {}),
        options=Options(**options),
        content_hash=content_hash,
        notification_ids=["n-1"],
        created_at=[NOW_MS],
        traces=[""],
        targets=targets,
    )
