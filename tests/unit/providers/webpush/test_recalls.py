"""What a push service has not delivered is deleted there: A2 and D8 of reference/time.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.http2.request import Kind, Response
from pushcast.model.notification import Content
from pushcast.model.recalls import messages_of, recalled_of, recalling
from pushcast.providers.port import Result
from pushcast.providers.webpush.recalls import deletes, is_recallable, judge
from unit.providers.messages import message
from unit.providers.webpush.test_client import P256DH, SECRET, Lab, answer, key_file

__all__ = ["key_file"]

MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/abc"
DATA: dict[str, Any] = {"event": "remove", "ids": ["n-1"], "seq": 1}


def address(endpoint: str) -> bytes:
    return orjson.dumps({"endpoint": endpoint, "p256dh": P256DH, "auth": SECRET})


@pytest.mark.parametrize(
    ("response", "disposition"),
    [
        (answer(204), "accepted"),
        (answer(404), "accepted"),
        (answer(401), "retry"),
        (answer(503), "retry"),
        (Response(Kind.UNKNOWN), "unsent"),
        (Response(Kind.UNSENT, fault="closed_by_us"), "unsent"),
    ],
)
def test_what_is_not_there_needs_no_deletion_and_nothing_about_one_is_in_doubt(
    response: Response, disposition: str
) -> None:
    assert judge(response, 0).disposition.value == disposition


@pytest.mark.parametrize(("named", "waits"), [(None, 60.0), (b"300", 300.0), (b"5", 5.0), (b"soon", 60.0)])
def test_a_service_that_names_a_time_is_not_asked_before_it(named: bytes | None, waits: float) -> None:
    headers = () if named is None else ((b"retry-after", named),)
    assert judge(Response(Kind.ANSWERED, 429, headers), 0).retry_after_seconds == waits


def test_only_services_that_delete_are_asked() -> None:
    assert deletes("updates.push.services.mozilla.com")
    assert not deletes("fcm.googleapis.com")
    assert is_recallable(address(MOZILLA))
    assert not is_recallable(address("https://fcm.googleapis.com/fcm/send/x"))
    assert not is_recallable(b"no subscription")


def test_a_removal_names_what_each_device_has_not_got() -> None:
    platforms = recalling([{"device": "d-1", "message": "m1"}, {"device": "d-2", "message": "m2"}])["platforms"]
    assert (messages_of(platforms, "d-1"), messages_of(platforms, "d-3")) == (["m1"], [])
    assert len(recalled_of(platforms)) == 2
    assert recalling([]) == {}
    assert recalled_of({}) == []


async def removed(lab: Lab, endpoints: list[str], recall: list[dict[str, str]]) -> list[tuple[str, str | None]]:
    content = Content(data=DATA, platforms=recalling(recall).get("platforms", {}))
    batch = message([address(each) for each in endpoints], kinds=[2] * len(endpoints), content=content)
    batch.klass = "remove"
    results: list[Result] = []
    await lab.provider.send(batch, range(len(endpoints)), results.extend)
    return [(each.disposition.value, each.reason) for each in sorted(results, key=lambda each: each.target)]


async def test_d8_mozillas_service_is_asked_to_delete_what_it_has_by_the_name_it_gave(key_file: Path) -> None:
    lab = Lab(key_file, [answer(204)], {}, hosts=["*.push.services.mozilla.com"])
    pushes = [{"device": "d-1", "message": "m1"}, {"device": "d-1", "message": "m2"}]
    assert await removed(lab, [MOZILLA], pushes) == [("accepted", None)]
    [engine] = lab.engines.values()
    assert [request[b":path"] for request in engine.requests] == [b"/m/m1", b"/m/m2"]
    assert all(b"vapid" in request[b"authorization"] for request in engine.requests)
    assert all(b"ttl" not in request for request in engine.requests), "it is no push"


async def test_one_message_that_is_not_deleted_makes_it_a_failure_to_be_tried_again(key_file: Path) -> None:
    lab = Lab(key_file, [answer(503), answer(204)], {}, hosts=["*.push.services.mozilla.com"])
    pushes = [{"device": "d-1", "message": "m1"}, {"device": "d-1", "message": "m2"}]
    assert await removed(lab, [MOZILLA], pushes) == [("retry", "provider_error")]


async def test_a_device_of_which_nothing_waits_gets_the_removal_itself(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {}, hosts=["*.push.services.mozilla.com"])
    assert await removed(lab, [MOZILLA], [{"device": "other", "message": "m1"}]) == [("accepted", None)]
    [engine] = lab.engines.values()
    assert [request[b":path"] for request in engine.requests] == [b"/wpush/v2/abc"]


async def test_a_service_that_deletes_nothing_is_not_asked(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {})
    pushes = [{"device": "d-1", "message": "m1"}]
    assert await removed(lab, ["https://listed.example/a"], pushes) == [("rejected", "not_recallable")]
    assert lab.engines == {}
