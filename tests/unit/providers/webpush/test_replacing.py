"""A removal in place of what it takes back (`webpush.removal: replace`): A2 of reference/time.md."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.config.providers import Webpush
from pushcast.config.settings import Settings
from pushcast.http2.request import Response
from pushcast.model.batch import Message, NoteKind, Notes
from pushcast.model.clock import SystemClock
from pushcast.model.ids import broadcast_name
from pushcast.model.notification import Content
from pushcast.model.recalls import recalling, tags_of
from pushcast.model.words import Platform
from pushcast.providers import registry
from pushcast.providers.port import Provider, Replaceable, Result
from pushcast.providers.webpush.message import topic_of
from pushcast.simulators import Simulator, start
from pushcast.simulators.webpush.subscriptions import Subscription
from unit.providers.messages import message
from unit.providers.webpush.test_client import P256DH, SECRET, Lab, answer, key_file

__all__ = ["key_file"]

LISTED = "https://listed.example/a"
GOOGLE = "https://fcm.googleapis.com/fcm/send/abc"
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/abc"
OWN = ["00" * 16, "00" * 15 + "01"]  # names of the first two deliveries
LONG = "a collapse id that is no Topic, " * 2


def subscription(endpoint: str) -> bytes:
    return orjson.dumps({"endpoint": endpoint, "p256dh": P256DH, "auth": SECRET})


def push(endpoints: list[str], *, removable: bool = True, **options: Any) -> Message:
    made = message([subscription(each) for each in endpoints], kinds=[2] * len(endpoints), **options)
    made.removable = removable
    return made


def removal(endpoints: list[str], recall: list[dict[str, str]]) -> Message:
    data = {"event": "remove", "ids": ["n-1"], "seq": 1}
    content = Content(data=data, platforms=recalling(recall).get("platforms", {}))
    made = push(endpoints, removable=False, content=content, push_type="background", collapse_id="remove")
    made.klass = "remove"
    made.targets.device = [f"d-{number}" for number in range(len(endpoints))]
    return made


def lab_of(key_file: Path, answers: list[Response | None], *, replaces: bool = True) -> Lab:
    return Lab(
        key_file,
        answers,
        {},
        hosts=["listed.example", "fcm.googleapis.com", "*.push.services.mozilla.com"],
        replaces=replaces,
    )


async def sent(lab: Lab, batch: Message) -> list[tuple[int, str]]:
    """The results, and each target once."""
    results: list[Result] = []
    await lab.provider.send(batch, range(len(batch.targets.user)), results.extend)
    assert sorted(each.target for each in results) == list(range(len(batch.targets.user)))
    return sorted((each.target, each.disposition.value) for each in results)


def topics_at(lab: Lab, host: str = "listed.example") -> list[bytes | None]:
    return [request.get(b"topic") for request in lab.engines[host].requests]


async def test_each_push_of_a_removable_class_has_a_topic_of_its_own_the_same_in_every_try(key_file: Path) -> None:
    lab = lab_of(key_file, [answer(201)])
    for _ in range(2):
        await sent(lab, push([LISTED, LISTED]))
    assert topics_at(lab) == [name.encode() for name in OWN] * 2


@pytest.mark.parametrize(("replaces", "removable"), [(False, True), (True, False)])
async def test_pushes_that_no_removal_replaces_have_no_topic(key_file: Path, replaces: bool, removable: bool) -> None:
    lab = lab_of(key_file, [answer(201)], replaces=replaces)
    await sent(lab, push([LISTED], removable=removable))
    assert topics_at(lab) == [None]


@pytest.mark.parametrize("collapse_id", ["score", LONG])
async def test_a_collapse_id_is_the_topic_or_makes_it(key_file: Path, collapse_id: str) -> None:
    lab = lab_of(key_file, [answer(201)])
    await sent(lab, push([LISTED], collapse_id=collapse_id))
    assert topics_at(lab) == [topic_of(collapse_id)]
    assert lab.provider.tag_of(push([LISTED], collapse_id=collapse_id), 0) == collapse_id


async def test_at_googles_service_pushes_have_the_topic_of_their_collapse_id_alone(key_file: Path) -> None:
    """It keeps four of a browser, and a fifth push with one would take the place of another."""
    lab = lab_of(key_file, [answer(201)])
    await sent(lab, push([GOOGLE]))
    await sent(lab, push([GOOGLE], collapse_id="score"))
    assert topics_at(lab, "fcm.googleapis.com") == [None, b"score"]
    assert [lab.provider.tag_of(push([GOOGLE], collapse_id=own), 0) for own in (None, "score")] == [None, "score"]
    assert await sent(lab, removal([GOOGLE], [])) == [(0, "accepted")]
    assert topics_at(lab, "fcm.googleapis.com")[2:] == [b"remove"], "it goes by itself"


def test_the_tag_of_a_push_is_its_collapse_id_or_its_own_name_and_a_broadcasts_is_one_for_all(key_file: Path) -> None:
    tag_of = lab_of(key_file, [answer(201)]).provider.tag_of
    assert [tag_of(push([LISTED, LISTED]), target) for target in (0, 1)] == OWN
    broadcast = push([LISTED, LISTED])
    broadcast.notes = Notes(broadcast=["b-1"], kind=[NoteKind.BROADCAST])
    assert {tag_of(broadcast, 0), tag_of(broadcast, 1)} == {broadcast_name("b-1").hex()}
    assert lab_of(key_file, [answer(201)], replaces=False).provider.tag_of(broadcast, 0) is None


async def test_a_removal_has_the_topic_and_the_tag_of_each_push_that_it_takes_back(key_file: Path) -> None:
    lab = lab_of(key_file, [answer(201)])
    known = [("d-0", OWN[0]), ("d-0", LONG), ("d-0", LONG), ("d-1", "score")]
    recall = [{"device": device, "tag": tag} for device, tag in known]
    assert await sent(lab, removal([LISTED, LISTED, LISTED], recall)) == [(n, "accepted") for n in range(3)]
    # The last device has nothing that is known: it gets the removal under its own.
    assert sorted(topics_at(lab), key=str) == sorted([OWN[0].encode(), topic_of(LONG), b"score", b"remove"], key=str)


async def test_of_several_places_the_one_that_fails_counts_and_all_are_tried_again(key_file: Path) -> None:
    lab = lab_of(key_file, [answer(201), answer(503), answer(201)])
    recall = [{"device": "d-0", "tag": tag} for tag in ("a", "b", "c")]
    assert await sent(lab, removal([LISTED], recall)) == [(0, "retry")]
    assert topics_at(lab) == [b"a", b"b", b"c"]


async def test_what_a_service_deletes_is_replaced_where_its_tag_is_known_and_deleted_where_not(key_file: Path) -> None:
    """A push that left before the setting was changed has a name alone."""
    lab = lab_of(key_file, [answer(201)])
    recall = [{"device": "d-0", "message": "m1"}, {"device": "d-0", "message": "m2", "tag": "score"}]
    assert await sent(lab, removal([MOZILLA], recall)) == [(0, "accepted")]
    [engine] = lab.engines.values()
    assert sorted((each[b":path"], each.get(b"topic")) for each in engine.requests) == [
        (b"/m/m1", None),
        (b"/wpush/v2/abc", b"score"),
    ]


async def test_an_app_that_replaces_no_more_deletes_what_it_can(key_file: Path) -> None:
    lab = lab_of(key_file, [answer(204)], replaces=False)
    recall = [{"device": "d-0", "message": "m2", "tag": "score"}]
    assert await sent(lab, removal([MOZILLA], recall)) == [(0, "accepted")]
    [engine] = lab.engines.values()
    assert [request[b":path"] for request in engine.requests] == [b"/m/m2"]


def test_what_a_removal_replaces_on_a_device_is_named_once() -> None:
    recall = [{"device": "d-0", "tag": "a"}, {"device": "d-0", "tag": "a"}, {"device": "d-1", "tag": "b"}]
    platforms = recalling([*recall, {"device": "d-0", "message": "m"}])["platforms"]
    assert (tags_of(platforms, "d-0"), tags_of(platforms, "d-2")) == (["a"], [])


def test_the_words_of_the_setting() -> None:
    said = {"vapid_key_file": "key.pem", "subject": "mailto:ops@example.com"}
    assert Webpush.model_validate(said).removal == "off"
    assert Webpush.model_validate({**said, "removal": "replace"}).removal == "replace"
    with pytest.raises(ValueError, match="'off', 'message' or 'replace'"):
        Webpush.model_validate({**said, "removal": "topic"})


class Browser:
    """One browser at a simulated push service, and an app whose removals replace."""

    def __init__(self, simulator: Simulator, provider: Provider) -> None:
        self.simulator = simulator
        self.provider = provider
        self.subscription: Subscription = simulator.subscribe()

    async def send(self, batch: Message) -> None:
        told: list[Result] = []
        batch.targets.address = [orjson.dumps(asdict(self.subscription))]
        batch.targets.kind = [2]
        batch.targets.expires_at = [SystemClock().now_ms() + 3_600_000]
        await self.provider.send(batch, [0], told.extend)
        assert [each.disposition.value for each in told] == ["accepted"]

    @property
    def waiting(self) -> list[dict[str, Any]]:
        """What the browser has not read."""
        found = self.simulator.messages(self.subscription.endpoint)
        return [orjson.loads(each["body"]) for each in found]

    @property
    def screen(self) -> list[str]:
        shown = self.simulator.screen(self.subscription.endpoint)["shown"]
        return [each["appearance"]["title"] for each in shown]


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with start("webpush", work_dir=tmp_path) as simulator:
        known = simulator.credentials["apps"]["news"]
        app = {
            "vapid_key_file": known["vapid_key_file"],
            "subject": known["subject"],
            "allowed_hosts": ["127.0.0.1", "localhost"],
            "allow_loopback": True,
            "ca_file": str(simulator.ca_file),
            "removal": "replace",
        }
        settings = Settings.model_validate({"apps": {"news": {"webpush": app}}})
        provider = registry.build("news", Platform.WEBPUSH, settings)
        await provider.start()
        try:
            yield Browser(simulator, provider)
        finally:
            await provider.close()


async def test_a_browser_that_was_away_gets_the_removal_in_place_of_the_push(browser: Browser) -> None:
    await browser.simulator.set_state({"store": True})
    gone = push([LISTED], title="gone")
    kept = replace(push([LISTED], title="kept"), notification_ids=["n-2"])
    kept.targets.delivery_id = [b"k" * 16]
    for each in (gone, kept):
        await browser.send(each)
    assert browser.screen == ["gone", "kept"]
    provider = browser.provider
    assert isinstance(provider, Replaceable)
    tag = provider.tag_of(gone, 0)
    assert tag is not None
    await browser.send(removal([LISTED], [{"device": "d-0", "tag": tag}]))
    assert [each.get("title") for each in browser.waiting] == ["kept", None]
    assert browser.waiting[1]["options"] == {"tag": tag, "data": {"event": "remove", "ids": ["n-1"], "seq": 1}}
    assert browser.screen == ["kept"], "a browser that had shown it closes it"
