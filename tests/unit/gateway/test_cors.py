"""Pages of other origins call the gateway from a browser, if it names them."""

from __future__ import annotations

import httpx
import pytest

from pushcast.config.settings import Settings
from twins.gateway import Rig, gateway

OURS, OTHERS = "https://app.example.com", "https://evil.example"
OPEN = {"gateway": {"cors_origins": [OURS]}}
NOTE = {"user": "u-1", "title": "t"}
DEVICE = "/v1/me/devices/d-1"


async def asked_first(rig: Rig, origin: str, method: str = "PUT", path: str = DEVICE) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    async with rig.client() as client:
        return await client.options(path, headers=headers)


def of_cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def test_a_preflight_says_what_the_page_may_send_and_asks_for_no_key() -> None:
    async with gateway(options=OPEN) as rig:
        answer = await asked_first(rig, OURS)
    said = of_cors(answer)
    assert (answer.status_code, answer.content) == (204, b"")
    assert said["access-control-allow-origin"] == OURS
    assert set(said["access-control-allow-methods"].split(", ")) == {"PUT", "DELETE"}
    names = {name.lower() for name in said["access-control-allow-headers"].split(", ")}
    assert names >= {"authorization", "content-type", "pushcast-app", "pushcast-device-secret", "idempotency-key"}
    assert "access-control-allow-credentials" not in said
    assert rig.observed == [("preflight", 204)]


async def test_without_the_setting_no_page_may_read_an_answer() -> None:
    async with gateway() as rig, rig.client(rig.key()) as client:
        preflight = await asked_first(rig, OURS)
        answer = await client.post("/v1/notifications", json=NOTE, headers={"Origin": OURS})
    assert (preflight.status_code, of_cors(preflight)) == (405, {})
    assert (answer.status_code, of_cors(answer)) == (202, {})


@pytest.mark.parametrize("origin", [OTHERS, "null", OURS.upper(), f"{OURS}.evil.example", f"{OURS}:8443", f"{OURS}/"])
async def test_other_origins_are_told_nothing(origin: str) -> None:
    async with gateway(options=OPEN) as rig, rig.client(rig.key()) as client:
        preflight = await asked_first(rig, origin)
        answer = await client.post("/v1/notifications", json=NOTE, headers={"Origin": origin})
    assert (preflight.status_code, of_cors(preflight)) == (405, {})
    assert (of_cors(answer), answer.headers["vary"]) == ({}, "Origin")


async def test_every_answer_to_an_origin_of_ours_may_be_read_also_a_refusal() -> None:
    async with gateway(options=OPEN) as rig, rig.client(rig.key()) as client:
        origin = {"Origin": OURS}
        answers = [
            await client.post("/v1/notifications", json=NOTE, headers=origin),
            await client.post("/v1/notifications", json={"usr": "u-1"}, headers=origin),
            await client.post("/v1/notifications", json=NOTE, headers=origin | {"Authorization": "Bearer no"}),
            await client.get("/none", headers=origin),
            await client.get("/openapi.json", headers=origin),
        ]
    assert [answer.status_code for answer in answers] == [202, 422, 401, 404, 200]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {OURS}
    assert all("Retry-After" in answer.headers["access-control-expose-headers"] for answer in answers)


async def test_options_without_a_preflight_or_at_no_path_are_as_before() -> None:
    async with gateway(options=OPEN) as rig, rig.client() as client:
        plain = await client.options(DEVICE, headers={"Origin": OURS})
        nowhere = await asked_first(rig, OURS, path="/none")
    assert (plain.status_code, nowhere.status_code) == (405, 404)


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "app.example.com", "https://app.example.com/", "https://APP.example.com", "ftp://app.example.com",
        "https://user@app.example.com", "https://app.example.com:443", "http://app.example.com:80", "https://a b", "",
        "https://app.example.com\r\nX: y",
    ],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused_at_start(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Settings.model_validate({"gateway": {"cors_origins": [origin]}})


def test_hosts_addresses_and_ports_are_origins() -> None:
    origins = ("https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "http://127.0.0.1:8080")
    found = Settings.model_validate({"gateway": {"cors_origins": origins}}).gateway
    assert found is not None
    assert found.cors_origins == origins
