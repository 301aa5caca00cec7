"""Everything else that the gateway answers."""

from __future__ import annotations

import json
from pathlib import Path

from openapi_spec_validator import validate

from pushcast.config.doors import Webhook
from pushcast.gateway.document_file import render
from pushcast.gateway.http import takes_json
from pushcast.gateway.problems import KINDS
from pushcast.model.words import Platform
from pushcast.wire.control.api_keys import Scope
from pushcast.wire.control.control import Kind, Name, SegmentRecord, Subject, encode
from snippets import ROOT
from twins.gateway import gateway


async def test_health_tells_whether_it_is_well_and_nothing_else() -> None:
    async with gateway() as rig, rig.client() as client:
        well = await client.get("/v1/health")
        rig.unready.append("Kafka has not confirmed a record for 3 s")
        ill = await client.get("/v1/health")
    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert (ill.status_code, ill.json()) == (503, {"status": "failing"})


async def test_the_document_is_valid_and_has_every_call() -> None:
    async with gateway() as rig, rig.client() as client:
        document = (await client.get("/openapi.json")).json()
    validate(document)
    calls = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert calls == {(route.method, route.path) for route in rig.calls.keyed} | {
        ("GET", route.path) for route in rig.calls.open
    }
    assert set(document["components"]["schemas"]["Notification"]["properties"]) >= {"user", "title", "options"}


async def test_the_document_in_docs_is_the_one_that_a_gateway_answers() -> None:
    async with gateway() as rig, rig.client() as client:
        answered = (await client.get("/openapi.json")).content
    assert (ROOT / "docs/openapi.json").read_bytes() == answered == render(), "run `make graph`"


async def test_every_problem_type_resolves_to_what_to_do() -> None:
    async with gateway() as rig, rig.client() as client:
        for name, kind in KINDS.items():
            page = (await client.get(f"/problems/{name}")).json()
            assert (page["status"], page["remedy"]) == (kind.status, kind.remedy)
        assert (await client.get("/problems/none")).status_code == 404


async def test_a_path_or_method_that_is_not_there_is_a_problem() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        path = await client.get("/v2/notifications")
        method = await client.patch("/v1/notifications")
        traversal = await client.get("/v1/../../etc/passwd")
    assert (path.status_code, path.json()["type"]) == (404, "/problems/not_found")
    assert (method.status_code, method.headers["Allow"]) == (405, "POST")
    assert traversal.status_code == 404
    assert ("none", 404) in rig.observed


async def test_who_takes_no_json_is_told_so_and_nothing_is_written() -> None:
    note = {"user": "u", "title": "t"}
    taken = ["*/*", "application/json; q=0.5", "text/html, */*;q=0.1", "Application/JSON", "application/*"]
    refused = ["text/html", "application/xml, text/*", "application/json;q=0", "*/*; q=0.000"]
    async with gateway() as rig, rig.client(rig.key()) as client:
        found = {
            (accept, way): (await client.post(f"/v1/notifications{way}", json=note, headers={"Accept": accept}))
            for accept in (*taken, *refused)
            for way in ("", "?")  # the quick way and the usual one
        }
        count = len(rig.producer.puts)
        page = await client.get("/openapi.json", headers={"Accept": "text/html"})
    statuses = {accept: {found[accept, way].status_code for way in ("", "?")} for accept, _ in found}
    assert statuses == {**{accept: {202} for accept in taken}, **{accept: {406} for accept in refused}}
    assert count == 2 * len(taken)
    assert found["text/html", ""].json()["type"] == "/problems/not_acceptable"
    assert page.status_code == 200, "what needs no key is for browsers, too"
    assert takes_json("")


async def test_an_error_of_ours_is_told_without_its_text() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.producer.refusal = RuntimeError("a secret detail")
        answer = await client.post("/v1/notifications", json={"user": "u", "title": "t"})
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal_error")
    assert "secret" not in answer.text


async def test_a_stopping_process_takes_nothing_more() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.writer.stopping = True
        answer = await client.post("/v1/notifications", json={"user": "u", "title": "t"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/stopping")
    assert answer.headers["connection"] == "close"


async def test_an_app_is_paused_and_resumed() -> None:
    path = "/v1/pauses/news/apns"
    async with gateway() as rig, rig.client(rig.key()) as client:
        paused = await client.put(path, json={"comment": "bad campaign"})
        put = rig.producer.puts[0]
        assert (put.topic, put.key) == ("push.control.v1", Subject(Kind.PAUSE, "news", Platform.APNS).key())
        rig.control.apply(put.key, put.value)
        listed = (await client.get("/v1/pauses")).json()
        again = await client.put(path, json={})
        resumed = await client.delete(path)
        lane = await client.put(f"{path}/urgent")
        unknown = [await client.put(each) for each in ("/v1/pauses/none/apns", "/v1/pauses/news/sms", f"{path}/fast")]
    assert paused.json()["paused"] is True
    assert [row["comment"] for row in listed["pauses"]] == ["bad campaign"]
    assert again.json()["since"] == paused.json()["since"], "the pause that holds is the older one"
    assert (resumed.json()["paused"], rig.producer.puts[2].value) == (False, None)
    assert lane.json()["lane"] == "urgent"
    assert [answer.status_code for answer in unknown] == [404, 404, 404]


async def test_webhooks_of_a_changed_configuration_are_listed_at_once() -> None:
    hook = Webhook(
        url="https://crm.example/x", secret_file=Path("s"), events=("tokens.invalid",), allowed_hosts=("crm.example",)
    )
    async with gateway() as rig, rig.client(rig.key()) as client:
        before = (await client.get("/v1/webhooks")).json()["webhooks"]
        rig.calls.webhooks.change({"crm": hook})
        after = (await client.get("/v1/webhooks")).json()["webhooks"]
    assert (before, [row["name"] for row in after]) == ([], ["crm"])


async def test_what_the_command_line_lists_is_listed_by_http_too() -> None:
    where = {"topic": "team/arsenal"}
    async with gateway() as rig, rig.client(rig.key()) as client:
        rig.control.apply(Name(Kind.SEGMENT, "fans").key(), encode(SegmentRecord(where, "")))
        segments = (await client.get("/v1/segments")).json()
        segment = await client.get("/v1/segments/fans")
        rig.reports.all["n"] = {"id": "n", "campaign": "cup"}
        campaign, other = await client.get("/v1/campaigns/cup"), await client.get("/v1/campaigns/other")
        casts = (await client.get("/v1/broadcasts")).json()["broadcasts"]
        bulk = (await client.get("/v1/broadcasts", params={"lane": "bulk"})).json()["broadcasts"]
        missing = [await client.get("/v1/segments/none"), await client.get("/v1/broadcasts", params={"lane": "fast"})]
    assert (segments, segment.json()) == ({"segments": [{"name": "fans", "where": where}]}, segments["segments"][0])
    assert (campaign.json()["reports"], other.status_code) == (1, 404)
    assert ([row["lane"] for row in casts], [row["lane"] for row in bulk]) == (["urgent", "normal", "bulk"], ["bulk"])
    assert [answer.status_code for answer in missing] == [404, 400]


async def test_a_key_for_some_apps_lists_nothing_that_is_of_all() -> None:
    paths = ("/v1/segments", "/v1/segments/fans", "/v1/campaigns/cup", "/v1/broadcasts", "/v1/broadcasts/b")
    async with gateway() as rig, rig.client(rig.key(apps=("news",))) as client:
        assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 403)


async def test_why_is_asked_with_a_key_that_may_read_histories() -> None:
    async with gateway() as rig:
        async with rig.client(rig.key(Scope.HISTORY_READ)) as client:
            why = await client.get("/v1/users/u-1/why", params={"notification": "n-1", "device": "d"})
            missing = await client.get("/v1/users/u-1/why")
            devices = await client.get("/v1/users/u-1/devices")
            letters = await client.get("/v1/dead-letters")
        async with rig.client(rig.key(Scope.HISTORY_READ, apps=("shop",))) as client:
            of_one_app = await client.get("/v1/users/u-1/devices")
        async with rig.client(rig.key(Scope.DLQ_READ)) as client:
            limited = await client.get("/v1/dead-letters", params={"limit": "2"})
            wrong = [
                await client.get("/v1/dead-letters", params={"limit": each}) for each in ("0", "x", "501", "9" * 99)
            ]
    assert why.json()["answer"] == "u-1 n-1 d"
    assert missing.status_code == 400
    assert [row["app"] for row in devices.json()["devices"]] == ["news", "shop"]
    assert letters.status_code == 403
    assert [row["app"] for row in of_one_app.json()["devices"]] == ["shop"]
    assert len(json.loads(limited.content)["letters"]) == 2
    assert {answer.status_code for answer in wrong} == {400}
