"""The history of a device, read from records that REGISTER itself wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from pushcast.audit import device_history
from pushcast.config.providers import App
from pushcast.config.settings import Settings
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.ownership import Claim, Evict, Registration, Token
from pushcast.register.history import Historian, HistoryStep, HistorySubject, KnownDevice, concerns, ordered
from pushcast.stream.tracker import Record
from pushcast.wire.answers.receipts import TokenInvalid, encode_token_invalid
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.ownership import encode_claims, encode_evict
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_CLAIM, TOKEN_EVICT, TOKEN_HOLD, TOKEN_INVALID
from unit.register.twin import PARTITIONS, T0, Harness, record

USER = b"user-1"
HOME = partition_of(USER, PARTITIONS)
TOKEN = Token("news", "apns", token_hash(b"ab12" * 16))
OURS = KnownDevice("user-1", "news", "d-1")
HASH = token_hash(b"ab12" * 16).hex()


def register(at: int, device: str = "d-1") -> bytes:
    event = {"op": "register", "app": "news", "device": device, "platform": "apns", "token": "ab12" * 16, "at": at}
    return orjson.dumps(event)


def verdict() -> bytes:
    event = TokenInvalid(
        "user-1", "news", "d-1", "apns", token_hash(b"ab12" * 16), "device_unregistered", 410, T0 - 10, T0 - 6, T0 - 5,
        "0" * 32,
    )  # fmt: skip
    return encode_token_invalid(event)


async def removed() -> list[Record]:
    """Every record of a device that was registered, called dead, held and removed, and of a neighbour's."""
    harness = Harness()
    inputs = [
        record(DEVICE_CHANGED, HOME, 0, USER, register(T0 - 1000)),
        record(DEVICE_CHANGED, HOME, 1, USER, register(T0 - 1000, "d-2")),
    ]
    await harness.change(*inputs)
    told = record(TOKEN_INVALID, HOME, 0, USER, verdict())
    await harness.feed(TOKEN_INVALID, told)
    await harness.follow_holds(HOME)
    await harness.pass_time()
    return [*inputs, told, *harness.kafka.log[TOKEN_HOLD, HOME], *harness.kafka.log[DEVICE, HOME]]


def steps_of(records: list[Record]) -> list[HistoryStep]:
    historian = Historian({"news", "chat"})
    steps = [historian.step_of(each) for each in records]
    return ordered([step for step in steps if step is not None])


async def test_every_step_of_a_removal_is_found_with_its_reason() -> None:
    steps = [step for step in steps_of(await removed()) if concerns(step, {OURS})]
    assert [(step.topic, step.step, step.reason) for step in steps] == [
        (DEVICE_CHANGED, "registered", None),
        (TOKEN_INVALID, "verdict", "device_unregistered"),
        (TOKEN_HOLD, "suspended", "device_unregistered"),
        (TOKEN_HOLD, "removed", "device_unregistered"),
        (DEVICE, "row_active", None),
        (DEVICE, "row_suspended", "device_unregistered"),
        (DEVICE, "row_removed", "device_unregistered"),
    ]


async def test_no_token_is_shown_and_times_can_be_read() -> None:
    shown = orjson.dumps([step.to_dict() for step in steps_of(await removed())])
    assert b"ab12" * 16 not in shown.replace(HASH.encode(), b"")
    [found] = [step.to_dict() for step in steps_of(await removed()) if step.topic == TOKEN_INVALID]
    assert (found["provider_status"], found["invalid_since"]) == (410, "2027-01-15T07:59:59.990Z")


@pytest.mark.parametrize("subject", ["d-1", HASH, HASH.upper()])
async def test_a_device_is_found_by_its_id_and_by_its_tokens_hash(subject: str) -> None:
    records = await removed()
    wanted = HistorySubject(subject)
    historian = Historian({"news"})
    found = {
        (each.topic, step.device)
        for each in records
        if wanted.may_be_in(each) and (step := historian.step_of(each)) is not None and wanted.is_about(step)
    }
    assert {(TOKEN_INVALID, OURS), (TOKEN_HOLD, OURS), (DEVICE, OURS)} <= found
    if subject == "d-1":
        assert {device for _, device in found} == {OURS}
    else:
        assert {device for _, device in found} == {OURS, OURS._replace(device="d-2")}  # they share the token


async def test_steps_come_in_order_of_time_and_forgetting_a_user_is_part_of_each_devices_history() -> None:
    forgotten = record(DEVICE_CHANGED, HOME, 9, USER, b'{"op":"forget_user"}', timestamp=T0 + 9)
    earlier = record(DEVICE_CHANGED, HOME, 8, USER, register(T0 - 5000), timestamp=T0 - 5000)
    steps = [step for step in steps_of([forgotten, *await removed(), earlier]) if concerns(step, {OURS})]
    assert (steps[0].offset, steps[-1].step) == (8, "user_forgotten")
    assert not concerns(steps[-1], {OURS._replace(user="user-2")})


def test_what_cannot_be_read_says_why() -> None:
    with pytest.raises(InvalidInput, match="neither JSON nor framed"):
        Historian({"news"}).step_of(record(TOKEN_INVALID, HOME, 0, USER, b"?"))
    for key, value in row_fences.records("register/0", 7).items():
        assert Historian({"news"}).step_of(record(DEVICE, HOME, 0, key, value)) is None


async def test_a_row_says_what_its_token_takes() -> None:
    harness = Harness()
    event = orjson.loads(register(T0 - 5000)) | {"purpose": "voip"}
    await harness.change((USER, orjson.dumps(event)))
    [row] = [step.to_dict() for step in steps_of(harness.kafka.log[DEVICE, HOME]) if step.step == "row_active"]
    assert row["purpose"] == "voip"


async def test_a_history_reads_no_topic_whose_records_are_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and evictions of a phone that changed hands were counted as records that could not be read."""
    log = {TOKEN_CLAIM: claim_of(), TOKEN_EVICT: eviction(), DEVICE_CHANGED: register(T0)}

    class Reader:
        def __init__(self, *_: object) -> None: ...

        async def ends(self, spots: list[tuple[str, int]]) -> dict[tuple[str, int], int]:
            return {spot: int(spot[0] in log and spot[1] == HOME) for spot in spots}

        async def read(self, spans: dict[tuple[str, int], tuple[int, int]], take: Callable[[Any], None]) -> None:
            for (topic, partition), (_, end) in spans.items():
                if end:
                    take(record(topic, partition, 0, USER, log[topic]))

    monkeypatch.setattr(device_history, "SpanReader", Reader)
    monkeypatch.setattr(device_history, "plain", lambda found: found)
    monkeypatch.setattr(device_history, "waits_of", lambda *_: [])
    found = await asyncio.to_thread(device_history.history_of, Settings(apps={"news": App()}), "d-1")
    assert [step.step for step in found.steps] == ["registered"]
    assert found.unreadable == {}


def claim_of() -> bytes:
    return encode_claims([Claim(TOKEN, Registration(T0, device_row_key("user-1", "news", "d-1")))])


def eviction() -> bytes:
    key = device_row_key("user-1", "news", "d-1")
    return encode_evict(Evict(TOKEN, key, Registration(T0 + 1, device_row_key("user-2", "news", "d-2"))))
