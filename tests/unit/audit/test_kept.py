"""What the keeper holds for a device."""

from __future__ import annotations

from pushcast.audit.kept import KeptPush, deliveries_of, of_record, of_timer, waits_for
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import broadcast_delivery_id, device_name, device_row_key
from pushcast.model.words import Reason
from pushcast.wire.waiting.facts import Facts, encode_facts
from pushcast.wire.waiting.held import Held, held_headers
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, encode_held
from pushcast.wire.waiting.timers import Timer

DUE = 1_800_000_000_000
PHONE, TABLET = (device_row_key("u-1", "news", device) for device in ("phone", "tablet"))
PART = HeldBroadcast("b-1", "u-1", 7, b"c" * 16, "", broadcast_delivery_id("b-1", PHONE), b"h" * 16)
CAP = encode_facts(Facts("frequency_cap", "default", DUE))


def timer(event: bytes, *, closes: str = "", facts: bytes = b"", done: bytes = b"") -> Timer:
    return Timer("bulk", 3, DUE, DUE - 1, closes=closes, facts=facts, done=done, event=event)


def news(_: KeptPush) -> str | None:
    return "news"


def test_a_part_of_a_broadcast_waits_for_the_devices_that_it_names() -> None:
    kept = [of_timer("u-1", "b-1", timer(encode_held(PART)))]
    [wait] = waits_for(kept, "news", "phone", news)
    assert (wait.kind, wait.id, wait.because, wait.due_at) == ("broadcast", "b-1", "quiet_hours", DUE)
    assert wait.sentence() == "broadcast b-1 waits in the keeper until 2027-01-15T08:00:00.000Z (quiet_hours)"
    assert waits_for(kept, "news", "tablet", news) == []
    assert list(deliveries_of(kept, "b-1")) == [broadcast_delivery_id("b-1", PHONE).hex()]
    assert deliveries_of(kept, "b-2") == {}


def test_a_cap_and_how_it_ends_are_named() -> None:
    assert of_timer("u-1", "b-1", timer(encode_held(PART), facts=CAP)).reason == "frequency_cap"
    assert of_timer("u-1", "b-1", timer(encode_held(PART), closes="expired")).reason == "expired"


def test_a_notification_waits_for_the_devices_of_its_app_that_were_not_planned_yet() -> None:
    kept = [of_timer("u-1", "n-1", timer(b"{}", done=device_name(TABLET)))]
    [wait] = waits_for(kept, "news", "phone", news)
    assert (wait.kind, wait.because) == ("notification", None)
    assert waits_for(kept, "news", "tablet", news) == []
    assert waits_for(kept, "chat", "phone", news) == []
    assert waits_for(kept, "chat", "phone", lambda _: None) != []


def test_what_cannot_be_read_waits_for_nobody() -> None:
    def unreadable(_: KeptPush) -> str | None:
        raise InvalidInput(Reason.INVALID_FIELD, "no event", "id")

    assert waits_for([of_timer("u-1", "n-1", timer(b"?"))], "news", "phone", unreadable) == []


def test_a_record_that_the_keeper_has_not_read_waits_as_well() -> None:
    held = Held("b-1", 0, DUE - 1, broadcast=PART.place)
    kept = of_record("u-1", "bulk", held_headers([], 3, held, None), encode_held(PART))
    [wait] = waits_for([kept], "news", "phone", news)
    assert wait.to_dict()["until"] is None
    assert wait.sentence() == "broadcast b-1 waits in the keeper and is about to be let go (quiet_hours)"
