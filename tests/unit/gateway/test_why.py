"""Why, by HTTP: what the topics say, with what the reports have of the same notification."""

from __future__ import annotations

from typing import Any

from pushcast.wire.control.api_keys import Scope
from twins.gateway import gateway

KEPT = "2026-08-22T14:13:20.000Z"


def delivery(device: str, outcome: str = "accepted", reason: str | None = None, **more: Any) -> dict[str, Any]:
    found = {"notification": "n-1", "device": device, "outcome": outcome, "reason": reason}
    times = {"ended_at": "2026-09-21T14:13:20.000Z", "received_at": None, "opened_at": None}
    return found | times | more


async def why(
    history: list[dict[str, Any]] | None, known: bool = True, device: str | None = None, **verdict: Any
) -> Any:
    async with gateway() as rig, rig.client(rig.key(Scope.HISTORY_READ)) as client:
        rig.reports.history, rig.known = history, known
        rig.verdict |= verdict
        asked = {"notification": "n-1", **({} if device is None else {"device": device})}
        return (await client.get("/v1/users/u-1/why", params=asked)).json()


async def test_it_says_since_when_records_and_deliveries_are_kept() -> None:
    found = await why([delivery("d-1", notification="other")])
    assert found["kept_since"] == {"push.receipt.v1": None, "deliveries": KEPT}
    assert (found["deliveries"], found["verdict"]["answer"]) == ([], "waiting")


async def test_what_the_app_told_is_more_than_what_the_provider_said() -> None:
    at = "2026-09-21T15:00:00.000Z"
    received = await why([delivery("d-1", received_at=at), delivery("d-2")], answer="accepted_by_provider")
    opened = await why([delivery("d-1", received_at=KEPT, opened_at=at)], answer="accepted_by_provider")
    waits = await why([delivery("d-1", received_at=at)], answer="waiting")
    assert (received["verdict"]["answer"], opened["verdict"]["answer"]) == ("received", "opened")
    assert opened["answer"].endswith(f"the app told that it was opened at {at}")
    assert waits["verdict"]["answer"] == "waiting"


async def test_what_the_topics_no_longer_have_the_reports_tell() -> None:
    gone = delivery("d-2", "invalid", "device_unregistered")
    found = await why([delivery("d-1"), gone], known=False)
    of_one = await why([delivery("d-1"), gone], known=False, device="d-2")
    assert found["verdict"] == {"answer": "accepted_by_provider", "because": None}
    assert found["answer"].startswith("in part: 1 accepted; 1 invalid (device_unregistered), as the reports have it")
    assert of_one["verdict"] == {"answer": "invalid", "because": "device_unregistered"}
    assert of_one["answer"].startswith("no: 1 invalid")


async def test_silent_reporters_hide_nothing_of_what_the_topics_have() -> None:
    found = await why(None, answer="not_planned", because="no_devices")
    assert (found["verdict"]["answer"], found["deliveries"]) == ("not_planned", None)
    assert found["kept_since"] == {"push.receipt.v1": None}
