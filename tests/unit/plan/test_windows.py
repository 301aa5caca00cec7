"""Windows without Kafka: when they close, what shares a record, what fits one."""

from __future__ import annotations

import random
from typing import Any, cast

import msgspec
import pytest

from pushcast.config.classes import Class
from pushcast.model.batch import NO_NOTES, ReceiptLabel
from pushcast.model.device import DeviceRow
from pushcast.model.ids import delivery_id, device_row_key, token_hash
from pushcast.model.notification import Notification
from pushcast.model.sealing import Sealing
from pushcast.plan.entry import Entry
from pushcast.plan.windows import PartitionWindows, WindowLimits, WindowRule
from pushcast.stream.batch import Batch
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.devices.row_reader import Device, active_device
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.sending.batches import PLAIN_TYPE, decode_batch

CLASSES = {
    "default": Class(window_seconds=0.05),
    "slow": Class(window_seconds=60),
    "digest": Class(window_min_seconds=1, window_max_seconds=2),
}
APPS = ["news", "chat", "foo", "bar"]
DECODER = NotificationDecoder(APPS, {name: ClassRule(86_400_000) for name in CLASSES})
BATCH = cast(Batch, object())
T2000 = 946_684_800_000
LIMITS = WindowLimits(max_targets=500, max_batch_bytes=524_288, max_open_records=50_000, max_open_bytes=16 << 20)


def rules(seed: int = 1, classes: dict[str, Class] = CLASSES) -> dict[str, WindowRule]:
    rng = random.Random(seed)
    return {name: WindowRule(rule, rng) for name, rule in classes.items()}


def windows(limits: WindowLimits = LIMITS) -> PartitionWindows:
    return PartitionWindows(rules(), limits)


def note(user: str = "u", note_id: str = "n", **fields: Any) -> Notification:
    import json

    event = {"id": note_id, "title": "Goal!", **fields}
    return DECODER.decode(user, json.dumps(event).encode(), 1_800_000_000_000)


def device(user: str, name: str, app: str = "news", platform: str = "apns", token: bytes = b"a", **more: Any) -> Device:
    row = DeviceRow(app, name, platform, "token", token, "", token_hash(token), "active", 1, 1, **more)
    found = active_device(device_row_key(user, app, name), encode_row(row))
    assert found is not None
    return found


def entry(note: Notification, offset: int = 0, weight: int = 100) -> Entry:
    return Entry(BATCH, offset, weight, note)


def taken(open_windows: PartitionWindows) -> list[Any]:
    found = []
    while open_windows.has_closed:
        window = open_windows.take_closed()
        value = window.encode("normal")
        assert len(value) <= window.bytes
        found.append(decode_batch(value))
    return found


def test_a_thousand_tokens_at_the_default_limit_are_exactly_two_batches() -> None:
    open_windows = windows()
    for number in range(1000):
        user = f"user-{number}"
        token = f"{number:033d}:APA91b{'x' * 134}".encode()
        open_windows.add(entry(note(user), number), [device(user, f"device-{number}", token=token)], 0.0)
    assert [batch.target_count for batch in taken(open_windows)] == [500, 500]
    assert open_windows.next_due() is None


def test_what_shares_a_message_is_app_content_and_options_in_first_seen_order() -> None:
    # features.md §3: token "a" as FCM dry, FCM live, APNs topic foo, APNs topic bar
    open_windows = windows()
    dry, live = note(options={"dry_run": True}, note_id="1"), note(note_id="2")
    open_windows.add(entry(dry, 0), [device("u", "d", "news", "fcm")], 0.0)
    open_windows.add(entry(live, 1), [device("u", "d", "news", "fcm")], 0.0)
    for offset, app in enumerate(("foo", "bar"), 2):
        open_windows.add(entry(live, offset), [device("u", "d", app, "apns")], 0.0)
    open_windows.add(entry(note("v", note_id="2"), 4), [device("v", "d", "foo", "apns")], 0.0)
    open_windows.close_all()
    fcm, apns = taken(open_windows)
    assert [(m.app, m.options.dry_run, len(m.targets)) for m in fcm.messages] == [
        ("news", True, 1),
        ("news", False, 1),
    ]
    assert [(m.app, len(m.targets)) for m in apns.messages] == [("foo", 2), ("bar", 1)]
    assert (fcm.platform, apns.platform) == ("fcm", "apns")


@pytest.mark.parametrize(
    "other",
    [{"title": "x"}, {"body": "b"}, {"data": {"a": "b"}}, {"locales": {"de": {"title": "x"}}}]
    + [{"options": option} for option in ({"badge": 1}, {"collapse_id": "c"}, {"priority": "normal"})],
)
def test_another_content_or_option_is_another_message(other: dict[str, Any]) -> None:
    open_windows = windows()
    open_windows.add(entry(note("u")), [device("u", "d")], 0.0)
    open_windows.add(entry(note("v", **other), 1), [device("v", "d")], 0.0)
    open_windows.close_all()
    (batch,) = taken(open_windows)
    assert [len(message.targets) for message in batch.messages] == [1, 1]
    assert batch.messages[0].content_hash != batch.messages[1].content_hash


def test_each_locale_s_variant_is_a_message_of_its_own() -> None:
    open_windows = windows()
    variants = {"de": {"title": "Tor!"}, "de-AT": {"body": "eins"}}
    locales = ["de-DE", "de_AT", "fr-FR", None, "de"]
    for offset, locale in enumerate(locales):
        written = note(f"u{offset}", body="1:0", locales=variants)
        open_windows.add(entry(written, offset), [device(f"u{offset}", "d", locale=locale)], 0.0)
    open_windows.close_all()
    (batch,) = taken(open_windows)
    assert [(m.content.title, m.content.body, m.targets.user) for m in batch.messages] == [
        ("Tor!", "1:0", ["u0", "u4"]),
        ("Goal!", "eins", ["u1"]),
        ("Goal!", "1:0", ["u2", "u3"]),
    ]
    assert all(message.content.locales == {} for message in batch.messages)
    assert len({message.content_hash for message in batch.messages}) == 3


def test_devices_of_one_user_get_their_own_languages() -> None:
    open_windows = windows()
    written = note("u", locales={"de": {"title": "Tor!"}})
    phones = [device("u", f"d{n}", token=b"%d" % n, locale=locale) for n, locale in enumerate(("de", "en", "de"))]
    open_windows.add(entry(written), phones, 0.0)
    open_windows.close_all()
    (batch,) = taken(open_windows)
    assert [(m.content.title, m.targets.device) for m in batch.messages] == [("Tor!", ["d0", "d2"]), ("Goal!", ["d1"])]


def test_notifications_of_other_ids_share_a_message_and_keep_their_own_id_time_and_expiry() -> None:
    open_windows = windows()
    for offset, (user, expires_at) in enumerate((("u", 5000), ("v", 6000))):
        written = note(user, f"id-{user}", created_at=T2000 + offset, expires_at=T2000 + expires_at, trace=f"00-{user}")
        open_windows.add(entry(written, 40 + offset), [device(user, "d")], 0.0)
    open_windows.close_all()
    ((message,),) = [batch.messages for batch in taken(open_windows)]
    assert message.notification_ids == ["id-u", "id-v"]
    assert (message.created_at, message.traces) == ([T2000, T2000 + 1], ["00-u", "00-v"])
    assert message.targets.notification == [0, 1]
    assert message.targets.expires_at == [T2000 + 5000, T2000 + 6000]
    assert message.targets.source_offset == [40, 41]
    assert message.targets.delivery_id == [delivery_id(f"id-{user}", user, "news", "d") for user in ("u", "v")]


def test_one_campaign_for_many_users_is_named_once() -> None:
    open_windows = windows()
    for offset, user in enumerate("abc"):
        open_windows.add(entry(note(user, created_at=T2000, expires_at=T2000 + 9), offset), [device(user, "d")], 0.0)
    open_windows.close_all()
    assert taken(open_windows)[0].messages[0].notification_ids == ["n"]


@pytest.mark.parametrize("repeated", ["lost", "é" * 60, '"' * 60])
def test_what_repeats_another_says_so_and_shares_no_message_with_what_does_not(repeated: str) -> None:
    open_windows = windows()
    for offset, (user, fields) in enumerate(
        [("u", {}), ("v", {"replay_of": repeated}), ("w", {"replay_of": "lost", "campaign": "again"})]
    ):
        open_windows.add(entry(note(user, f"id-{user}", **fields), offset), [device(user, "d")], 0.0)
    open_windows.close_all()
    [batch] = taken(open_windows)
    first, again = batch.messages
    assert (first.notification_ids, first.notes) == (["id-u"], NO_NOTES)
    assert again.notification_ids == ["id-v", "id-w"]
    assert [again.notes.label(number) for number in (0, 1)] == [
        ReceiptLabel(replay_of=repeated),
        ReceiptLabel(campaign="again", replay_of="lost"),
    ]


def test_each_target_says_which_version_of_the_app_it_is_so_that_its_receipt_can() -> None:
    open_windows = windows()
    found = [device("u", "a", app_version="7.1"), device("u", "b"), device("u", "c", app_version="ü" * 70)]
    open_windows.add(entry(note()), found, 0.0)
    open_windows.close_all()
    [batch] = taken(open_windows)
    assert batch.messages[0].targets.app_version == ["7.1", None, "ü" * 70]


def test_an_earlier_generation_has_no_versions_because_senders_of_that_release_cannot_read_them() -> None:
    open_windows = windows()
    open_windows.add(entry(note()), [device("u", "a", app_version="7.1")], 0.0)
    open_windows.close_all()
    value = open_windows.take_closed().encode("normal", generation=1)
    assert value.startswith(PLAIN_TYPE.frame)
    assert decode_batch(value).messages[0].targets.app_version is None


def test_a_window_closes_at_its_time_and_not_before() -> None:
    open_windows = windows()
    open_windows.add(entry(note()), [device("u", "d")], 10.0)
    assert open_windows.next_due() == 10.05
    open_windows.close_due(10.04)
    assert not open_windows.has_closed
    open_windows.close_due(10.05)
    assert open_windows.has_closed
    assert open_windows.next_due() is None


def test_later_targets_do_not_keep_a_window_open() -> None:
    open_windows = windows()
    for offset in range(3):
        open_windows.add(entry(note(f"u{offset}"), offset), [device(f"u{offset}", "d")], 10.0 + offset * 0.02)
    assert open_windows.next_due() == 10.05


def test_classes_and_platforms_have_windows_of_their_own() -> None:
    open_windows = windows()
    open_windows.add(entry(note()), [device("u", "d"), device("u", "e", platform="fcm")], 0.0)
    open_windows.add(entry(note("v", **{"class": "slow"}), 1), [device("v", "d")], 0.0)
    open_windows.close_due(1.0)
    assert [batch.platform for batch in taken(open_windows)] == ["apns", "fcm"]
    assert open_windows.next_due() == 60.0


def test_a_random_window_is_drawn_once_per_window_from_its_half_open_range() -> None:
    class Highest(random.Random):
        def random(self) -> float:
            return 1.0 - 2**-53

    draws = [WindowRule(CLASSES["digest"], random.Random(7)).draw() for _ in range(2)]
    assert draws[0] == draws[1], "the same seed gives the same windows"
    rule = WindowRule(CLASSES["digest"], random.Random(7))
    many = [rule.draw() for _ in range(1000)]
    assert min(many) >= 1
    assert max(many) < 2
    assert len(set(many)) > 900
    assert 1 <= WindowRule(CLASSES["digest"], Highest()).draw() < 2
    open_windows = windows()
    for offset in range(3):
        open_windows.add(entry(note(f"u{offset}", **{"class": "digest"}), offset), [device(f"u{offset}", "d")], 0.0)
    assert open_windows.next_due() == 1 + random.Random(1).random()


def test_the_same_minimum_and_maximum_is_that_window() -> None:
    assert WindowRule(Class(window_min_seconds=3, window_max_seconds=3), random.Random()).draw() == 3


def test_a_user_with_more_devices_than_a_record_takes_gets_them_all() -> None:
    open_windows = windows(small(3))
    many = entry(note())
    open_windows.add(many, [device("u", f"d-{number}", app) for app in ("chat", "news") for number in range(4)], 0.0)
    open_windows.close_all()
    batches = taken(open_windows)
    assert [batch.target_count for batch in batches] == [3, 3, 2]
    devices = [(m.app, d) for batch in batches for m in batch.messages for d in m.targets.device]
    assert len(set(devices)) == 8
    assert many.open == 3
    assert sum(many.counts) == 8


def small(targets: int = 500, size: int = 524_288, records: int = 50_000, held: int = 16 << 20) -> WindowLimits:
    return WindowLimits(targets, size, records, held)


def test_a_record_that_is_full_by_bytes_closes_before_the_next_target() -> None:
    open_windows = windows(small(1000, 524_288))
    for number in range(300):
        user = f"{'ü' * 120}-{number}"
        open_windows.add(entry(note(user), number), [device(user, "d" * 256, token=b"t" * 4096)], 0.0)
    open_windows.close_all()
    batches = taken(open_windows)
    assert sum(batch.target_count for batch in batches) == 300
    assert len(batches) == 3


def test_contents_of_64_kilobytes_for_several_apps_stay_within_the_record() -> None:
    open_windows = windows()
    everywhere = [device("u", "d", app) for app in sorted(APPS)]
    for number in range(5):
        written = note("u", f"n-{number}", body=f"{number}" * 64_000)
        open_windows.add(entry(written, number), everywhere, 0.0)
    open_windows.close_all()
    batches = taken(open_windows)
    assert sum(batch.target_count for batch in batches) == 20
    assert len(batches) == 3


def test_a_large_content_for_many_users_is_counted_once() -> None:
    open_windows = windows()
    for number in range(500):
        user = f"u-{number}"
        open_windows.add(entry(note(user, body="b" * 60_000), number), [device(user, "d")], 0.0)
    assert [batch.target_count for batch in taken(open_windows)] == [500]


def test_all_windows_close_when_the_partition_holds_too_many_records_or_bytes() -> None:
    for limits in (small(records=3), small(held=3 * 1000)):
        open_windows = windows(limits)
        added = 0
        while not open_windows.has_closed:
            user = f"u-{added}"
            klass = "slow" if added % 2 else "default"
            open_windows.add(entry(note(user, **{"class": klass}), added, 700), [device(user, "d")], 0.0)
            added += 1
            assert added <= 3
        assert open_windows.next_due() is None
        taken(open_windows)
        open_windows.add(entry(note(), 9), [device("u", "d")], 0.0)
        assert not open_windows.has_closed, "what has closed counts no more"


def test_an_entry_lets_its_content_go_when_it_is_in_its_windows() -> None:
    open_windows = windows()
    first = entry(note())
    open_windows.add(first, [device("u", "d")], 0.0)
    assert first.note is None
    with pytest.raises(ValueError, match="already"):
        open_windows.add(first, [device("u", "d")], 0.0)


def test_a_sealed_content_takes_the_keys_of_its_devices_along_and_no_other_does() -> None:
    opened = windows()
    keyed = device("u", "d", content_key=b"its own key")
    for title, sealing in (("Goal!", None), ("Secret", Sealing("New message"))):
        made = msgspec.structs.replace(note(title=title), sealing=sealing)
        opened.add(entry(made), [keyed, device("u", "e")], 0.0)
    opened.close_all()
    window = opened.take_closed()
    plain, sealed = decode_batch(window.encode("normal")).messages
    assert (plain.sealing, plain.targets.content_key) == (None, None)
    assert (sealed.sealing, sealed.targets.content_key) == (Sealing("New message"), [b"its own key", None])
    assert len(window.encode("normal")) <= window.bytes
