"""Several reporters answer one question. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import partition_of
from pushcast.report.answers import cursor_of
from pushcast.report.apply import BOOKS
from pushcast.report.coordinator import Coordinator
from pushcast.report.questions import ReportQuestions
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.control.examples import ExampleFilter
from pushcast.wire.times import rfc3339
from twins.books import CREATED_MS, DAY_MS, entries, planned, receipt

PARTITIONS = 4
LOGS = dict.fromkeys(BOOKS, "log")
NOW_MS = CREATED_MS + 60_000
USERS = {partition_of(f"u{number}".encode(), PARTITIONS): f"u{number}" for number in range(40)}


class FollowerTwin:
    """Stores without Kafka."""

    def __init__(self, folder: Path, partitions: range) -> None:
        self.stores = {each: PartitionStore(folder / str(each), LOGS) for each in partitions}
        self.lock = threading.RLock()
        self.catching_up: set[int] = set()
        self.fresh: dict[int, int] = {}

    def whole(self, partition: int) -> bool:
        return partition not in self.catching_up

    def as_of(self, partition: int) -> int | None:
        return self.fresh.get(partition)


class Reporters:
    """Two of them, with two partitions each. `silent`: urls that do not answer."""

    def __init__(self, folder: Path) -> None:
        self.followers = {"a": FollowerTwin(folder, range(2)), "b": FollowerTwin(folder, range(2, 4))}
        self.silent: set[str] = set()
        self.owners = {0: "a", 1: "a", 2: "b", 3: "b"}
        self.standbys: dict[int, str] = {}
        self.asked: list[str] = []
        self.coordinator = Coordinator(
            lambda: self.owners, PARTITIONS, self.fetch, lambda: NOW_MS, lambda: self.standbys
        )

    def stand_by(self, folder: Path) -> None:
        """A third one stands by for all partitions, with the same rows as their owners."""
        follower = self.followers["s"] = FollowerTwin(folder / "standby", range(PARTITIONS))
        self.standbys = dict.fromkeys(range(PARTITIONS), "s")
        for partition, store in follower.stores.items():
            for each in (store, self.store(partition)):
                each.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
                each.apply(topics.RECEIPT, entries(receipt("n", USERS[partition], "a")))

    def store(self, partition: int) -> PartitionStore:
        return self.followers["a" if partition < 2 else "b"].stores[partition]

    async def fetch(self, url: str, path: str, parameters: Mapping[str, str]) -> bytes:
        self.asked.append(url)
        if url in self.silent:
            await asyncio.sleep(60)
        questions = ReportQuestions(self.followers[url])  # type: ignore[arg-type]
        after = None
        if "after" in parameters:
            number, name = parameters["after"].split(".")
            after = int(number), bytes.fromhex(name)
        if path == "/history":
            wanted = msgspec.json.decode(parameters["wanted"], type=ExampleFilter)
            partition, limit = int(parameters["partition"]), int(parameters["limit"])
            return questions.history(partition, parameters["user"], wanted, after, limit)
        if path == "/passed":
            return questions.passed(int(parameters["partition"]))
        partitions = [int(each) for each in parameters["partitions"].split(",")]
        if path == "/notes":
            return questions.notes(partitions, msgspec.json.decode(parameters["ids"]))
        minutes = int(parameters["from"]), int(parameters["to"])
        if path == "/minutes":
            return questions.minutes(partitions, *minutes, int(parameters["step"]))
        return questions.listed(partitions, *minutes, after, int(parameters["limit"]))


@pytest.fixture
def reporters(tmp_path: Path) -> Iterator[Reporters]:
    found = Reporters(tmp_path)
    yield found
    for follower in found.followers.values():
        for store in follower.stores.values():
            store.close()


async def test_a_report_is_the_sum_over_all_partitions(reporters: Reporters) -> None:
    for partition in range(PARTITIONS):
        store = reporters.store(partition)
        store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
        store.apply(topics.RECEIPT, entries(receipt("n", f"u{partition}", "a")))
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["planned"], report["open"], report["outcomes"]["accepted"]) == (8, 4, 4)
    assert report["planned"] == report["open"] + sum(report["outcomes"].values())
    assert (report["state"], report["complete"], report["missing_partitions"]) == ("sending", True, [])
    assert report["platforms"]["apns"] == {"planned": 8, "outcomes": {"accepted": 4}, "reasons": {}}


async def test_a_report_is_as_old_as_the_oldest_of_its_partitions(reporters: Reporters) -> None:
    for partition in range(PARTITIONS):
        reporters.store(partition).apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
    of_now = await reporters.coordinator.report("n")
    reporters.followers["a"].fresh = {0: NOW_MS - 5_000, 1: NOW_MS}
    reporters.followers["b"].fresh = {2: NOW_MS - 1_000}
    report, listed = await reporters.coordinator.report("n"), await reporters.coordinator.listed()
    assert of_now is not None
    assert report is not None
    assert of_now["as_of"] == "2026-09-21T14:14:20.000Z"
    assert report["as_of"] == listed["reports"][0]["as_of"] == "2026-09-21T14:14:15.000Z"


async def test_a_campaign_is_the_sum_of_its_reports_over_all_partitions(reporters: Reporters) -> None:
    for partition in range(PARTITIONS):
        store = reporters.store(partition)
        store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""), (8, f"m-{partition}", {"fcm": 1}, ""))))
        store.apply(topics.RECEIPT, entries(receipt("n", USERS[partition], "a")))
    found = await reporters.coordinator.campaign("xmas")
    assert (found["reports"], found["whole"], found["complete"]) == (5, True, True)
    assert (found["planned"], found["open"], found["outcomes"]["accepted"]) == (12, 8, 4)
    assert found["platforms"] == {"apns": {"accepted": 4}, "fcm": {}}
    nothing = await reporters.coordinator.campaign("other")
    assert (nothing["reports"], nothing["planned"], nothing["as_of"]) == (0, 0, None)


async def test_totals_are_the_sum_over_all_partitions_and_name_those_that_are_silent(
    reporters: Reporters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for partition in range(PARTITIONS):
        store = reporters.store(partition)
        store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
        store.apply(topics.RECEIPT, entries(receipt("n", f"u{partition}", "a")))
    found = await reporters.coordinator.totals(from_ms=CREATED_MS, step=5)
    assert [(row["planned"], row["outcomes"]["accepted"]) for row in found["totals"]] == [(8, 4)]
    assert (found["complete"], found["missing_partitions"]) == (True, [])
    monkeypatch.setattr("pushcast.report.asking.ANSWER_SECONDS", 0.05)
    reporters.silent.add("b")
    found = await reporters.coordinator.totals(from_ms=CREATED_MS)
    assert [row["planned"] for row in found["totals"]] == [4]
    assert found["missing_partitions"] == [2, 3]
    assert (await reporters.coordinator.totals(from_ms=CREATED_MS, klass="chat"))["totals"] == []


async def test_r6_a_silent_reporter_is_named_by_its_partitions(
    reporters: Reporters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushcast.report.asking.ANSWER_SECONDS", 0.05)
    for partition in range(PARTITIONS):
        reporters.store(partition).apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""))))
    reporters.silent.add("b")
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["planned"], report["complete"], report["missing_partitions"]) == (2, False, [2, 3])
    unknown = await reporters.coordinator.report("other")
    assert unknown == {"id": "other", "complete": False, "missing_partitions": [2, 3]}
    users = {partition_of(f"u{number}".encode(), PARTITIONS): f"u{number}" for number in range(20)}
    assert await reporters.coordinator.deliveries(users[0]) is not None
    assert await reporters.coordinator.deliveries(users[3]) is None


async def test_r7_each_report_is_listed_once_though_new_ones_arrive(reporters: Reporters) -> None:
    for number in range(120):
        created_at = CREATED_MS - number * 40_000
        for partition in {number % PARTITIONS, (number * 7) % PARTITIONS}:
            # The same campaign reaches partitions in different minutes.
            value = planned((number, f"n{number}", {"apns": 1}, ""), created_at=created_at - partition * 90_000)
            offset = reporters.store(partition).offsets()[topics.PLANNED]
            reporters.store(partition).apply(topics.PLANNED, entries(value, first=offset))
    listed: list[dict[str, Any]] = []
    cursor = None
    for page in range(10):
        found = await reporters.coordinator.listed(limit=25, cursor=cursor)
        listed += found["reports"]
        cursor = found["next_cursor"]
        if cursor is None:
            break
        value = planned((1000 + page, f"new{page}", {"apns": 1}, ""), created_at=CREATED_MS + 30_000 + page)
        offset = reporters.store(0).offsets()[topics.PLANNED]
        reporters.store(0).apply(topics.PLANNED, entries(value, first=offset))
    old = [row["id"] for row in listed if not row["id"].startswith("new")]
    assert sorted(old) == sorted(f"n{number}" for number in range(120))
    assert all(
        row["planned"] == len({int(row["id"][1:]) % 4, int(row["id"][1:]) * 7 % 4})
        for row in listed
        if row["id"] in old
    )


async def test_a_list_takes_only_what_is_wanted_and_ends(reporters: Reporters) -> None:
    for number in range(30):
        value = planned((number, f"n{number}", {"apns": number % 2}, ""), created_at=CREATED_MS - number * 60_000)
        reporters.store(1).apply(topics.PLANNED, entries(value, first=number))
    found = await reporters.coordinator.listed(limit=50, wanted=lambda report: report["planned"] == 1)
    assert [row["id"] for row in found["reports"]] == [f"n{number}" for number in range(30) if number % 2]
    assert found["next_cursor"] is None


@pytest.mark.parametrize(
    "cursor", ["nonsense", "é", cursor_of(-1, b"x"), cursor_of(2**63, b"x"), cursor_of(10**400, b"")]
)
async def test_a_cursor_that_was_not_given_out_is_refused_by_name(cursor: str, reporters: Reporters) -> None:
    for asked in (reporters.coordinator.listed(cursor=cursor), reporters.coordinator.deliveries("u-1", cursor=cursor)):
        with pytest.raises(InvalidInput, match="cursor") as refused:
            await asked
        assert refused.value.field == "cursor"


async def test_a_users_history_comes_newest_first_page_by_page_over_days(reporters: Reporters) -> None:
    user = "u-1"
    store = reporters.store(partition_of(user.encode(), PARTITIONS))
    times = [CREATED_MS - number * DAY_MS // 3 for number in range(10)]
    store.apply(topics.RECEIPT, entries(*(receipt(f"n{at}", user, "a", created_at=at) for at in times)))
    store.apply(topics.RECEIPT, entries(receipt("other", "u-11", "a"), first=10))
    listed: list[str] = []
    cursor = None
    for _ in range(5):
        page = await reporters.coordinator.deliveries(user, limit=4, cursor=cursor)
        assert page is not None
        listed += [row["notification"] for row in page["deliveries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == [f"n{at}" for at in times]


async def test_a_history_is_of_one_app_or_outcome_or_notification_and_says_since_when_it_is_kept(
    reporters: Reporters,
) -> None:
    user = "u-1"
    store = reporters.store(partition_of(user.encode(), PARTITIONS))
    day = CREATED_MS // DAY_MS * DAY_MS
    nothing = await reporters.coordinator.deliveries(user)
    store.apply(
        topics.RECEIPT,
        entries(
            receipt("n", user, "a"),
            receipt("n", user, "b", "invalid"),
            receipt("m", user, "a", app="shop", created_at=CREATED_MS - 3 * DAY_MS),
        ),
    )
    by = reporters.coordinator.deliveries
    asked = [await by(user), await by(user, app="shop"), await by(user, outcome="invalid"), await by(user, notes=["n"])]
    found = [[(row["notification"], row["device"]) for row in each["deliveries"]] for each in asked if each is not None]
    assert [sorted(each) for each in found] == [
        [("m", "a"), ("n", "a"), ("n", "b")],
        [("m", "a")],
        [("n", "b")],
        [("n", "a"), ("n", "b")],
    ]
    assert nothing is not None
    assert asked[0] is not None
    assert asked[0]["kept_since"] == rfc3339(day - 3 * DAY_MS), "the store begins there"
    reporters.coordinator = Coordinator(
        lambda: reporters.owners, PARTITIONS, reporters.fetch, lambda: NOW_MS, keep_days=2
    )
    short = await reporters.coordinator.deliveries(user)
    assert short is not None
    assert [row["notification"] for row in short["deliveries"]] == ["n", "n"]
    assert short["kept_since"] == rfc3339(day - 2 * DAY_MS), "and deliveries are kept so long"


async def test_what_is_open_long_after_its_expiry_is_overdue(reporters: Reporters) -> None:
    created_at = NOW_MS - 2 * DAY_MS
    reporters.store(0).apply(topics.PLANNED, entries(planned((1, "n", {"apns": 2}, ""), created_at=created_at)))
    reporters.store(0).apply(topics.RECEIPT, entries(receipt("n", "u", "a", created_at=created_at)))
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["state"], report["open"], report["overdue"]) == ("overdue", 1, 1)


def test_days_that_are_over_are_dropped_and_their_sums_stay(reporters: Reporters) -> None:
    store = reporters.store(0)
    old = CREATED_MS - 40 * DAY_MS
    store.apply(topics.RECEIPT, entries(receipt("old", "u", "a", created_at=old), receipt("new", "u", "a")))
    store.drop_before(CREATED_MS - 30 * DAY_MS)
    assert [row.notification for _, row in store.deliveries("u", old, CREATED_MS)] == ["new"]
    note = store.note("notification", "old")
    assert note is not None
    assert note.ended_count == 1


def test_a_store_of_other_topics_of_the_same_names_is_made_anew(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", LOGS)
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    store.close()
    again = PartitionStore(tmp_path / "0", LOGS)
    assert again.offsets()[topics.RECEIPT] == 1
    again.close()
    other = PartitionStore(tmp_path / "0", {**LOGS, topics.RECEIPT: "another"})
    assert other.offsets()[topics.RECEIPT] == 0
    assert list(other.rows()) == []
    other.close()


async def test_r5_a_partition_that_is_read_anew_is_named_until_it_has_caught_up(reporters: Reporters) -> None:
    for partition in range(PARTITIONS):
        reporters.store(partition).apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""))))
    reporters.followers["b"].catching_up = {3}
    user = next(name for number in range(50) if partition_of((name := f"u{number}").encode(), PARTITIONS) == 3)
    report, history = await reporters.coordinator.report("n"), await reporters.coordinator.deliveries(user)
    listed = await reporters.coordinator.listed()
    assert report is not None
    assert history is not None
    assert (report["complete"], report["missing_partitions"], listed["missing_partitions"]) == (False, [3], [3])
    assert (report["planned"], history["complete"]) == (4, False), "what it has is told all the same"
    reporters.followers["b"].catching_up.clear()
    after, history = await reporters.coordinator.report("n"), await reporters.coordinator.deliveries(user)
    assert after is not None
    assert history is not None
    assert (after["complete"], after["missing_partitions"], history["complete"]) == (True, [], True)


async def test_a_client_waits_until_what_it_wrote_is_planned(
    reporters: Reporters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushcast.report.asking.ANSWER_SECONDS", 0.3)
    store = reporters.store(1)
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""))))
    assert await reporters.coordinator.caught_up("normal", 1, 7)
    assert not await reporters.coordinator.caught_up("normal", 1, 8)
    assert not await reporters.coordinator.caught_up("urgent", 1, 7)
    assert not await reporters.coordinator.caught_up("normal", 9, 7)


async def test_what_one_user_got_is_told_where_no_sums_are_kept(reporters: Reporters) -> None:
    user = next(name for number in range(50) if partition_of((name := f"u{number}").encode(), PARTITIONS) == 2)
    both = (receipt("n", user, "a"), receipt("n", user, "b", "dead"), receipt("m", user, "a"))
    reporters.store(2).apply(topics.RECEIPT, entries(*both))
    found = await reporters.coordinator.report_of_user("n", user)
    assert found is not None
    assert {name: count for name, count in found["outcomes"].items() if count} == {"accepted": 1, "dead": 1}
    assert (found["app"], len(found["deliveries"]), found["complete"]) == ("news", 2, True)
    assert await reporters.coordinator.report_of_user("other", user) is None


async def test_what_one_user_got_is_told_of_the_apps_that_are_asked_for_alone(reporters: Reporters) -> None:
    user = USERS[2]
    both = (receipt("n", user, "a"), receipt("n", user, "b", "dead", app="shop", delivery_id=b"s" * 16))
    reporters.store(2).apply(topics.RECEIPT, entries(*both))
    found = await reporters.coordinator.report_of_user("n", user, ("shop",))
    assert found is not None
    assert (found["app"], [row["device"] for row in found["deliveries"]]) == ("shop", ["b"])
    assert {name: count for name, count in found["outcomes"].items() if count} == {"dead": 1}
    assert await reporters.coordinator.report_of_user("n", user, ("chat",)) is None


async def test_a_standby_is_asked_for_the_partitions_whose_owner_is_silent(
    reporters: Reporters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporters.stand_by(tmp_path)
    whole = await reporters.coordinator.report("n")
    assert whole is not None
    assert (whole["planned"], whole["complete"]) == (8, True)
    assert "s" not in reporters.asked, "nobody is asked in place of an owner that answers"
    monkeypatch.setattr("pushcast.report.asking.STANDBY_SECONDS", 0.05)
    reporters.silent.add("b")
    assert await reporters.coordinator.report("n") == whole
    listed = await reporters.coordinator.listed(from_ms=CREATED_MS - DAY_MS)
    assert [row["planned"] for row in listed["reports"]] == [8]
    history = await reporters.coordinator.deliveries(USERS[3])
    assert history is not None
    assert len(history["deliveries"]) == 1
    assert await reporters.coordinator.caught_up("normal", 3, 7)
    reporters.silent.add("s")
    monkeypatch.setattr("pushcast.report.asking.ANSWER_SECONDS", 0.2)
    alone = await reporters.coordinator.report("n")
    assert alone is not None
    assert (alone["planned"], alone["missing_partitions"]) == (4, [2, 3])


async def test_a_standby_answers_for_an_owner_that_has_not_caught_up_and_nothing_is_added_twice(
    reporters: Reporters, tmp_path: Path
) -> None:
    reporters.stand_by(tmp_path)
    reporters.followers["b"].catching_up = {2}
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["planned"], report["outcomes"]["accepted"], report["complete"]) == (8, 4, True)
    history = await reporters.coordinator.deliveries(USERS[2])
    assert history is not None
    assert history["complete"]
    reporters.followers["s"].catching_up = {2}
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["planned"], report["missing_partitions"]) == (8, [2]), "what the owner has counts all the same"


async def test_a_standby_answers_for_partitions_that_nobody_owns(reporters: Reporters, tmp_path: Path) -> None:
    reporters.stand_by(tmp_path)
    reporters.owners = {0: "a", 1: "a"}
    report = await reporters.coordinator.report("n")
    assert report is not None
    assert (report["planned"], report["complete"]) == (8, True)
    assert await reporters.coordinator.deliveries(USERS[3]) is not None
