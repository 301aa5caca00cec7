"""In whatever order keys come and go, files are read anew and dead letters redriven: what is to be sent opens.

The law drives `rotation`, `keyring` and `seals` of `wire.sealing` themselves. Each rule of a step
switched off must fail.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.errors import PushcastError
from pushcast.wire.sealing.keyring import (
    HASH_KEY,
    Keyring,
    KeyringRole,
    decode_keyring,
    encode_keyring,
    part_of,
    unlocked,
    wrap,
)
from pushcast.wire.sealing.rotation import KeyUsage, RotationRefused, promote, retire, with_key
from pushcast.wire.sealing.seals import Place, TokenKeys

DAY_MS = 86_400_000
OUTER = bytes(32)
TOKEN = b"ab" * 32
LONGEST_TTL_DAYS = 28
STEPS = 150
RULES = ("held by all", "sealed by none", "no rows", "no copies", "not the sealing one")


class Sealed(NamedTuple):
    """A row, or a copy of it that a planner made."""

    key_id: str
    address: bytes
    until_ms: int = 0  # a copy's expiry


class World:
    def __init__(self, seed: int, off: str | None = None) -> None:
        self.random = Random(seed)
        self.off = off
        self.now_ms = 0
        self.made = 0
        self.ring = with_key(
            Keyring("file:kek", 1, wrap(bytes(32), OUTER, HASH_KEY, self.nonce())), "t0", self.key("t0"), ""
        )
        self.registrars = {name: self.read(KeyringRole.REGISTRAR) for name in ("r1", "r2")}
        self.senders = {name: self.read(KeyringRole.SENDER) for name in ("s1", "s2")}
        self.rows: dict[str, Sealed] = {}
        self.rows_until_ms: dict[str, int] = {}
        self.copies: list[tuple[str, Sealed]] = []

    def nonce(self) -> bytes:
        return self.random.randbytes(12)

    def key(self, name: str) -> str:
        return wrap(self.random.randbytes(32), OUTER, name, self.nonce())

    def read(self, role: KeyringRole) -> TokenKeys:
        """The role's own file, as it stands now."""
        return unlocked(decode_keyring(encode_keyring(part_of(self.ring, role))), OUTER, role)

    def step(self) -> None:
        steps = (self.add, self.promote, self.promote, self.retire, self.retire, self.read_anew, self.read_anew)
        more = (
            self.register,
            self.register,
            self.seal_anew,
            self.seal_anew,
            self.plan,
            self.plan,
            self.send,
            self.wait,
        )
        self.random.choice((*steps, *more))()

    def add(self) -> None:
        if len(self.ring.keys) < 3:
            self.made += 1
            name = f"t{self.made}"
            self.ring = with_key(self.ring, name, self.key(name), "")

    def promote(self) -> None:
        held = {name: keys.ids for name, keys in (self.registrars | self.senders).items()}
        name = self.random.choice((self.ring.keys[0], self.random.choice(self.ring.keys))).id
        with suppress(RotationRefused):
            self.ring = promote(self.ring, name, {} if self.off == "held by all" else held)

    def retire(self) -> None:
        name = self.random.choice(self.ring.keys).id
        rows = sum(row.key_id == name for row in self.rows.values())
        usage = KeyUsage(
            0 if self.off == "no rows" else rows,
            -99 * DAY_MS if self.off == "no copies" else self.rows_until_ms.get(name, -99 * DAY_MS),
        )
        sealing = {key: keys.sealing for key, keys in self.registrars.items()}
        ring = self.ring
        if self.off == "not the sealing one" and len(ring.keys) > 1:
            others = [key.id for key in ring.keys if key.id != name]
            ring = promote(ring, others[0], {})
        with suppress(RotationRefused):
            self.ring = retire(ring, name, usage, {} if self.off == "sealed by none" else sealing, self.now_ms)

    def read_anew(self) -> None:
        group, role = self.random.choice(((self.registrars, KeyringRole.REGISTRAR), (self.senders, KeyringRole.SENDER)))
        group[self.random.choice(list(group))] = self.read(role)

    def register(self) -> None:
        self.write(f"d{self.random.randrange(2)}")

    def seal_anew(self) -> None:
        """The sweep: a row that is not under the registrar's sealing key is opened and written again."""
        if self.rows:
            self.write(self.random.choice(list(self.rows)), swept=True)

    def write(self, device: str, *, swept: bool = False) -> None:
        keys = self.random.choice(list(self.registrars.values()))
        row = self.rows.get(device)
        if swept and row is not None:
            assert keys.open(row.key_id, row.address, place(device)) == TOKEN
        if row is not None:
            self.rows_until_ms[row.key_id] = self.now_ms
        key_id, address = keys.seal(TOKEN, place(device), self.nonce())
        self.rows[device] = Sealed(key_id, address)
        self.rows_until_ms[key_id] = self.now_ms

    def plan(self) -> None:
        for device, row in self.rows.items():
            until = self.now_ms + self.random.choice((1, 14, LONGEST_TTL_DAYS)) * DAY_MS
            self.copies.append((device, row._replace(until_ms=until)))

    def send(self) -> None:
        """Any copy that has not expired: from a topic, a rung, parked, or a dead letter that is redriven."""
        keys = self.random.choice(list(self.senders.values()))
        self.copies = [(device, copy) for device, copy in self.copies if copy.until_ms > self.now_ms]
        for device, copy in self.copies:
            assert keys.open(copy.key_id, copy.address, place(device)) == TOKEN

    def wait(self) -> None:
        self.now_ms += self.random.choice((1, 15, 29, 29)) * DAY_MS


def place(device: str) -> Place:
    return Place("news", "apns", "token", "anna", device)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_to_be_sent_always_opens(seed: int) -> None:
    world = World(seed)
    for _ in range(STEPS):
        world.step()
    world.send()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_a_step_is_needed(rule: str) -> None:
    def fails(seed: int) -> bool:
        world = World(seed, off=rule)
        try:
            for _ in range(STEPS):
                world.step()
        except PushcastError:
            return True
        return False

    assert any(fails(seed) for seed in range(3000))
