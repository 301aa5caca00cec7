"""What devices show in the end, on a running Pushcast: badges that count up and are put right (B1), notifications that
are taken back (R1), and a push that its service deletes before the browser has it (D8)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from flow.kafka_tools import produce
from flow.one_process import ROLES, one_process
from flow.test_reproductions import PARTITIONS, Pushcast
from pushcast.demo.world import World
from pushcast.model.ids import partition_of
from pushcast.wire import topics

TOKEN = "b1" * 32


class Phone(Pushcast):
    """A Pushcast with one iPhone."""

    @property
    def screen(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.simulators["apns"].control(f"/screen?token={TOKEN}")
        return found

    def subscribe(self, user: str, subscription: dict[str, str]) -> None:
        event = {"op": "register", "app": "news", "device": "d", "platform": "webpush", "subscription": subscription}
        self.tell(topics.DEVICE_CHANGED, event, user)
        self.until(lambda: (user, "d") in self.states(), f"{user} is registered")

    def tell(self, topic: str, event: dict[str, Any], user: str = "ann") -> None:
        key = user.encode()
        produce(self.kafka, topic, [(partition_of(key, PARTITIONS), key, orjson.dumps(event))])


@pytest.mark.timeout(300)
def test_b1_r1_the_number_on_the_icon_follows_what_is_read_and_the_screen_what_is_taken_back() -> None:
    keep = {"removal_wait_seconds": 1, "removals_per_hour": 60, "badge_wait_seconds": 1, "badges_per_hour": 60}
    classes = {"chat": {"removable": True}}
    overrides = {"kafka": {"partitions": PARTITIONS}, "keep": keep, "classes": classes}
    with one_process((*ROLES, "keeper"), platforms=("apns", "webpush"), overrides=overrides) as (world, process):
        phone = Phone(world, process)
        world.simulators["apns"].control("/devices", {"token": TOKEN, "online": True})
        phone.register("ann", "apns", TOKEN)
        for name in "abc":
            phone.notify("ann", name, options={"badge": "+1", "collapse_id": name})
        phone.until(lambda: phone.screen["badge"] == 3, "three count")
        phone.tell(topics.ENGAGEMENT, {"event": "read", "ids": ["b"], "app": "news"})
        phone.until(lambda: phone.screen["badge"] == 2, "the one that was read counts no more")
        assert len(phone.screen["shown"]) == 3, "the push for the number alone shows nothing"
        phone.tell(topics.CANCEL, {"ids": ["a", "b", "c"], "remove": True})
        phone.until(lambda: phone.screen["shown"] == [], "they are taken back")
        phone.until(lambda: phone.screen["badge"] == 0, "and count no more")
        found = phone.receipts("ann")
        assert {row["outcome"] for row in found.values()} == {"accepted"}
        assert {row["class"] for row in found.values()} == {"default", "badge", "remove"}
        _, waiting = two_that_wait(phone, world)
        phone.until(phone.accepted("ben", "gone"), "the sender has told")
        phone.tell(topics.CANCEL, {"ids": ["gone"], "remove": True}, "ben")
        phone.until(lambda: len(waiting()) == 1, "D8: it is deleted at the push service")
        assert "kept" in waiting()[0]["body"]


@pytest.mark.timeout(300)
def test_a2_a_removal_takes_the_place_of_a_push_at_its_service_and_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`webpush.removal: replace`."""
    monkeypatch.setenv("PUSHCAST_APPS__NEWS__WEBPUSH__REMOVAL", "replace")
    overrides = {
        "kafka": {"partitions": PARTITIONS},
        "keep": {"removal_wait_seconds": 1},
        "classes": {"chat": {"removable": True}},
    }
    with one_process((*ROLES, "keeper"), platforms=("webpush",), overrides=overrides) as (world, process):
        phone, simulator = Phone(world, process), world.simulators["webpush"]
        simulator.control("/state", {"store": True}, "PUT")
        browser, waiting = two_that_wait(phone, world)
        topics_of = {orjson.loads(each["body"])["title"]: each["topic"] for each in waiting()}
        assert None not in topics_of.values()
        phone.until(phone.accepted("ben", "gone"), "the sender has told")
        phone.tell(topics.CANCEL, {"ids": ["gone"], "remove": True}, "ben")
        phone.until(
            lambda: all("gone" not in each["body"][:20] for each in waiting()), "the push is not there any more"
        )
        kept, removal = waiting()
        assert (kept["topic"], removal["topic"]) == (topics_of["kept"], topics_of["gone"])
        options = orjson.loads(removal["body"])["options"]
        assert (options["tag"], options["data"]["ids"]) == (topics_of["gone"], ["gone"])
        screen = simulator.control(f"/screen?token={quote(browser['endpoint'])}")
        assert [each["appearance"]["title"] for each in screen["shown"]] == ["kept"]
        phone.until(lambda: len(phone.receipts("ben")) == 3, "the removal has its receipt")
        assert {row["outcome"] for row in phone.receipts("ben").values()} == {"accepted"}


def two_that_wait(phone: Phone, world: World) -> tuple[dict[str, str], Callable[[], list[dict[str, str]]]]:
    """A browser of ben's for which the push service keeps `kept` and `gone`, and what it keeps."""
    browser = world.subscribe("news", False, 1)[0]
    waiting = partial(messages_of, world, browser["endpoint"])
    phone.subscribe("ben", browser)
    for name in ("kept", "gone"):
        phone.notify("ben", name, **{"class": "chat"})
    phone.until(lambda: len(waiting()) == 2, "the push service has both")
    return browser, waiting


def messages_of(world: World, endpoint: str) -> list[dict[str, str]]:
    """What the browser has not read yet."""
    found: list[dict[str, str]] = world.simulators["webpush"].control(f"/messages?endpoint={quote(endpoint)}")[
        "messages"
    ]
    return found
