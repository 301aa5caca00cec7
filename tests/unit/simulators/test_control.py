from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from pushcast.simulators import Simulator, start
from unit.simulators.h2_client import BODY, H2Client, device, push_headers


@pytest.fixture
async def control(apns: Simulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=apns.control_url)


async def test_rules_decide_before_prefixes_and_checks(apns: Simulator, control: httpx.AsyncClient) -> None:
    rules = [
        {"match": {"prefix": "dead0410"}, "effect": "ok", "times": 1},
        {"match": {"token": "ab" * 32}, "effect": "status:503", "retry_after": 7},
    ]
    assert (await control.put("/rules", json=rules)).json() == {"rules": 2}
    client = await H2Client.connect(apns)
    assert (await client.call(device("dead0410"), {}, b"")).status == 200
    assert (await client.call(device("dead0410"), {}, b"")).status == 410
    scripted = await client.call(device("ab" * 32), push_headers(apns), BODY)
    assert (scripted.status, scripted.headers["retry-after"]) == (503, "7")
    shown = (await control.get("/rules")).json()
    assert [rule["applied"] for rule in shown] == [1, 1]


async def test_a_rule_of_another_provider_is_left_out(apns: Simulator) -> None:
    apns.set_rules(
        [
            {"match": {"provider": "fcm"}, "effect": "status:503"},
            {"match": {"provider": "apns"}, "effect": "status:500"},
        ]
    )
    client = await H2Client.connect(apns)
    assert (await client.call(device("ab" * 32), push_headers(apns), BODY)).status == 500


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/rules", [{"effect": "nonsense"}]),
        ("PUT", "/state", {"latensy": 3}),
        ("PUT", "/state", {"network": "wet"}),
        ("POST", "/goaway", {"mode": "rude"}),
        ("POST", "/settings", {"max_streams": 3}),
        ("POST", "/rst", {"code": "NOPE"}),
        ("POST", "/clock", {"ahead": 3}),
        ("PUT", "/state", {"maintenance": True, "latency": {"ms": -1}}),
        ("PUT", "/state", {"maintenance": True, "network": "wet"}),
        ("PUT", "/state", {"streams": -1}),
        ("PUT", "/state", {"goaway": {"after_requests": "10"}}),
        ("PUT", "/state", {"revoked_keys": "ABCDE12345"}),
        ("PUT", "/state", {"bad_device_token_limit": "5"}),
        ("PUT", "/state", [1]),
        ("PUT", "/rules", [{"effect": "ok", "times": "3"}]),
        ("PUT", "/rules", [{"effect": "ok", "match": {"token": 5}}]),
        ("PUT", "/rules", [{"effect": "fail:1:9999"}]),
        ("PUT", "/rules", [{"effect": "latency:nan"}]),
        ("PUT", "/rules", {"rules": 5}),
        ("POST", "/goaway", {"code": -1}),
        ("POST", "/goaway", {"last_stream_id": "x"}),
        ("POST", "/goaway", {"connections": 5}),
        ("POST", "/settings", {"initial_window_size": 2**40}),
        ("POST", "/clock", {"freeze": True, "set": 1e300}),
        ("POST", "/devices", {"token": 5, "online": True}),
        ("POST", "/rst", [1]),
    ],
)
async def test_a_wrong_request_is_refused_with_a_sentence_and_changes_nothing(
    apns: Simulator, control: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    before = apns.state()
    client = await H2Client.connect(apns)
    answer = await control.request(method, path, json=body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 20
    assert apns.state() == before
    assert not client.lost


async def test_stats_count_copies_and_measure_latency(apns: Simulator, control: httpx.AsyncClient) -> None:
    client = await H2Client.connect(apns)
    body = b'{"aps":{"alert":"x"},"pushcast_at_ms":%d}' % (apns.clock.now_ms() - 2_000)
    for token in ("aa", "aa", "ab"):
        await client.call(device(token), push_headers(apns), body)
    stats = (await control.get("/stats", params={"detail": "copies"})).json()
    assert (stats["platform"], stats["requests"], stats["accepted"], stats["duplicates"]) == ("apns", 3, 3, 1)
    assert sorted(stats["copies"].values()) == [1, 2]
    assert stats["latency_ms"]["count"] == 3
    assert stats["latency_ms"]["p50"] >= 1_900
    assert "copies" not in (await control.get("/stats")).json()


async def test_deliveries_are_listed_in_order_with_headers_and_verdict(
    apns: Simulator, control: httpx.AsyncClient
) -> None:
    client = await H2Client.connect(apns)
    await client.call(device("aa"), push_headers(apns), BODY)
    await client.call(device("dead0410"), push_headers(apns), BODY)
    entries = (await control.get("/deliveries")).json()["deliveries"]
    assert [entry["verdict"] for entry in entries] == ["200", "410 Unregistered"]
    assert entries[0]["headers"]["apns-topic"] == "com.example.news"
    assert entries[0]["body"] == BODY.decode()
    assert (await control.get("/deliveries", params={"since": 1})).json()["deliveries"] == entries[1:]


async def test_reset_forgets_everything_but_the_connections(apns: Simulator, control: httpx.AsyncClient) -> None:
    client = await H2Client.connect(apns)
    await client.call(device("aa"), push_headers(apns), BODY)
    await control.put("/rules", json=[{"effect": "drop"}])
    await control.put("/state", json={"latency": {"ms": 9_000}})
    await control.post("/clock", json={"advance_seconds": 100})
    await control.post("/reset")
    stats = (await control.get("/stats")).json()
    assert (stats["requests"], stats["accepted"], stats["connections"]["open"]) == (0, 0, 1)
    assert apns.state()["latency"] is None
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200


async def test_faults_of_the_network_can_be_switched(apns: Simulator, control: httpx.AsyncClient) -> None:
    for mode in ("refuse", "close"):
        await control.put("/state", json={"network": mode})
        with pytest.raises(OSError):
            await H2Client.connect(apns)
    await control.put("/state", json={"network": "stall"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(H2Client.connect(apns), 0.2)
    await control.put("/state", json={"network": "up"})
    client = await H2Client.connect(apns)
    assert (await client.call(device("aa"), push_headers(apns), BODY)).status == 200


async def test_a_frozen_simulator_neither_reads_nor_answers(apns: Simulator, control: httpx.AsyncClient) -> None:
    client = await H2Client.connect(apns)
    await control.put("/state", json={"frozen": True})
    stream = client.post(device("aa"), push_headers(apns), BODY)
    with pytest.raises(TimeoutError):
        await client.until(lambda: client.answers[stream].over, seconds=0.2)
    await control.put("/state", json={"frozen": False})
    assert (await client.answer(stream)).status == 200


async def test_streams_settings_and_connections_are_scripted_over_http(
    apns: Simulator, control: httpx.AsyncClient
) -> None:
    client = await H2Client.connect(apns)
    silent = client.post(device("ba5e0001"), {}, b"")
    await control.put("/rules", json=[{"effect": "never"}])
    assert (await control.post("/settings", json={"max_concurrent_streams": 7})).json() == {"connections": 1}
    await client.until(lambda: client.settings[-1] == {3: 7})
    assert (await control.post("/rst", json={"code": "REFUSED_STREAM"})).json() == {"streams": 1}
    assert (await client.answer(silent)).reset_code == 7
    assert (await control.post("/goaway", json={"reason": "Shutdown"})).json() == {"connections": 1}
    await client.until(lambda: bool(client.goaways))
    assert (await control.post("/drop")).json()["connections"] >= 0


async def test_a_simulator_that_starts_again_has_the_same_identity_and_credentials(tmp_path: Path) -> None:
    first = start("apns", work_dir=tmp_path, seed=3)
    async with first:
        authority, credentials = first.ca_file.read_bytes(), first.credentials
    async with start("apns", work_dir=tmp_path, seed=3) as again:
        assert (again.ca_file.read_bytes(), again.credentials) == (authority, credentials)


def test_an_unknown_platform_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="platform 'smoke' is not one of apns, fcm"):
        start("smoke", work_dir=tmp_path)


async def test_a_slow_network_stands_still_between_reads(apns: Simulator, control: httpx.AsyncClient) -> None:
    client = await H2Client.connect(apns)
    await control.put("/state", json={"bytes_per_second": 1})
    first = client.post(device("aa"), push_headers(apns), BODY)
    assert (await client.answer(first)).status == 200
    second = client.post(device("ab"), push_headers(apns), BODY)
    with pytest.raises(TimeoutError):
        await client.until(lambda: client.answers[second].over, seconds=0.2)
    assert apns.stats()["requests"] == 1


async def test_a_port_that_another_process_has_taken_is_a_sentence_and_can_be_asked_for_again(
    apns: Simulator, control: httpx.AsyncClient
) -> None:
    """It answered 500, and `up` did nothing from then on: the simulator believed that it listened."""
    assert (await control.put("/state", json={"network": "refuse"})).status_code == 200
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", apns.port)
    answer = await control.put("/state", json={"network": "up", "maintenance": True})
    assert answer.status_code == 400
    assert "in use" in answer.json()["error"]
    assert (apns.state()["network"], apns.state()["maintenance"]) == ("refuse", False)
    other.close()
    await other.wait_closed()
    assert (await control.put("/state", json={"network": "up"})).json()["network"] == "up"
    assert (await (await H2Client.connect(apns)).call(device("ab" * 32), push_headers(apns), BODY)).status == 200


@pytest.mark.parametrize(
    "state",
    [
        {"quota": {"project_per_minute": "many"}},
        {"quota": 5},
        {"idle_seconds": "4"},
        {"max_pings": 1.5},
        {"revoked_projects": "news-project"},
        {"trailing_data": "no"},
        {"access_token_seconds": "soon"},
        {"token_endpoint": "away"},
    ],
)
async def test_a_value_of_the_wrong_type_is_refused_before_a_request_meets_it(
    fcm: Simulator, state: dict[str, object]
) -> None:
    before = fcm.state()
    async with httpx.AsyncClient(base_url=fcm.control_url, trust_env=False) as control:
        answer = await control.put("/state", json=state)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"ValueError: {next(iter(state))}")
    assert fcm.state() == before


async def test_a_simulator_whose_control_port_is_taken_listens_nowhere(work_dir: Path) -> None:
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    simulator = start("expo", work_dir=work_dir, control_port=other.sockets[0].getsockname()[1])
    with pytest.raises(OSError, match="in use"):
        await simulator.open()
    assert simulator.state()["network"] == "refuse"
    other.close()
    await other.wait_closed()
