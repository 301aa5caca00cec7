from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.http2.dial import Address, Resolver
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.request import Kind, Response, Template
from pushcast.model.clock import ManualClock
from pushcast.providers.engines.engine import Columns, Engine, OnOutcomes, materialize
from pushcast.providers.port import Result
from pushcast.providers.webpush.client import OnFault, WebpushProvider
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.encryptor import Encryptor
from pushcast.providers.webpush.endpoints import AddressRefused, EndpointPolicy, Origin
from twins.steady import Steady
from unit.providers.messages import NOW_MS, message
from unit.providers.webpush.test_credentials import claims, key_file
from unit.providers.webpush.test_subscription import P256DH, SECRET

__all__ = ["key_file"]


class FakeEngine(Steady):
    """Answers every request with the next of `answers`, the last for ever; None: never."""

    def __init__(self, origin: Origin, resolver: Resolver, answers: list[Response | None]) -> None:
        self.origin = origin
        self.resolver = resolver
        self.answers = answers
        self.requests: list[dict[bytes, bytes]] = []
        self.timeouts: list[float] = []

    async def start(self) -> None:
        pass

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        self.timeouts.append(timeout_seconds)
        outcomes = []
        for index in range(size):
            request = materialize(template, columns, index)
            self.requests.append({b":path": request.path, **dict(request.headers)})
            answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
            if answer is None:
                await asyncio.Event().wait()
            else:
                outcomes.append((index, answer))
        on_outcomes(outcomes)

    def replace_connections(self, opened_before: float) -> None:
        pass

    async def close(self) -> None:
        pass


class SlowEncryptor(Encryptor):
    """Takes so long, on the clock that is handed in."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__(0)
        self._clock = clock
        self._seconds = seconds

    async def encrypt(self, plaintext: Sequence[bytes], receivers: Sequence[tuple[bytes, bytes]]) -> list[bytes | None]:
        self._clock.advance(self._seconds)
        return await super().encrypt(plaintext, receivers)


class Lab:
    def __init__(
        self,
        key_file: Path,
        answers: list[Response | None],
        addresses: dict[str, str],
        encryption_seconds: float = 0.0,
        hosts: Sequence[str] = ("listed.example",),
        replaces: bool = False,
        resolver: Resolver | None = None,
    ) -> None:
        self.clock = ManualClock(NOW_MS)
        self.engines: dict[str, FakeEngine] = {}
        self.resolved: list[str] = []
        self.addresses = addresses

        async def resolve(host: str, port: int) -> Sequence[tuple[int, Address]]:
            self.resolved.append(host)
            if host not in addresses:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [(socket.AF_INET, (addresses[host], port))]

        def make_engine(origin: Origin, resolver: Resolver, on_fault: OnFault) -> Engine:
            self.engines[origin.host] = FakeEngine(origin, resolver, answers)
            return self.engines[origin.host]

        self.provider = WebpushProvider(
            "news",
            "multicast",
            Vapid(key_file, "mailto:push@example.com", self.clock),
            EndpointPolicy(hosts, allow_loopback=False),
            make_engine,
            0.2,
            self.clock,
            resolver=resolver or resolve,
            encryptor=SlowEncryptor(self.clock, encryption_seconds),
            replaces=replaces,
        )

    async def send(self, endpoints: list[str], **options: Any) -> list[tuple[str, str | None]]:
        addresses = [orjson.dumps({"endpoint": each, "p256dh": P256DH, "auth": SECRET}) for each in endpoints]
        results: list[Result] = []
        batch = message(addresses, kinds=[2] * len(addresses), **options)
        await self.provider.send(batch, range(len(addresses)), results.extend)
        assert sorted(result.target for result in results) == list(range(len(addresses)))
        return [
            (result.disposition.value, result.reason) for result in sorted(results, key=lambda result: result.target)
        ]


def answer(status: int, body: bytes = b"") -> Response:
    return Response(Kind.ANSWERED, status, (), body)


OTHER = "https://push.other.example/x"


async def test_each_service_has_its_own_connections_and_token(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {"push.other.example": "8.8.8.8"})
    assert await lab.send(["https://listed.example/a?b=c", OTHER], collapse_id="m") == [("accepted", None)] * 2
    requests = {host: engine.requests[0] for host, engine in lab.engines.items()}
    assert {host: claims(request[b"authorization"])["aud"] for host, request in requests.items()} == {
        "listed.example": "https://listed.example",
        "push.other.example": "https://push.other.example",
    }
    request = requests["listed.example"]
    del request[b"authorization"]
    assert request == {
        b":path": b"/a?b=c",
        b"ttl": b"3600",
        b"topic": b"m",
        b"urgency": b"high",
        b"content-encoding": b"aes128gcm",
        b"content-type": b"application/octet-stream",
    }


async def test_a_name_that_leads_into_our_network_is_refused_before_anything_is_made(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {"push.other.example": "169.254.169.254"})
    assert await lab.send([OTHER]) == [("rejected", "endpoint_refused")]
    assert lab.engines == {}


async def test_a_name_that_does_not_resolve_is_for_later(key_file: Path) -> None:
    assert await Lab(key_file, [answer(201)], {}).send([OTHER]) == [("unsent", "connection_failed")]


async def test_connections_dial_with_the_checking_resolver(key_file: Path) -> None:
    names = {"push.other.example": "8.8.8.8"}
    lab = Lab(key_file, [answer(201)], names)
    await lab.send([OTHER], expires_at=[NOW_MS + 10**9])
    names["push.other.example"] = "10.0.0.1"  # rebound after the first look
    with pytest.raises(AddressRefused):
        await lab.engines["push.other.example"].resolver("push.other.example", 443)


async def test_a_service_nobody_listed_cannot_refuse_our_credential(key_file: Path) -> None:
    lab = Lab(key_file, [answer(401)], {"push.other.example": "8.8.8.8"})
    assert await lab.send([OTHER, "https://listed.example/a"]) == [
        ("rejected", "credential_refused"),
        ("credential", "credential_refused"),
    ]


async def test_an_expired_token_is_renewed_and_the_push_sent_once_more(key_file: Path) -> None:
    expired = answer(403, b'{"reason":"ExpiredJwtToken"}')
    lab = Lab(key_file, [answer(201), expired, answer(201), expired], {})
    assert await lab.send(["https://listed.example/a"]) == [("accepted", None)]
    lab.clock.advance(120)
    assert await lab.send(["https://listed.example/a"]) == [("accepted", None)]
    headers = [request[b"authorization"] for request in lab.engines["listed.example"].requests]
    assert headers[0] == headers[1] != headers[2]
    # Refused as soon as it was made: the clock is wrong, another token would not help.
    assert await lab.send(["https://listed.example/a"]) == [("credential", "credential_refused")]


async def test_origins_that_never_answer_hold_up_only_others_like_them(key_file: Path) -> None:
    hosts = {f"h{number}.other.example": "8.8.8.8" for number in range(100)}
    lab = Lab(key_file, [None], hosts)
    slow = [asyncio.create_task(lab.send([f"https://{host}/x"])) for host in hosts]
    while len(lab.engines) < 64:
        await asyncio.sleep(0)
    waiting = [task for task in slow if not task.done()]
    lab.engines.clear()
    other = asyncio.create_task(lab.send(["https://listed.example/a"]))
    while "listed.example" not in lab.engines:
        await asyncio.sleep(0)
    late = [host for host in lab.engines if host != "listed.example"]
    assert late == []
    for task in [*waiting, other]:
        task.cancel()
    ended = await asyncio.gather(*waiting, other, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) or each == [("unsent", "not_sent_in_time")] for each in ended)


async def test_only_listed_services_can_make_us_doubt_our_key(key_file: Path) -> None:
    lab = Lab(key_file, [answer(400, b"VapidPkHashMismatch")], {"push.other.example": "8.8.8.8"})
    assert set(await lab.send([OTHER] * 150)) == {("invalid", "vapid_key_mismatch")}
    assert not lab.provider.suspicious
    assert ("credential", "mass_invalid_tokens") in await lab.send(["https://listed.example/a"] * 150)
    assert lab.provider.suspicious


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_taken_once_and_its_kind_is_told(key_file: Path, status: int) -> None:
    """Reproduction 5.6: a push service that answers 204."""
    lab = Lab(key_file, [answer(status)], {})
    results: list[Result] = []
    address = orjson.dumps({"endpoint": "https://listed.example/a", "p256dh": P256DH, "auth": SECRET})
    await lab.provider.send(message([address], kinds=[2]), [0], results.extend)
    assert [(result.disposition.value, result.reason, result.status) for result in results] == [
        ("accepted", None, status)
    ]
    assert len(lab.engines["listed.example"].requests) == 1


async def test_the_ttl_is_what_is_left_when_the_request_is_written(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {})
    lives = [NOW_MS, NOW_MS + 1_001, NOW_MS + 3_600_000]
    await lab.send(["https://listed.example/a"] * 3, expires_at=lives)
    assert [request[b"ttl"] for request in lab.engines["listed.example"].requests] == [b"0", b"2", b"3600"]


async def test_waiting_for_encryption_takes_nothing_from_the_time_to_answer(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {}, encryption_seconds=60.0)
    assert await lab.send(["https://listed.example/a"], expires_at=[NOW_MS + 100_000]) == [("accepted", None)]
    engine = lab.engines["listed.example"]
    assert engine.timeouts == [0.2]
    assert engine.requests[0][b"ttl"] == b"40", "what is left of it when the request is written"


async def test_what_expires_while_it_waits_for_encryption_does_not_leave(key_file: Path) -> None:
    lab = Lab(key_file, [answer(201)], {}, encryption_seconds=60.0)
    assert await lab.send(["https://listed.example/a"], expires_at=[NOW_MS + 50_000]) == [
        ("unsent", "not_sent_in_time")
    ]
    assert lab.engines["listed.example"].requests == []


@pytest.mark.parametrize(
    ("other_name", "last"),
    [(True, ("invalid", "endpoint_unreachable")), (False, ("unsent", "connection_failed"))],
    ids=["of five notifications", "of one notification"],
)
async def test_a_service_whose_name_does_not_exist_is_given_up_after_a_day(
    key_file: Path, other_name: bool, last: tuple[str, str]
) -> None:
    lab = Lab(key_file, [answer(201)], {})
    results: list[Result] = []
    for number in range(6):
        await lab.send(["https://listed.example/a"], expires_at=[NOW_MS + 10**9])  # it answers: our network works
        gone = message([orjson.dumps({"endpoint": OTHER, "p256dh": P256DH, "auth": SECRET})], kinds=[2])
        gone.notification_ids[0] = f"n-{number if other_name else 0}"
        await lab.provider.send(gone, [0], results.extend)
        lab.clock.advance(86_400 / 5)
    found = [(result.disposition.value, result.reason) for result in results]
    assert found == [("unsent", "connection_failed")] * 5 + [last]
    reached: list[str] = []
    lab.provider.tell_reached(reached.append)
    lab.addresses["push.other.example"] = "93.184.215.14"
    await lab.send([OTHER], expires_at=[NOW_MS + 10**9])
    assert reached == (["push.other.example"] if other_name else []), "what was given up answers: it is told"
    if other_name:  # REGISTER takes the time of the try for the provider's
        assert results[-1].sent_at == results[-1].answered_at > 0
