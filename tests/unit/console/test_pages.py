"""What the pages show and do."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from pushcast.console.pages.reports import summed
from pushcast.console.reasons import reasons_of
from pushcast.console.watch import RecentAnswer
from pushcast.handover.reading import TailUnreadable
from pushcast.model.words import Platform
from pushcast.wire import topics
from pushcast.wire.control import actions
from pushcast.wire.control.actions import OperatorAction
from pushcast.wire.control.api_keys import ApiKey, Hash, Scope, encode_record, new_key
from pushcast.wire.control.control import CanaryWord, Halt, Kind, Name, Pause, Subject, WebhookOrder, encode
from pushcast.wire.control.control_reader import decode
from twins.console import METRICS, ConsoleRig, console, device_of, report_of, standing_of, token_in

LETTER = {
    "topic": "push.notification.normal.v1.dlq",
    "partition": 3,
    "offset": 1,
    "reason": "unknown_field",
    "message": "usr: no such field",
    "stage": "planner",
    "source": {"topic": "push.notification.normal.v1", "partition": 3, "offset": 9},
    "attempts": None,
    "first_seen_at": 1_790_000_000_000,
    "value_bytes": 212,
}
NOTE = {"id": "n-1", "to": "user", "user": "u-1", "app": "news", "class": "default", "title": "Goal!", "body": "1:0"}
CAST = {**NOTE, "to": "topics", "topics": "team/arsenal, team/chelsea"}


async def test_now_says_that_everything_flows() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        assert "Everything flows." in (await client.get("/")).text


async def test_now_says_what_needs_somebody() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        groups = standing_of(parked=7, dead_letters_last_hour={"push.notification.bulk.v1.dlq": 2})
        groups["groups"][1] |= {"members": 0, "lag": 40}
        rig.groups = groups
        page = (await client.get("/")).text
    assert "3 things need you." in page
    assert "40 records wait for plan-urgent, and no process of it runs." in page
    assert "2 dead letters in the last hour." in page
    assert "7 records are parked." in page


async def test_now_says_when_kafka_does_not_answer_and_shows_what_else_is_known() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.groups = None
        rig.reports.all["n-1"] = report_of("n-1")
        page = (await client.get("/")).text
    assert "Kafka does not answer." in page
    assert "/reports/n-1" in page


async def test_now_plots_what_the_processes_count() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        for step in range(3):
            speeds = "".join(
                f'pushcast_accepted_seconds_bucket{{lane="urgent",le="{bound}"}} {step * count}\n'
                for bound, count in (("0.5", 50), ("1.0", 100), ("+Inf", 100))
            )
            rig.told["http://sender/metrics"] = 200, (METRICS % (step * 500, step * 10, 12.0) + speeds).encode()
            rig.now_ms += 5000
            await rig.watch.look()
        page = (await client.get("/")).text
    assert "102 deliveries a second now" in page
    assert "half were accepted within 500 ms and 99 % within 990 ms. 1 process seen." in page
    assert "99 % within 990 ms now, at worst within 990 ms." in page
    assert "An urgent record waits for 12 s." in page


async def test_now_tells_how_the_canaries_fare() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        for app, word in (("news", CanaryWord("ok", 1, 1)), ("shop", CanaryWord("failed", 2, None, "silent"))):
            rig.control.apply(Subject(Kind.CANARY, app, Platform.APNS).key(), encode(word))
        page = (await client.get("/")).text
    assert "One thing needs you." in page
    assert "The canary of shop on apns is silent." in page
    assert "none was ever accepted" in page
    assert "arrives" in page


async def test_health_shows_in_which_partitions_records_wait() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        groups = standing_of()
        assert "Where it waits" not in (await client.get("/health")).text
        groups["groups"][1] |= {"lag": 10_507, "partitions": {"2": 507, "7": 10_000}}
        rig.groups = groups
        rig.watch._standing = RecentAnswer(rig.standing, 0.0)
        page = (await client.get("/health")).text
    row = page[page.index("Where it waits") :]
    assert re.findall(r'<td class="(m\d)">([\d,·]+)</td>', row) == [
        *[("m0", "·")] * 2,
        ("m2", "507"),
        *[("m0", "·")] * 4,
        ("m3", "10,000"),
    ]


HOOK = {
    "url": "https://crm.example/secret-path",
    "secret_file": "crm.whsec",
    "events": ["deliveries.ended"],
    "allowed_hosts": ["crm.example"],
}
POSTING = """pushcast_webhook_lag_records{endpoint="crm"} 1204
pushcast_webhook_oldest_event_seconds{endpoint="crm"} 93.5
pushcast_webhook_requests_total{endpoint="crm",result="http_500"} 7
pushcast_webhook_requests_total{endpoint="crm",result="ok"} 40
"""


async def test_webhooks_say_how_far_they_are_and_go_on_when_an_operator_says_so() -> None:
    async with console(options={"webhooks": {"crm": HOOK}}) as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        assert "no reporter that is known here posts to it" in (await client.get("/webhooks")).text
        rig.told["http://sender/metrics"] = 200, POSTING.encode()
        await rig.watch.look()
        behind = (await client.get("/webhooks")).text
        name = Name(Kind.WEBHOOK, "crm")
        rig.control.apply(name.key(), encode(WebhookOrder("disabled", 1, None, "the endpoint answered 410 Gone")))
        disabled = (await client.get("/webhooks")).text
        form = {"_token": token, "name": "crm", "back": "1h"}
        assert (await client.post("/webhooks/resume", data=form)).status_code == 303
        assert (await client.post("/webhooks/resume", data=form | {"name": "none"})).status_code == 404
    assert "the oldest event waits for 1.6 min" in behind
    assert "1,204 records" in behind
    assert "40 ok, 7 http 500" in behind
    assert "secret-path" not in behind
    assert "the endpoint answered 410 Gone" in disabled
    assert "Go on from where it stopped" in disabled
    [put] = [each for each in rig.producer.puts if each.topic == topics.CONTROL]
    assert (put.key, decode(name, put.value or b"")) == (
        name.key(),
        WebhookOrder("on", rig.now_ms, rig.now_ms - 3_600_000, "", f"key {rig.acted()[0].by}"),
    )
    assert [(each.did, each.what, each.refused) for each in rig.acted()] == [
        ("resume_webhook", "crm", ""),
        ("resume_webhook", "/webhooks/resume", "not_found"),
    ]
    assert rig.acted()[0].before == "disabled since 1 Jan 1970, 00:00: the endpoint answered 410 Gone"
    assert rig.acted()[0].after == "on, once more from 2026-09-21T13:13:20.000Z"


async def test_a_report_tells_how_far_and_how_fast_it_came() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n/1"] = report_of("n/1", campaign="cup")
        page = (await client.get("/reports/n%2F1")).text
    assert "1,000 of 1,000 ended." in page
    assert "99 % of 1,000 were taken, half of these within 430 ms." in page
    assert 'href="/campaigns/cup"' in page
    assert "device unregistered" in page
    assert "no devices" in page


async def test_a_report_says_what_is_missing() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1", complete=False, missing_partitions=[1, 4])
        rig.reports.all["n-2"] = {"id": "n-2", "complete": False, "missing_partitions": [1]}
        assert "The reporters of 2 partitions do not answer" in (await client.get("/reports/n-1")).text
        unknown = await client.get("/reports/n-2")
    assert (unknown.status_code, "1 partition do" in unknown.text) == (503, True)


async def test_a_campaign_is_the_sum_of_its_reports() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1", campaign="cup")
        rig.reports.all["n-2"] = report_of("n-2", campaign="cup", open=5, outcomes={"accepted": 7})
        rig.reports.all["n-3"] = report_of("n-3", campaign="league")
        page = (await client.get("/campaigns/cup")).text
    assert "1,012 deliveries in 2 reports." in page
    assert "n-3" not in page
    # 997 of 1,012 by the outcomes; both reports' latencies are on the same axis.
    assert "99 % of 1,012 were taken" in page
    assert "Accepted a second" in page


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [("/people/u%2F1%26x", "/people?user=u%2F1%26x"), ("/devices/d%201", "/devices?device=d+1")],
)
async def test_a_person_and_a_device_have_paths_of_their_own(path: str, leads_to: str) -> None:
    async with console() as rig, rig.browser() as client:
        signed_out = await client.get(path)
        await rig.signed_in(client)
        away = await client.get(path)
    assert (away.status_code, away.headers["location"]) == (303, leads_to)
    assert signed_out.headers["location"] != leads_to


async def test_reasons_lead_to_examples_and_these_to_why() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        for name in ("n/1", "n-2"):
            rig.reports.all[name] = report_of(name, campaign="the cup")
        rig.reports.found = [
            {
                "user": "u 7",
                **dict.fromkeys(("device", "platform", "reason", "provider_status", "received_at", "opened_at")),
                "notification": "n/1",
                "outcome": "invalid",
                "attempts": 2,
                "created_at": "2026-09-21T14:13:00.000Z",
                "ended_at": "2026-09-21T14:13:01.000Z",
            }
        ]
        links = {}
        for path in ("/reports/n%2F1", "/campaigns/the%20cup", "/reports?app=news", "/reports"):
            links[path] = re.findall(r'href="(/examples[^"]*)">device unregistered', (await client.get(path)).text)
        of_report, of_campaign, of_app, of_all = links.values()
        assert of_report == ["/examples?report=n%2F1&amp;platform=apns&amp;reason=device_unregistered"]
        assert of_campaign == ["/examples?campaign=the+cup&amp;platform=apns&amp;reason=device_unregistered"]
        assert of_app == ["/examples?app=news&amp;platform=apns&amp;reason=device_unregistered"]
        assert of_all == []
        page = (await client.get(unescape(of_report[0]))).text
        assert rig.reports.wanted[-1].notes == ["n/1"]
        rig.reports.found = []
        nothing = (await client.get("/examples?app=news&reason=expired")).text
        unknown = await client.get("/examples?report=never")
    assert "Device unregistered, apns" in page
    assert 'href="/people?user=u+7&amp;notification=n%2F1"' in page
    assert 'href="/reports/n%2F1"' in page
    assert "There may be others: 812 deliveries were looked at" in page
    assert "None was found among the 812 deliveries that were looked at." in nothing
    assert unknown.status_code == 404


async def test_a_page_whose_reasons_lead_nowhere_does_not_say_that_they_do() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1", platforms={})
        rig.reports.all["n-2"] = report_of("n-2")
        pages = [(await client.get(f"/reports/{name}")).text for name in ("n-1", "n-2")]
    assert ["no devices" in page for page in pages] == [True, True]
    assert ["leads to examples" in page for page in pages] == [False, True]


async def test_examples_say_whose_reporters_are_silent() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.standing = {"complete": False, "missing_partitions": [1, 2]}
        page = (await client.get("/examples?app=news")).text
    assert "The reporters of 2 partitions do not answer" in page


def test_reasons_of_several_reports_are_summed_the_most_frequent_first() -> None:
    apns = {"planned": 9, "outcomes": {}, "reasons": {"expired": 2, "device_unregistered": 1}}
    one = report_of("a", platforms={"apns": apns}, not_planned={"no_devices": 4})
    other = report_of("b", platforms={"apns": apns, "fcm": apns}, not_planned={})
    found = [(row.reason, row.where, row.amount, row.link is None) for row in reasons_of([one, other], app="news")]
    assert found == [
        ("expired", "apns", 4, False),
        ("no_devices", "not planned", 4, True),
        ("device_unregistered", "apns", 2, False),
        ("expired", "fcm", 2, False),
        ("device_unregistered", "fcm", 1, False),
    ]


async def test_why_is_told_in_the_order_of_time() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rows = (("14:13:09", "accepted"), ("14:13:00", "the event"), ("14:13:05", "planned"))
        rig.answer["evidence"] = [
            {"at": f"2026-09-21T{at}.000Z", "what": what, "topic": "t", "partition": 0, "offset": 1}
            for at, what in rows
        ]
        page = (await client.get("/people", params={"user": "u", "notification": "n"})).text
    assert re.findall(r'<span class="w">([^<]*)</span>', page) == ["the event", "planned", "accepted"]


def test_latencies_of_several_reports_are_summed_by_their_bounds() -> None:
    one, other = ([{"up_to_ms": 100.0, "count": 2}, {"up_to_ms": 9.0, "count": 1}], [{"up_to_ms": 100.0, "count": 5}])
    assert summed([one, other, []]) == [{"up_to_ms": 9.0, "count": 1}, {"up_to_ms": 100.0, "count": 7}]


async def test_a_person_has_devices_deliveries_and_an_answer_to_why() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.owned["u 1"] = [device_of("d-1")]
        rig.answer = {"answer": "It waits in Kafka.", "evidence": []}
        page = (await client.get("/people", params={"user": "u 1", "notification": "n-1"})).text
    assert "It waits in Kafka." in page
    assert "d-1" in page
    assert "Perhaps: news on d-1 was last heard of" in page
    assert "What was before is no longer kept: push.receipt.v1 <time" in page


async def test_what_is_not_known_of_a_person_does_not_hide_the_rest() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.history = None
        page = await client.get("/people", params={"user": "u-1"})
    assert page.status_code == 200
    assert "No device is registered for this user." in page.text
    assert "the reporter that has this user does not answer" in page.text


async def test_a_notification_is_checked_without_being_sent() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        checked = await client.post("/send", data={**NOTE, "_token": token, "do": "check"})
        wrong = await client.post("/send", data={**NOTE, "title": "", "body": "", "_token": token, "do": "check"})
        large = await client.post("/send", data={**NOTE, "body": "x" * 4090, "_token": token, "do": "check"})
        assert rig.producer.puts == []
    assert "of 4,096 bytes" in checked.text
    assert (wrong.status_code, checked.status_code, large.status_code) == (422, 200, 200)
    assert 'class="bad"' in large.text


async def test_a_form_that_is_sent_twice_is_one_notification() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        for _ in range(2):
            answer = await client.post("/send", data={**NOTE, "_token": token, "do": "send", "dry_run": "true"})
            assert answer.headers["location"] == "/people?user=u-1&notification=n-1"
        sent = [json.loads(put.value or b"") for put in rig.producer.puts if put.topic.startswith("push.notification")]
        assert [(each["id"], each["options"]) for each in sent] == [("n-1", {"dry_run": True})] * 2
        assert [each.what for each in rig.acted()] == ["notification n-1"] * 2


@pytest.mark.parametrize(
    ("counted", "typed", "sent"),
    [(1000, "", True), (1001, "", False), (1001, "1001", True), (120_000, "120,000", True), (120_000, "12,000", False)],
)
async def test_a_broadcast_to_more_than_a_thousand_is_sent_when_their_number_is_typed(
    counted: int, typed: str, sent: bool
) -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        rig.counted = {"devices": counted}
        checked = await client.post("/send", data={**CAST, "_token": token, "do": "check"})
        assert f"It reaches about <b>{counted:,} devices</b>" in checked.text
        assert ('name="confirm"' in checked.text) is (counted > 1000)
        rig.producer.puts.clear()
        form = {**CAST, "_token": token, "do": "send", "counted": str(counted), "confirm": typed}
        answer = await client.post("/send", data=form)
        events = [put for put in rig.producer.puts if put.topic == "push.broadcast.normal.v1"]
    assert (answer.status_code, len(events)) == ((303, 1) if sent else (400, 0))


async def test_a_broadcast_that_nobody_counts_is_sent_when_its_topics_are_typed_again() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        rig.counted = None
        checked = await client.post("/send", data={**CAST, "_token": token, "do": "check"})
        assert "How many it reaches is not known" in checked.text
        rig.producer.puts.clear()
        form = {**CAST, "_token": token, "do": "send"}
        assert (await client.post("/send", data={**form, "confirm": "team/arsenal"})).status_code == 400
        answer = await client.post("/send", data={**form, "confirm": CAST["topics"]})
        assert answer.headers["location"] == "/reports/n-1"
        (event,) = [put for put in rig.producer.puts if put.topic == "push.broadcast.normal.v1"]
        assert json.loads(event.value or b"")["audience"] == {"topics": ["team/arsenal", "team/chelsea"]}


async def test_sending_needs_its_own_scope() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client, Scope.CONSOLE_OPERATE)
        answer = await client.post("/send", data={**NOTE, "_token": token, "do": "send"})
    assert answer.status_code == 403


@pytest.mark.parametrize(("do", "value"), [("hold", True), ("stop", True), ("resume", False)])
async def test_a_broadcast_is_held_stopped_and_resumed(do: str, value: bool) -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        form = {"id": "b-1", "do": do, "_token": token, "then": "/reports/b-1"}
        answer = await client.post("/control/broadcast", data=form)
        assert answer.headers["location"] == "/reports/b-1"
        control, _ = rig.producer.puts
        assert control.key == Name(Kind.STOP if do == "stop" else Kind.HOLD, "b-1").key()
        assert (control.value is not None) is value


async def test_a_viewer_sees_what_is_held_and_no_switch() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client, Scope.CONSOLE_VIEW)
        rig.control.apply(Name(Kind.HOLD, "b-1").key(), encode(Halt(1, None, "anna", "too early")))
        page = (await client.get("/control")).text
    assert "too early" in page
    assert "/control/" not in page


async def test_a_page_carries_the_token_of_its_session_in_every_form() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        for path in ("/control", "/send"):
            page = (await client.get(path)).text
            assert page.count('method="post"') == page.count(f'name="_token" value="{token}"'), path
            assert token_in(page) == token


async def test_dead_letters_are_counted_before_they_are_sent_again() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        rig.letters = [LETTER, LETTER | {"offset": 2, "reason": "too_large"}]
        page = (await client.get("/dead-letters", params={"reason": "unknown_field"})).text
        assert page.count("<details") == 1
        form = {"topic": "", "reason": "unknown_field", "_token": token}
        counted = (await client.post("/dead-letters/redrive", data={**form, "do": "count"})).text
        assert "1 of 1 letter would go back" in counted
        assert rig.acted() == []
        sent = (await client.post("/dead-letters/redrive", data={**form, "do": "execute", "in_doubt": "true"})).text
        assert "1 of 1 letter went back" in sent
        asked = [(each.execute, each.reasons, each.in_doubt) for each, *_ in rig.redrives]
        reasons = frozenset({"unknown_field"})
        assert asked == [(False, reasons, False), (True, reasons, True)]
        [done] = rig.acted()
        assert (done.did, done.what) == ("redrive", "unknown_field")
        assert (done.before, done.after) == ("1 dead letter", "1 of them sent again")


async def test_what_waits_for_its_time_is_shown_and_cancelled() -> None:
    timer = {"notification": "n-1", "lane": "bulk", "due_at": None, "written_at": None, "released_at": None}
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        rig.waiting["u-1"] = [timer, timer | {"notification": "n-0", "released_at": "2026-09-21T14:00:00Z"}]
        page = (await client.get("/people?user=u-1")).text
        assert "n-1" in page
        assert "n-0" not in page
        form = {"user": "u-1", "notification": "n-1", "_token": token}
        answer = await client.post("/people/cancel", data=form)
        assert answer.headers["location"] == "/people?user=u-1&notification=n-1"
        assert [put.topic for put in rig.producer.puts] == ["push.cancel.v1", "push.action.v1"]


LANGUAGES = {"locale_1": "de", "title_1": "Tor!", "body_1": "1:0 in der 88. Minute"}


async def test_a_notification_in_two_languages_is_shown_in_both_and_sent_with_both() -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        checked = await client.post("/send", data={**NOTE, **LANGUAGES, "_token": token, "do": "check"})
        await client.post("/send", data={**NOTE, **LANGUAGES, "_token": token, "do": "send"})
        [sent] = [
            json.loads(put.value or b"") for put in rig.producer.puts if put.topic.startswith("push.notification")
        ]
    assert "In every other language" in checked.text
    assert "In de" in checked.text
    assert "1:0 in der 88. Minute" in checked.text
    assert sent["locales"] == {"de": {"title": "Tor!", "body": "1:0 in der 88. Minute"}}


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"title_2": "Tor!"}, "which language is the text"),
        ({**LANGUAGES, "locale_2": "de", "body_2": "x"}, "stands there twice"),
    ],
)
async def test_a_text_without_a_language_of_its_own_is_refused(form: dict[str, str], words: str) -> None:
    async with console() as rig, rig.browser() as client:
        token = await rig.signed_in(client)
        answer = await client.post("/send", data={**NOTE, **form, "_token": token, "do": "send"})
        assert [put for put in rig.producer.puts if put.topic.startswith("push.notification")] == []
    assert answer.status_code in (400, 422)
    assert words in answer.text


async def test_a_report_says_whether_the_goal_of_the_service_level_is_met() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1")
        level = report_of("n")["slo"]
        rig.reports.all["n-2"] = report_of("n-2", slo=level | {"share": 0.5, "met": False})
        rig.reports.all["n-3"] = report_of("n-3", open=3, slo=level | {"met": None})
        rig.reports.all["n-4"] = report_of("n-4", dry_run=True, slo=None)
        met, missed, going, dry = [(await client.get(f"/reports/n-{number}")).text for number in (1, 2, 3, 4)]
    assert "The goal of 90 % of all that could be delivered within 2 min is met." in met
    assert "is missed: 50 %" in missed
    assert "The goal" not in going
    assert "The goal" not in dry


async def test_a_person_has_one_time_axis_and_chooses_its_span() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        assert "What happened" not in (await client.get("/people?user=u-1")).text
        rig.owned["u-1"] = [device_of("d-1")]
        day = (await client.get("/people?user=u-1")).text
        week = (await client.get("/people?user=u-1&span=week")).text
    assert '<b aria-current="true">the last day</b>' in day
    assert '<b aria-current="true">the last week</b>' in week
    assert 'class="life l-reached"' in day


async def test_health_says_what_each_process_has_and_when_it_was_last_called_alive() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.told["http://sender/health/ready"] = 200, b'{"status":"ok","problems":[]}'
        rig.told["http://sender/_info"] = 200, b'{"version":"0.1","slot":"eu-1"}'
        lines = 'pushcast_assigned_partitions{group="g",topic="t"} 7\npushcast_heartbeat_age_seconds{group="g"} 1.5\n'
        rig.told["http://sender/metrics"] = 200, (METRICS % (1, 0, 2.5) + lines).encode()
        await rig.watch.look()
        page = (await client.get("/health")).text
    row = page[page.index("sender-urgent") :]
    assert "eu-1" in row
    assert 'data-label="partitions">7<' in row
    assert 'data-label="oldest unfinished">2.5 s<' in row
    assert 'data-label="heartbeat">1.5 s ago<' in row


async def test_pages_that_belong_to_another_are_found_in_the_list_of_pages() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        rig.reports.all["n-1"] = report_of("n-1")
        for path, within in (("/reports/n-1", "/reports"), ("/campaigns/x", "/reports"), ("/devices", "/people")):
            assert f'<a href="{within}" aria-current="true"' in (await client.get(path)).text, path


@pytest.mark.parametrize("page", [b"<html>", b"[]", b"{}", b'{"status":"ok","problems":[]}', b"7"])
async def test_a_process_whose_page_is_another_program_s_is_silent_and_health_still_shows(page: bytes) -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        refused = (await client.get("/health")).text
        rig.told["http://sender/health/ready"] = 200, page
        rig.told["http://sender/_info"] = 200, b"[]"
        answer = await client.get("/health")
    assert "it does not answer: refused" in refused
    assert answer.status_code == 200
    assert "what it answers is no page of a process" in answer.text


async def test_the_first_look_at_an_empty_console_says_what_to_do() -> None:
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        now, campaign = (await client.get("/")).text, (await client.get("/campaigns/x")).text
    assert "No process here tells its figures yet." in now
    assert "0 processes" not in now
    assert "pushcast send --user u1 --title Hello" in now
    assert "No report of the last 7 days has this label." in campaign
    assert '<svg class="bar' not in campaign


async def test_a_time_that_no_calendar_has_takes_no_page_along() -> None:
    """A dead letter's header and records that others write hold any number; JavaScript's largest one, for `never`."""
    never = 2**53 - 1
    async with console() as rig, rig.browser() as client:
        rig.letters = [LETTER | {"first_seen_at": 10**18}]
        rig.actions.apply(b"k", actions.encode(OperatorAction(never, "k", "", "pause", "news/apns")))
        rig.control.apply(Subject(Kind.PAUSE, "news", Platform.APNS).key(), encode(Pause(never, "", "by hand")))
        key_id, _, digest = new_key()
        rig.keyring.apply(key_id.encode(), encode_record(ApiKey((Scope.CONSOLE_VIEW,), (Hash(digest, 1, never),))))
        await rig.signed_in(client)
        for path in ("/dead-letters", "/actions", "/control", "/keys", "/"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert "9999" in answer.text or path == "/", path


async def test_a_device_is_not_found_in_a_kafka_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was an error of ours, with a traceback in the log."""

    async def story(self: ConsoleRig, device: str, user: str | None) -> dict[str, Any]:
        raise TailUnreadable("no answer within 10 s")

    monkeypatch.setattr(ConsoleRig, "story", story)
    async with console() as rig, rig.browser() as client:
        await rig.signed_in(client)
        answer = await client.get("/devices", params={"device": "d-1"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "Kafka: no answer within 10 s" in answer.text
