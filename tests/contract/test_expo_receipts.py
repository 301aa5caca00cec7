"""Questions for receipts against the Expo simulator: every refusal of providers.md §3 has its verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.port import Result
from pushcast.providers.registry import build
from pushcast.simulators import Simulator, start
from unit.providers.messages import message

RULE = {"match": {"token": "getReceipts"}}


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("expo")


@pytest.fixture
async def simulator(work_dir: Path) -> AsyncIterator[Simulator]:
    async with start("expo", work_dir=work_dir) as made:
        yield made


async def provider_of(simulator: Simulator, **settings: Any) -> ExpoProvider:
    chosen = {
        "endpoint": simulator.url,
        "ca_file": str(simulator.ca_file),
        "access_token_file": simulator.credentials["access_token_file"],
        "request_timeout_seconds": 5.0,
    }
    tree = Settings.model_validate({"apps": {"news": {"expo": chosen | settings}}})
    provider = build("news", "expo", tree)
    assert isinstance(provider, ExpoProvider)
    await provider.start()
    return provider


@pytest.fixture
async def provider(simulator: Simulator) -> AsyncIterator[ExpoProvider]:
    made = await provider_of(simulator)
    yield made
    await made.close()


async def ticket(provider: ExpoProvider, token: str = "ExponentPushToken[a]") -> str:
    results: list[Result] = []
    await provider.send(message([token.encode()]), [0], results.extend)
    return str(results[0].provider_id)


async def test_a_receipt_that_is_ready_is_told_and_others_are_left_out(provider: ExpoProvider) -> None:
    name = await ticket(provider)
    found = await provider.receipts([name, "unknown"])
    assert found.refused is None
    assert {key: verdict.disposition.value for key, verdict in found.verdicts.items()} == {name: "accepted"}


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        ("status:429", ("retry", "rate_limited")),
        ("status:503", ("retry", "provider_unavailable")),
        ("html:502", ("retry", "provider_unavailable")),
        ("status:500", ("retry", "provider_error")),
        ("status:400:PUSH_TOO_MANY_RECEIPTS", ("rejected", "bad_request")),
        ("status:400:VALIDATION_ERROR", ("rejected", "bad_request")),
        ("status:403:UNAUTHORIZED", ("credential", "credential_refused")),
        ("html:200", ("unknown", "answer_unreadable")),
    ],
)
async def test_a_question_that_is_refused_has_the_verdict_of_the_table(
    simulator: Simulator, provider: ExpoProvider, effect: str, expected: tuple[str, str]
) -> None:
    name = await ticket(provider)
    simulator.set_rules([RULE | {"effect": effect, "times": 1}])
    refused = (await provider.receipts([name])).refused
    assert refused is not None
    assert (refused.disposition.value, refused.reason) == expected
    assert name in (await provider.receipts([name])).verdicts


async def test_a_body_that_is_too_large_is_sent_in_halves(simulator: Simulator, provider: ExpoProvider) -> None:
    addresses = [f"ExponentPushToken[{number}]".encode() for number in range(8)]
    simulator.set_rules([{"match": {"nth": 1}, "effect": "status:413", "times": 1}])
    results: list[Result] = []
    await provider.send(message(addresses), range(8), results.extend)
    assert sorted(result.target for result in results) == list(range(8))
    assert {result.disposition.value for result in results} == {"accepted"}
    assert (simulator.stats()["accepted"], simulator.stats()["requests"]) == (8, 3)


async def test_expos_own_delay_is_read(simulator: Simulator, provider: ExpoProvider) -> None:
    simulator.set_rules([RULE | {"effect": "status:429", "retry_after": "7"}])
    refused = (await provider.receipts(["a"])).refused
    assert refused is not None
    assert refused.retry_after_seconds == 7.0


async def test_an_answer_that_does_not_come_ends_with_the_timeout(simulator: Simulator) -> None:
    provider = await provider_of(simulator, request_timeout_seconds=0.5)
    simulator.set_rules([RULE | {"effect": "never"}])
    refused = (await provider.receipts(["a"])).refused
    await provider.close()
    assert refused is not None
    assert (refused.disposition.value, refused.reason) == ("unknown", "unknown_outcome")


async def test_expo_out_of_reach_and_a_closed_client_are_refusals(simulator: Simulator, provider: ExpoProvider) -> None:
    await simulator.set_state({"network": "refuse"})
    away = (await provider.receipts(["a"])).refused
    unstarted = build("news", "expo", Settings.model_validate({"apps": {"news": {"expo": {}}}}))
    assert isinstance(unstarted, ExpoProvider)
    closed = (await unstarted.receipts(["a"])).refused
    assert [each and each.disposition.value for each in (away, closed)] == ["unsent", "unsent"]


async def test_a_wrong_access_token_reads_no_receipts(simulator: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong")
    provider = await provider_of(simulator, access_token_file=str(file))
    refused = (await provider.receipts(["a"])).refused
    await provider.close()
    assert refused is not None
    assert (refused.disposition.value, refused.reason) == ("credential", "credential_refused")


async def test_more_ids_than_expo_takes_are_the_callers_mistake(provider: ExpoProvider) -> None:
    with pytest.raises(ValueError, match="at most 1000"):
        await provider.receipts([str(number) for number in range(1001)])
