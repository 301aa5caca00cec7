"""Devices that are staged: there, and not pushed to before they are activated or their app registers them (fact 51)."""

from __future__ import annotations

import orjson
import pytest

from pushcast.model.audience import EVERYBODY
from pushcast.model.device import AddressKind, DeviceChange, DeviceRow, DeviceState, Operation
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key
from pushcast.model.words import Platform
from pushcast.register.decide import activated, upsert
from pushcast.register.kept import Kept
from pushcast.walk.predicate import Left, Predicate
from pushcast.wire.devices.devices import DeviceChangeDecoder, decode_row, encode_row, row_columns
from pushcast.wire.devices.row_reader import active_device
from pushcast.wire.topics import DEVICE
from unit.register.test_stage import HOME, USER, register, unregister
from unit.register.twin import Harness

T = 1_800_000_000_000
KEY = device_row_key("user-1", "news", "d-1")


def change(op: Operation = Operation.REGISTER, *, staged: bool = False) -> DeviceChange:
    return DeviceChange(op, "u", "news", "d", Platform.APNS, AddressKind.TOKEN, b"ab12", T, staged=staged)


def staged(at: int = T) -> DeviceRow:
    row = upsert(change(staged=True), at, None)
    assert isinstance(row, DeviceRow)
    return row


def test_a_staged_device_is_planned_neither_alone_nor_by_a_broadcast() -> None:
    row = staged()
    assert row.state == DeviceState.STAGED
    value = encode_row(row)
    assert active_device(KEY, value) is None
    predicate = Predicate(EVERYBODY, app="news", push_type="alert", horizon_ms=T)
    assert predicate.left("user-1", row_columns(value)) is Left.INACTIVE


def test_an_activation_makes_it_active_and_changes_nothing_else() -> None:
    row, active = staged(), activated(staged())
    assert isinstance(active, DeviceRow)
    assert (active.state, active.registered_at, active.first_at) == ("active", row.registered_at, row.first_at)
    assert activated(active) is Kept.UNCHANGED
    assert activated(None) is Kept.UNKNOWN


@pytest.mark.parametrize("op", [Operation.REGISTER, Operation.REFRESH])
def test_the_first_word_of_its_app_activates_it(op: Operation) -> None:
    live = upsert(change(op), T + 1, staged())
    assert isinstance(live, DeviceRow)
    assert live.state == DeviceState.ACTIVE
    assert upsert(change(op), T - 1, staged()) is Kept.OUTDATED, "what is older than the import says nothing"


def test_an_import_takes_nothing_back_of_a_device_that_is_active() -> None:
    live = upsert(change(), T, None)
    assert isinstance(live, DeviceRow)
    assert upsert(change(staged=True), T, live) is Kept.UNCHANGED
    later = upsert(change(staged=True), T + 1, live)
    assert isinstance(later, DeviceRow)
    assert later.state == DeviceState.ACTIVE


def test_importing_it_again_changes_nothing() -> None:
    assert upsert(change(staged=True), T, staged()) is Kept.UNCHANGED


def test_only_a_registration_can_be_staged() -> None:
    decoder = DeviceChangeDecoder(["news"])
    event = {"op": "refresh", "app": "news", "device": "d", "platform": "apns", "token": "ab12" * 16, "staged": True}
    with pytest.raises(InvalidInput, match="staged belongs to op register") as refused:
        decoder.decode("u", orjson.dumps(event), T)
    assert refused.value.field == "staged"
    with pytest.raises(InvalidInput, match="activate needs device"):
        decoder.decode("u", b'{"op": "activate", "app": "news"}', T)


async def test_the_registrar_activates_on_request_and_an_unknown_device_is_counted() -> None:
    harness = Harness()
    activate = orjson.dumps({"op": "activate", "app": "news", "device": "d-1"})
    await harness.change((USER, activate), (USER, register(staged=True)), (USER, activate), (USER, activate))
    assert [decode_row(each.value or b"").state for each in harness.kafka.log[DEVICE, HOME]] == ["staged", "active"]
    found = {word: count for (kind, word), count in harness.counters.items() if kind == "activations"}
    assert found == {"unknown": 1, "written": 1, "unchanged": 1}


async def test_a_device_that_is_gone_is_not_activated() -> None:
    harness = Harness()
    activate = orjson.dumps({"op": "activate", "app": "news", "device": "d-1"})
    await harness.change((USER, register(staged=True)), (USER, unregister()), (USER, activate))
    assert decode_row(harness.kafka.log[DEVICE, HOME][-1].value or b"").state == "gone"
