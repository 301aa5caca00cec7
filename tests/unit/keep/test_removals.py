"""What takes shown notifications back: facts R1 and R2 of reference/time.md at the keeper."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.keep.removals import (
    MAX_ID_BYTES,
    OtherRemoval,
    RemovalAsked,
    apple_waits_until,
    has_left,
    merged,
    opened,
    removal_id,
)
from pushcast.keep.rules import released
from pushcast.model.ids import device_name, device_row_key
from pushcast.model.recalls import RemovalScope, only_of, scope_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.waiting.recallable import (
    MAX_PUSHES,
    MAX_SHOWN,
    Push,
    Recallable,
    encode_recallable,
    is_recallable,
    readable_recallable,
    recallable_key,
)
from pushcast.wire.waiting.shown_devices import MAX_DEVICES
from pushcast.wire.waiting.thread_places import thread_place
from pushcast.wire.waiting.timers import Timer, timer_key, timers_prefix
from twins.keep import T0, USERS, KeepWorld, keeper_of, told

ANN = USERS[0]
PHONE = b"a phone."


def pushes(world: KeepWorld) -> list[dict[str, Any]]:
    return [orjson.loads(each.value() or b"") for each in world.due() if each.topic() == topics.due(Lane.NORMAL)]


async def test_r1_a_cancel_with_remove_becomes_one_push_with_the_newest_200_ids() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    names = [f"n{number}" for number in range(250)]
    world.cancel(*names, remove=True)
    await told(keeper, 29.999)
    assert pushes(world) == []
    await told(keeper, 0.001)
    [push] = pushes(world)
    assert push["id"].startswith("remove:")
    assert (push["class"], push["app"]) == ("remove", None)
    assert push["options"] == {"push_type": "background", "priority": "normal", "collapse_id": "remove"}
    assert push["data"] == {"event": "remove", "ids": names[50:], "seq": T0}
    assert push["expires_at"] == T0 + 30_000 + 3_600_000
    assert keeper.cancels.state.count == 250, "all of them must not leave any more"


def of_scope(world: KeepWorld, scope: RemovalScope) -> list[list[str]]:
    """The ids of each removal that these devices have got."""
    return [push["data"]["ids"] for push in pushes(world) if scope_of(push["id"]).covers(scope)]


async def test_r2_three_removals_in_ten_seconds_are_one_push_and_apples_next_ones_wait_for_their_hour() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    for name in "abc":
        world.cancel(name, remove=True)
        await told(keeper, 3)
    await told(keeper, 30)
    assert [push["data"]["ids"] for push in pushes(world)] == [["a", "b", "c"]]
    world.cancel("d", remove=True)
    await told(keeper, 600)
    assert len(pushes(world)) == 2
    for name in "ef":
        world.cancel(name, remove=True)
        await told(keeper, 600)
    assert of_scope(world, RemovalScope.APPLE) == [["a", "b", "c"], ["d"]], "two in this hour"
    assert of_scope(world, RemovalScope.OTHERS) == [["a", "b", "c"], ["d"], ["e"], ["f"]], "nobody else has a budget"
    await told(keeper, 3600)
    assert of_scope(world, RemovalScope.APPLE) == [["a", "b", "c"], ["d"], ["e", "f"]]
    assert of_scope(world, RemovalScope.OTHERS) == [["a", "b", "c"], ["d"], ["e"], ["f"]]
    world.cancel("g", remove=True)
    await told(keeper, 3600)
    assert [push["data"]["ids"] for push in pushes(world)][-1] == ["g"], "one for all again"


async def test_r2_no_device_of_apples_gets_a_third_within_an_hour_by_cancels_for_one_and_for_all_apps() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    left: list[tuple[int, str, str | None]] = []
    for number in range(24):
        app = ("news", None, "chat", "news")[number % 4]
        world.cancel(f"n{number}", app=app, remove=True)
        before = len(pushes(world))
        await told(keeper, 300)
        minute = 5 * (number + 1)
        left += [(minute, push["id"], push["app"]) for push in pushes(world)[before:]]
    for app in ("news", "chat"):
        minutes = [
            minute
            for minute, note_id, its in left
            if its in (app, None) and scope_of(note_id).covers(RemovalScope.APPLE)
        ]
        assert all(later - earlier > 54 for earlier, later in zip(minutes, minutes[2:], strict=False)), minutes
        others = [note_id for _, note_id, its in left if its in (app, None)]
        assert len(others) > len(minutes), "the others waited for none of it"


async def test_a_keeper_that_is_killed_between_the_two_halves_of_a_removal_writes_the_other_one() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    for name in "ab":
        world.cancel(name, remove=True)
        await told(keeper, 60)
    world.cancel("c", remove=True)
    await keeper.feed()
    waiting = [key for key, value in keeper.table.rows.items() if b"remove:" in key and b"others" in key]
    assert waiting == []
    [at] = [n for n, (_, put) in enumerate(keeper.outbox.pending) if b":apple:" in (put.key or b"")]
    keeper.outbox.acknowledge(at)
    keeper.die()
    second = await keeper_of(world)
    await told(second, 7200)
    assert of_scope(world, RemovalScope.OTHERS) == [["a"], ["b"], ["c"]]
    assert of_scope(world, RemovalScope.APPLE) == [["a"], ["b"], ["c"]]


async def test_removals_of_two_apps_are_two_pushes() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.cancel("a", app="news", remove=True)
    world.cancel("b", app="chat", remove=True)
    await told(keeper, 30)
    assert sorted((push["app"], *push["data"]["ids"]) for push in pushes(world)) == [("chat", "b"), ("news", "a")]


async def test_a_thread_is_taken_back_as_a_whole() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.cancel(app="news", thread="t1", remove=True)
    await told(keeper, 30)
    [push] = pushes(world)
    assert push["data"] == {"event": "remove", "ids": [], "seq": T0, "threads": ["t1"]}


async def test_what_never_left_needs_no_removal() -> None:
    """R3, for what the keeper holds: the cancel is enough."""
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    keeper = await keeper_of(world)
    world.cancel("n", remove=True)
    await told(keeper, 60)
    assert [each["id"] for each in pushes(world)] == ["n"]


async def test_a_cancel_that_is_read_again_takes_nothing_back_twice() -> None:
    world = KeepWorld()
    world.cancel("a", remove=True)
    first = await keeper_of(world)
    await told(first, 30)
    assert len(pushes(world)) == 1
    first.die()  # nothing is committed: the cancel comes again
    second = await keeper_of(world)
    await told(second, 60)
    assert len(pushes(world)) == 1
    world.cancel("b", remove=True)
    await told(second, 60)
    assert [push["data"]["ids"] for push in pushes(world)] == [["a"], ["b"]]


async def test_p2_what_was_accepted_and_is_read_on_one_device_is_taken_off_the_others() -> None:
    world = KeepWorld()
    for note_id, device in (("a", "d-1"), ("a", "d-2"), ("b", "d-1"), ("c", "d-1")):
        world.offer(note_id, device)
    keeper = await keeper_of(world)
    world.engage("read", ids=["a", "b", "unknown"])
    world.engage("read", ids=["a"])
    world.engage("opened", ids=["c"])
    await told(keeper, 30)
    [push] = pushes(world)
    assert (push["app"], push["class"], push["data"]["ids"]) == ("news", "remove", ["a", "b"])
    await told(keeper, 3_600)
    world.engage("read", ids=["a", "b"])
    await told(keeper, 3_600)
    assert len(pushes(world)) == 1, "what was taken off is known no more"


async def test_a6_a_thread_that_is_read_on_one_device_is_taken_off_the_others_up_to_where_it_was_read() -> None:
    world = KeepWorld()
    world.offer("a", "d-1", thread="t1", created_at=T0 - 9)
    world.offer("b", "d-1", thread="t1", created_at=T0 - 3)
    world.offer("c", "d-1", thread="t2", created_at=T0 - 9)
    world.offer("d", "d-1")
    keeper = await keeper_of(world)
    world.engage("read", app="chat", thread="t1", up_to=T0)
    world.engage("read", thread="t1", up_to=T0 - 5)
    await told(keeper, 30)
    assert [(push["app"], push["data"]["ids"]) for push in pushes(world)] == [("news", ["a"])]
    await keeper.commit_now(keeper.partitions())
    keeper.die()
    successor = await keeper_of(world)
    world.engage("read", thread="t1", up_to=T0, ids=["d"])
    await told(successor, 30)
    assert [push["data"]["ids"] for push in pushes(world)] == [["a"], ["b", "d"]]


async def test_d8_a_thread_that_is_taken_back_is_deleted_where_a_service_still_has_it() -> None:
    world = KeepWorld()
    world.offer("a", "d-1", "m1", thread="t1")
    world.offer("b", "d-1", "m2", thread="t2")
    keeper = await keeper_of(world)
    world.cancel(app="news", thread="t1", remove=True)
    await told(keeper, 30)
    [push] = pushes(world)
    assert (push["data"]["ids"], push["data"]["threads"]) == ([], ["t1"])
    assert push["platforms"]["webpush"]["recall"] == [{"device": "d-1", "message": "m1"}]


async def test_r3_what_is_read_while_it_waits_on_a_rung_needs_no_removal() -> None:
    """No sender has told that a device got it."""
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.engage("read", ids=["on-a-rung"])
    await told(keeper, 60)
    assert pushes(world) == []


async def test_what_was_read_in_another_app_stays_and_a_kill_asks_for_nothing_twice() -> None:
    for seed in range(20):
        world = KeepWorld(seed)
        world.offer("a", "d-1")
        first = await keeper_of(world)
        await first.commit_now(first.partitions())
        world.engage("read", ids=["a"], app="chat")
        await told(first)
        world.engage("read", ids=["a"])
        await first.feed()
        first.outbox.land(world.rnd)
        first.die()
        second = await keeper_of(world)
        await told(second, 3_600)
        await told(second, 3_600)
        assert [push["data"]["ids"] for push in pushes(world)] == [["a"]]


async def test_a_removal_of_what_was_read_takes_cancels_along_and_hides_none() -> None:
    world = KeepWorld()
    world.cancel("x", remove=True)
    world.offer("a", "d-1", "m1")
    keeper = await keeper_of(world)
    world.engage("read", ids=["a"])
    world.cancel("y", remove=True, app="news")
    await told(keeper, 60)
    assert sorted(push["data"]["ids"] for push in pushes(world)) == [["x"], ["y", "a"]]
    assert [push["platforms"]["webpush"]["recall"] for push in pushes(world) if "platforms" in push] == [
        [{"device": "d-1", "message": "m1"}]
    ]


async def test_d8_a_removal_names_what_push_services_may_still_have() -> None:
    world = KeepWorld()
    world.offer("a", "d-1", "m1")
    world.offer("a", "d-1", "m1")
    world.offer("b", "d-2", "m2")
    keeper = await keeper_of(world)
    world.cancel("a", remove=True)
    await told(keeper, 10)
    world.cancel("b", "c", remove=True)
    await told(keeper, 30)
    [push] = pushes(world)
    assert push["data"]["ids"] == ["a", "b", "c"]
    recall = [{"device": "d-1", "message": "m1"}, {"device": "d-2", "message": "m2"}]
    assert push["platforms"] == {"webpush": {"recall": recall}}


async def test_a2_a_removal_says_what_it_replaces_on_each_device() -> None:
    world = KeepWorld()
    world.offer("a", "d-1", tag="score")
    world.offer("a", "d-2", "m2", tag="9f86")
    world.offer("b", "d-3", "m3")
    keeper = await keeper_of(world)
    world.cancel("a", "b", remove=True)
    await told(keeper, 30)
    [push] = pushes(world)
    assert push["platforms"]["webpush"]["recall"] == [
        {"device": "d-1", "tag": "score"},
        {"device": "d-2", "message": "m2", "tag": "9f86"},
        {"device": "d-3", "message": "m3"},
    ]


async def test_a2_what_a_sender_tells_while_the_removal_waits_is_deleted_or_replaced_too() -> None:
    """Its keeper may hear of the cancel first."""
    world = KeepWorld()
    world.offer("b", "d-1")
    keeper = await keeper_of(world)
    world.cancel("a", remove=True)
    world.cancel("b", remove=True)
    await told(keeper, 10)
    for _ in range(2):
        world.offer("a", "d-2", "m2", tag="score")
    world.offer("b", "d-1")
    await told(keeper, 20)
    [push] = pushes(world)
    assert push["platforms"]["webpush"]["recall"] == [{"device": "d-2", "message": "m2", "tag": "score"}]


def test_a_try_in_doubt_that_is_told_after_the_push_was_taken_leaves_its_name() -> None:
    row = Recallable().having(Push("a", "d", "m1", "tag")).having(Push("b", "d", "m2", "tag"))
    assert row.having(Push("a", "d", "", "tag")) == row
    assert row.having(Push("a", "d", "m3", "tag")).pushes == (Push("b", "d", "m2", "tag"), Push("a", "d", "m3", "tag"))


def test_what_can_be_taken_back_is_bounded_and_known_once_for_each_device() -> None:
    row = Recallable()
    for number in range(MAX_PUSHES + 3):
        row = row.having(Push(f"n{number}", "d", f"m{number}"))
    assert [row.pushes[0].notification, len(row.pushes)] == ["n3", MAX_PUSHES]
    assert row.having(Push("n9", "d", "again")).pushes[-1].message == "again"
    assert len(row.having(Push("n9", "d", "again")).pushes) == MAX_PUSHES
    for number in range(MAX_SHOWN + 3):
        place = thread_place(f"t{number % 2}", number)
        row = row.showing(f"n{number}", PHONE, place).showing(f"n{number}", PHONE)
    assert (row.shown[0], len(row.shown)) == ("n3", MAX_SHOWN)
    assert readable_recallable(encode_recallable(row)) == row
    assert row.in_thread("t1", 8) == ["n3", "n5", "n7"]
    less = row.without(["n5", "n6"])
    assert less is not None
    assert less.in_thread("t1", 8) == ["n3", "n7"]
    assert row.without({*row.shown, *(push.notification for push in row.pushes)}) is None
    assert readable_recallable(b"x") is None
    assert is_recallable(recallable_key("ann", "news"))
    assert not is_recallable(b"ann\0t\0r")


def test_the_id_of_a_removal_is_that_of_its_first_cancel() -> None:
    asked = RemovalAsked("news", ("a",), None, 7, T0)
    later = RemovalAsked("news", ("b",), None, 8, T0 + 5)
    assert removal_id(asked) == removal_id(asked) != removal_id(later)
    timer = merged(opened(asked, T0 + 30_000), later, removal_id(asked))
    event = orjson.loads(timer.event)
    assert (event["id"], event["data"]["ids"], event["data"]["seq"]) == (removal_id(asked), ["a", "b"], T0 + 5)
    assert (timer.keep_offset, timer.due_at) == (8, T0 + 30_000), "when it is due does not move"


def test_what_is_named_again_counts_as_new_and_long_ids_are_fewer() -> None:
    asked = RemovalAsked(None, ("a", "b", "a"), None, 7, T0)
    assert orjson.loads(opened(asked, T0).event)["data"]["ids"] == ["b", "a"]
    long = tuple(f"{number:0256}" for number in range(100))
    ids = orjson.loads(opened(RemovalAsked(None, long, None, 7, T0), T0).event)["data"]["ids"]
    assert ids == list(long[-len(ids) :])
    assert len(orjson.dumps(ids)) <= MAX_ID_BYTES + 2


@pytest.mark.parametrize(("minutes_ago", "waits_minutes"), [((50, 10), 10), ((70, 10), -10), ((10,), None), ((), None)])
def test_r2_no_hour_has_more_than_two(minutes_ago: tuple[int, ...], waits_minutes: float | None) -> None:
    others = [OtherRemoval("news", RemovalScope.ALL, T0 - minutes * 60_000) for minutes in minutes_ago]
    expected = 0 if waits_minutes is None else T0 + waits_minutes * 60_000
    assert apple_waits_until("news", others, 2) == expected
    assert apple_waits_until(None, others, 2) == expected, "one for all apps is one in each"
    assert apple_waits_until("chat", others, 2) == 0
    assert apple_waits_until("news", [each._replace(scope=RemovalScope.OTHERS) for each in others], 2) == 0


def test_the_id_of_a_removal_says_which_devices_get_it() -> None:
    asked = RemovalAsked(None, ("a",), None, 7, T0)
    ids = {scope: removal_id(asked, scope) for scope in RemovalScope}
    assert {scope: scope_of(note_id) for scope, note_id in ids.items()} == {scope: scope for scope in RemovalScope}
    assert all(note_id.startswith("remove:") for note_id in ids.values())


def test_a_notification_has_left_unless_all_of_it_is_held_or_called_off() -> None:
    waits = Timer("normal", 1, T0, T0)
    called_off = released(Timer("normal", 1, T0, T0, closes="cancelled"), T0)
    assert has_left([])
    assert has_left([released(waits, T0)])
    assert has_left([released(waits, T0), waits]), "a part of it"
    assert not has_left([waits])
    assert not has_left([called_off])


def named(device: str, app: str = "news") -> bytes:
    return device_name(device_row_key(ANN, app, device))


def only_devices(world: KeepWorld) -> list[set[bytes] | None]:
    """The devices of each removal; None: all."""
    found = [only_of(push.get("platforms", {})) for push in pushes(world)]
    return [None if each is None else set(each) for each in found]


async def test_a2_a_removal_goes_to_the_devices_that_got_what_it_names() -> None:
    world = KeepWorld()
    world.offer("a", "phone")
    world.offer("a", "tablet")
    world.offer("b", "watch")
    keeper = await keeper_of(world)
    world.cancel("a", remove=True)
    await told(keeper, 30)
    world.engage("read", ids=["b"])
    await told(keeper, 30)
    assert only_devices(world) == [{named("phone"), named("tablet")}, {named("watch")}]


async def test_a2_of_what_it_does_not_know_and_of_a_thread_it_goes_to_all_devices() -> None:
    """The class of the one is not removable, and a thread has more than what is known."""
    world = KeepWorld()
    world.offer("a", "phone", thread="t1")
    keeper = await keeper_of(world)
    world.cancel("a", "of-another-class", remove=True)
    await told(keeper, 30)
    world.cancel(app="news", thread="t1", remove=True)
    await told(keeper, 30)
    assert only_devices(world) == [None, None]


async def test_a2_one_that_joins_brings_its_devices_and_one_for_all_makes_it_one_for_all() -> None:
    world = KeepWorld()
    for number in range(3):
        world.offer(f"n{number}", f"d{number}")
    keeper = await keeper_of(world)
    for number in range(3):
        world.cancel(f"n{number}", remove=True)
        await told(keeper, 1)
    await told(keeper, 30)
    world.cancel("n0", remove=True)
    await told(keeper, 1)
    world.cancel("unknown", remove=True)
    await told(keeper, 30)
    assert only_devices(world) == [{named(f"d{number}") for number in range(3)}, None]


async def test_a2_a_device_that_got_it_while_its_removal_waits_gets_the_removal_too() -> None:
    world = KeepWorld()
    world.offer("a", "phone")
    keeper = await keeper_of(world)
    world.cancel("a", remove=True)
    await told(keeper, 20)
    world.offer("a", "tablet")
    world.offer("b", "watch")
    await told(keeper, 10)
    assert only_devices(world) == [{named("phone"), named("tablet")}]


def test_a_row_of_the_release_before_says_of_no_notification_which_devices_show_it() -> None:
    row = Recallable(shown=("a", "b"))
    assert (row.devices_of("a"), row.devices_of("c")) == ((), ())
    row = row.showing("a", PHONE).showing("c", PHONE).showing("c", b"a tablet").showing("c", PHONE)
    assert [row.devices_of(name) for name in "abc"] == [(), (), (PHONE, b"a tablet")]
    assert readable_recallable(encode_recallable(row)) == row
    many = row
    for number in range(MAX_DEVICES):
        many = many.showing("c", b"%08d" % number)
    assert many.devices_of("c") == (), "so many are not told apart"


async def test_what_is_told_of_a_push_that_nobody_takes_back_reads_no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    scanned: list[bytes] = []
    scan = keeper.table.scan

    def counted(partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        scanned.append(prefix)
        return scan(partition, prefix)

    monkeypatch.setattr(keeper.table, "scan", counted)
    world.offer("a", "phone")
    await told(keeper)
    assert not [prefix for prefix in scanned if prefix.startswith(timers_prefix(ANN.encode()))]
    world.cancel("a", remove=True)
    await told(keeper)
    scanned.clear()
    world.offer("a", "tablet")
    await told(keeper)
    assert timer_key(ANN, "remove:") in scanned, "a removal may name it"
