"""Every field of a notification, alone and with all others, as each provider's simulator takes it over the wire."""

from __future__ import annotations

import json
import time
from pathlib import Path
from uuid import uuid4

import pytest

from contract.expo_webpush_lab import lab_of
from contract.provider_lab import lab_with
from pushcast.model.batch import Message
from pushcast.providers.port import Result
from unit.providers.fields import CASES, message_of

GOLDEN = Path(__file__).parent.parent / "unit" / "providers" / "golden"


def refused_in(platform: str) -> dict[str, str]:
    """Cases that the golden file says this platform cannot be sent, with the reason."""
    cases = json.loads((GOLDEN / f"{platform}.json").read_text())
    return {name: case["refused"] for name, case in cases.items() if "refused" in case}


def made(case: str, address: bytes, kind: int = 0) -> Message:
    """The event as a sender has it now."""
    message, now_ms = message_of(CASES[case], address), round(time.time() * 1000)
    message.created_at = [now_ms]
    message.targets.expires_at = [now_ms + 3_600_000]
    message.targets.delivery_id = [uuid4().bytes]
    message.targets.kind = [kind]
    return message


@pytest.mark.parametrize("platform", ["apns", "fcm", "expo", "webpush"])
async def test_the_simulator_takes_every_field_that_the_platform_has(platform: str, work_dir: Path) -> None:
    found: dict[str, tuple[str, str | None]] = {}
    laboratory = (
        lab_with(platform, "multicast", work_dir) if platform in ("apns", "fcm") else lab_of(platform, work_dir)
    )
    async with laboratory as lab:
        for case in CASES:
            if platform == "webpush":
                message = made(case, lab.subscription(), kind=2)  # type: ignore[union-attr]
            elif platform == "expo":
                message = made(case, f"ExponentPushToken[{uuid4().hex}]".encode())
            else:
                message = made(case, lab.tokens("good", 1)[0])  # type: ignore[union-attr]
            results: list[Result] = []
            await lab.provider.send(message, [0], results.extend)
            [result] = results
            found[case] = (str(result.disposition), result.reason)
        assert not lab.simulator.provider.recorder.violations
    refused = refused_in(platform)
    assert found == {case: ("rejected", refused[case]) if case in refused else ("accepted", None) for case in CASES}
