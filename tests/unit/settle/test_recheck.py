"""Waiting work asks whether its device is still there, with its token (audience fact 42)."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from pushcast.config.classes import Class
from pushcast.config.settings import Settings
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, user_row_key
from pushcast.model.quiet import DAYS, Quiet, QuietTerms
from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Lane
from pushcast.settle.recheck import LEAST_WAIT_MS, Recheck
from pushcast.wire import topics
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.user_rows import encode_user_row
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import time_of
from unit.send.twin import T0, message, send_batch
from unit.settle.test_parked import Lab
from unit.settle.twin import PASS_SECONDS, Harness, waiting

RUNG = topics.retry("5m")
MINUTES_MS = 300_000


CLASSES = {
    "default": Class(),
    "law": Class(mandatory=True),
    "news": Class(opt_in=True),
    "alarm": Class(lane=Lane.URGENT),
    "may": Class(may_override=("quiet_hours",)),
}
SETTINGS = Settings(classes=CLASSES)


class Devices:
    """The table: rows by key."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.here = True

    def held(self, partition: int) -> bool:
        return self.here

    def get(self, partition: int, key: bytes) -> bytes | None:
        assert partition == 3
        return self.rows.get(key)

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        assert partition == 3
        return sorted((key, value) for key, value in self.rows.items() if key.startswith(prefix))


class World:
    """Three targets of one message, whose devices are as they were planned."""

    def __init__(self) -> None:
        self.devices = Devices()
        self.harness = Harness(recheck=Recheck(cast(Any, self.devices), SETTINGS))
        self.batch = send_batch(message(3))
        targets = self.batch.messages[0].targets
        self.keys = [
            device_row_key(user, self.batch.messages[0].app, device)
            for user, device in zip(targets.user, targets.device, strict=True)
        ]
        for key, digest in zip(self.keys, targets.token_hash, strict=True):
            _, app, device = key.decode().split("\0")
            row = DeviceRow(app, device, "apns", "token", b"a", "", digest, "active", T0, T0)
            self.put(key, row)

    def put(self, key: bytes, row: DeviceRow) -> None:
        self.rows = {**getattr(self, "rows", {}), key: row}
        self.devices.rows[key] = encode_row(row)

    def change(self, number: int, **fields: Any) -> None:
        key = self.keys[number]
        self.put(key, msgspec.structs.replace(self.rows[key], **fields))

    async def wait(self, milliseconds: int = MINUTES_MS) -> None:
        await self.harness.feed(waiting(100, self.batch, T0 + milliseconds, topic=RUNG))
        await self.harness.pass_time(milliseconds / 1000)

    def ended(self) -> dict[str, tuple[str, str]]:
        return {each["user"]: (each["outcome"], each["reason"]) for each in self.harness.outbox.receipts()}

    def sent(self) -> list[str]:
        batches = [decode_batch(each.value or b"") for each in self.harness.outbox.of("push.send.apns.urgent.v1")]
        return [user for batch in batches for each in batch.messages for user in each.targets.user]


async def test_fact_42_a_retry_whose_device_moved_meanwhile_is_cancelled_without_a_request() -> None:
    world = World()
    world.change(0, state="gone", suspended_reason="token_moved", address=b"", token_hash=b"")
    world.change(1, token_hash=b"another token   ")
    await world.wait()
    assert world.ended() == {"u0": ("cancelled", "token_moved"), "u1": ("cancelled", "token_moved")}
    assert world.sent() == ["u2"]
    assert world.harness.counters["ended", "token_moved"] == 2
    assert world.harness.low(RUNG) == 101


async def test_a_device_that_was_removed_or_is_unknown_ends_as_gone() -> None:
    world = World()
    world.change(0, state="gone", suspended_reason="unregistered")
    del world.devices.rows[world.keys[1]]
    await world.wait()
    assert set(world.ended().values()) == {("cancelled", "device_gone")}
    assert world.sent() == ["u2"]


async def test_a_token_that_was_sealed_meanwhile_is_the_same_token() -> None:
    """Rulings II.22: turning sealing on gives every row another hash."""
    world = World()
    for number, key in enumerate(world.keys):
        before = world.rows[key].token_hash
        world.change(number, token_hash=b"keyed hash of it", token_hash_before=before)
    await world.wait()
    assert world.sent() == ["u0", "u1", "u2"]


async def test_what_has_waited_for_less_than_a_minute_is_passed_on_unasked() -> None:
    world = World()
    world.devices.rows.clear()
    await world.wait(LEAST_WAIT_MS - 1000)
    assert world.sent() == ["u0", "u1", "u2"]


@pytest.mark.parametrize("trouble", ["no table", "a row nobody can read"])
async def test_without_a_readable_row_nothing_ends(trouble: str) -> None:
    world = World()
    if trouble == "no table":
        world.devices.rows.clear()
        world.devices.here = False
    else:
        world.devices.rows = dict.fromkeys(world.keys, b"\xc3\x01tomorrow")
    await world.wait()
    assert world.sent() == ["u0", "u1", "u2"]


async def test_a_delivery_to_a_topic_of_the_provider_has_no_row() -> None:
    world = World()
    world.devices.rows.clear()
    world.batch.messages[0].targets.device[:] = ["topic:news"] * 3
    await world.wait()
    assert world.ended() == {}


@pytest.mark.parametrize(
    ("klass", "wants", "ends"),
    [
        ("default", UserRow(at=1, classes={"default": "off"}), {"u0": ("suppressed", "opted_out")}),
        ("default", UserRow(at=1, muted_until=T0 + 2 * MINUTES_MS), {"u0": ("suppressed", "muted")}),
        ("default", UserRow(at=1, muted_until=T0), {}),
        ("law", UserRow(at=1, classes={"law": "off"}), {}),
        ("news", UserRow(at=1, classes={"news": "on"}), dict.fromkeys(("u1", "u2"), ("suppressed", "opted_out"))),
    ],
)
@pytest.mark.parametrize("of_app", [False, True])
async def test_who_wants_it_no_more_while_it_waits_for_its_retry_does_not_get_it(
    klass: str, wants: UserRow, ends: dict[str, tuple[str, str]], of_app: bool
) -> None:
    world = World()
    part = world.batch.messages[0]
    part.klass = klass
    world.devices.rows[user_row_key("u0", part.app if of_app else "")] = encode_user_row(wants)
    await world.wait()
    assert world.ended() == ends
    assert set(world.sent()) == {"u0", "u1", "u2"} - ends.keys()


async def test_what_its_user_wants_is_asked_however_short_the_wait_was() -> None:
    world = World()
    world.devices.rows[user_row_key("u0")] = encode_user_row(UserRow(at=1, muted_until=T0 + MINUTES_MS))
    await world.wait(10_000)
    assert world.ended() == {"u0": ("suppressed", "muted")}


NIGHT = (QuietHours(DAYS, "08:01", "10:00"),)  # T0 is 08:00 in UTC, 09:00 in Berlin
HOUR_MS = 3_600_000


def parked(world: World) -> dict[str, int]:
    """Until when whose work is kept aside."""
    found: dict[str, int] = {}
    for each in world.harness.outbox.of(topics.PARKED):
        for part in decode_batch(each.value or b"").messages:
            found |= dict.fromkeys(part.targets.user, time_of(each.headers) or 0)
    return found


@pytest.mark.parametrize("of_app", [False, True])
async def test_quiet_hours_that_a_user_chose_while_it_waited_for_its_retry_hold_it(of_app: bool) -> None:
    world = World()
    part = world.batch.messages[0]
    part.targets.expires_at[:] = [T0 + 10 * HOUR_MS] * 3
    world.devices.rows[user_row_key("u1", part.app if of_app else "")] = encode_user_row(
        UserRow(at=1, quiet_hours=NIGHT)
    )
    await world.wait(70_000)
    assert world.sent() == ["u0", "u2"]
    assert parked(world) == {"u1": T0 + 2 * HOUR_MS}
    assert world.ended() == {}


async def test_who_ended_the_quiet_hours_or_travelled_meanwhile_has_it_judged_by_that() -> None:
    world = World()
    part = world.batch.messages[0]
    part.targets.expires_at[:] = [T0 + 48 * HOUR_MS] * 3
    part.quiet = QuietTerms(Quiet.HOLD, "UTC", NIGHT)
    for user, wants in {
        "u0": UserRow(at=1),
        "u1": UserRow(at=1, quiet_hours=NIGHT, time_zone="Europe/Berlin"),
        "u2": UserRow(at=1, quiet_hours=NIGHT),
    }.items():
        world.devices.rows[user_row_key(user)] = encode_user_row(wants)
    world.change(2, time_zone="Asia/Tokyo")
    await world.wait(70_000)
    assert world.sent() == ["u0", "u2"]
    assert parked(world) == {"u1": T0 + HOUR_MS}, "ten o'clock in Berlin"


async def test_a_first_try_that_was_judged_by_what_is_chosen_now_is_not_held_again_by_its_sender() -> None:
    world = World()
    world.batch.messages[0].quiet = QuietTerms(Quiet.HOLD, "UTC", NIGHT, first_try=True)
    await world.wait(70_000)
    [sent] = world.harness.outbox.of("push.send.apns.urgent.v1")
    [again] = decode_batch(sent.value or b"").messages
    assert again.quiet == QuietTerms(Quiet.HOLD, "UTC", NIGHT)


@pytest.mark.parametrize(
    ("klass", "held"), [("default", True), ("alarm", False), ("may", False), ("unheard_of", False)]
)
async def test_hours_that_were_none_when_it_was_planned_hold_what_could_not_pass_by_its_class_or_word(
    klass: str, held: bool
) -> None:
    """Whether an event of a class with may_override asked to pass is not known any more: what was planned counts."""
    world = World()
    part = world.batch.messages[0]
    part.klass, part.targets.expires_at[:] = klass, [T0 + 10 * HOUR_MS] * 3
    world.devices.rows[user_row_key("u0")] = encode_user_row(UserRow(at=1, quiet_hours=NIGHT))
    await world.wait(70_000)
    assert bool(parked(world)) == held


@pytest.mark.parametrize("trouble", ["no table", "a device nobody can read"])
async def test_without_a_readable_row_it_is_judged_by_the_hours_that_it_was_planned_with(trouble: str) -> None:
    world = World()
    part = world.batch.messages[0]
    part.targets.expires_at[:] = [T0 + 10 * HOUR_MS] * 3
    part.quiet = QuietTerms(Quiet.HOLD, "UTC", NIGHT)
    if trouble == "no table":
        world.devices.here = False
    else:
        elsewhere = encode_user_row(UserRow(at=1, quiet_hours=(QuietHours(DAYS, "08:01", "09:00"),)))
        world.devices.rows = dict.fromkeys(world.keys, b"\xc3\x01tomorrow")
        world.devices.rows |= {user_row_key(user): elsewhere for user in part.targets.user}
    await world.wait(70_000)
    assert parked(world) == dict.fromkeys(("u0", "u1", "u2"), T0 + 2 * HOUR_MS)


async def test_what_is_kept_for_quiet_hours_leaves_at_the_next_pass_after_they_were_ended() -> None:
    lab = Lab()
    devices = Devices()
    lab.stage._outputs._recheck = Recheck(cast(Any, devices), SETTINGS)
    part = message(1, expires_at=T0 + 10 * HOUR_MS)
    part.quiet = QuietTerms(Quiet.HOLD, "UTC", NIGHT)
    [user], [device], [digest] = part.targets.user, part.targets.device, part.targets.token_hash
    row = DeviceRow(part.app, device, "apns", "token", b"a", "", digest, "active", T0, T0)
    devices.rows[device_row_key(user, part.app, device)] = encode_row(row)
    devices.rows[user_row_key(user)] = encode_user_row(UserRow(at=1, quiet_hours=NIGHT))
    await lab.feed(waiting(100, send_batch(part), T0 + 70_000))
    await lab.pass_time(70)
    await lab.bring_back()
    await lab.pass_time(PASS_SECONDS)
    assert lab.sent() == [], "the hours last until ten"
    devices.rows[user_row_key(user)] = encode_user_row(UserRow(at=2))
    await lab.bring_back()
    await lab.pass_time(2 * PASS_SECONDS)
    assert lab.sent() == ["u0"]
