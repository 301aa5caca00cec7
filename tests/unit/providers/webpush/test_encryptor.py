from __future__ import annotations

import asyncio
from itertools import pairwise

import http_ece
import pytest

from pushcast.providers.webpush import encryptor as module
from pushcast.providers.webpush.encryptor import AT_A_TIME, Encryptor
from unit.providers.webpush.test_encryption import AUTH, POINT, RECEIVER

OUTSIDE = POINT[:-1] + bytes([POINT[-1] ^ 1])


def opened(body: bytes | None) -> bytes:
    assert body is not None
    plain = http_ece.decrypt(body, private_key=RECEIVER, auth_secret=AUTH, version="aes128gcm")
    assert isinstance(plain, bytes)
    return plain


@pytest.mark.parametrize("processes", [0, 1])
async def test_bodies_come_in_the_order_of_the_receivers(processes: int) -> None:
    encryptor = Encryptor(processes)
    receivers = [(POINT, AUTH)] * 70 + [(OUTSIDE, AUTH)] + [(POINT, AUTH)] * 29
    jobs = [encryptor.encrypt([text] * 100, receivers) for text in (b"one", b"two")]
    first, second = await asyncio.gather(*jobs)
    await encryptor.close()
    assert first[70] is None
    assert second[70] is None
    assert {opened(body) for body in first if body is not None} == {b"one"}
    assert {opened(body) for body in second if body is not None} == {b"two"}
    assert len(set(first + second)) == 2 * 99 + 1


async def test_the_loop_has_its_turn_between_a_dozen_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def count(*arguments: bytes) -> bytes:
        nonlocal made
        made += 1
        return b"body"

    monkeypatch.setattr(module, "encrypt", count)
    encryptor = Encryptor(0)
    jobs = [asyncio.create_task(encryptor.encrypt([b"x"], [(POINT, AUTH)])) for _ in range(5 * AT_A_TIME)]
    seen = []
    while not jobs[-1].done():
        seen.append(made)
        await asyncio.sleep(0)
    assert max(later - earlier for earlier, later in pairwise(seen)) == AT_A_TIME
    assert await asyncio.gather(*jobs) == [[b"body"]] * len(jobs)


async def test_what_was_cancelled_is_not_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []

    def encrypt(plaintext: bytes, _point: bytes, _secret: bytes) -> bytes:
        made.append(plaintext)
        return b"body"

    monkeypatch.setattr(module, "encrypt", encrypt)
    encryptor = Encryptor(0)
    first = asyncio.create_task(encryptor.encrypt([b"first"] * 100, [(POINT, AUTH)] * 100))
    second = asyncio.create_task(encryptor.encrypt([b"second"] * 3, [(POINT, AUTH)] * 3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert await second == [b"body"] * 3
    assert made.count(b"first") == AT_A_TIME
    assert made.count(b"second") == 3


async def test_when_a_process_dies_the_loop_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    encryptor = Encryptor(1)
    await encryptor.encrypt([b"x"] * 100, [(POINT, AUTH)] * 100)
    pool = encryptor._pool
    assert pool is not None
    for process in list(pool._processes.values()):
        process.kill()
        process.join(10)
    bodies = await encryptor.encrypt([b"after"] * 100, [(POINT, AUTH)] * 100)
    assert {opened(body) for body in bodies} == {b"after"}
    await encryptor.close()


async def test_nothing_to_do_is_done_at_once() -> None:
    assert await Encryptor(0).encrypt([], []) == []
