from __future__ import annotations

import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.clock import ManualClock
from pushcast.model.errors import ConfigurationError
from pushcast.providers.apns.credentials import ClientCertificate, ProviderToken, slot_of

KEY_ID, TEAM_ID = "ABC123DEFG", "TEAM123456"


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def key_file(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path = tmp_path / "AuthKey.p8"
    path.write_bytes(pem(key))
    return path


def claims(header: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, object]:
    token = header.removeprefix(b"bearer ").decode()
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": KEY_ID}
    options: Any = {"verify_iat": False}
    decoded: dict[str, object] = jwt.decode(token, key.public_key(), algorithms=["ES256"], options=options)
    return decoded


async def test_a_token_verifies_and_holds_what_apple_asks_for(key_file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    clock = ManualClock()
    header = await ProviderToken(key_file, KEY_ID, TEAM_ID, clock).header()
    issued_at = slot_of(clock.now_ms() / 1000)
    assert claims(header, key) == {"iss": TEAM_ID, "iat": issued_at}


async def test_all_processes_mint_the_very_same_token(key_file: Path) -> None:
    start = 1_800_001_000_000
    early = ProviderToken(key_file, KEY_ID, TEAM_ID, ManualClock(start))
    late = ProviderToken(key_file, KEY_ID, TEAM_ID, ManualClock(start + 300_000))
    assert slot_of(start / 1000) == slot_of(start / 1000 + 300)
    assert await early.header() == await late.header()


@given(st.floats(1.7e9, 2.5e9), st.sampled_from([1200, 2400]))
def test_a_slot_lies_a_minute_back_and_never_outlives_a_token(now: float, length: int) -> None:
    assert 60 <= now - slot_of(now, length) <= length + 60 <= 3600


async def test_one_token_is_minted_per_slot(key_file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    clock = ManualClock(slot_of(1_800_000_000) * 1000 + 60_000)
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    issued = []
    for _ in range(240):  # four hours, a minute at a time
        header = await token.header()
        age = clock.now_ms() / 1000 - int(str(claims(header, key)["iat"]))
        assert 60 <= age <= 2460
        issued.append(header)
        clock.advance(60)
    assert len(set(issued)) == token.mints == 6


async def test_a_small_step_back_of_the_clock_does_not_bring_the_old_token_back(key_file: Path) -> None:
    clock = ManualClock(slot_of(1_800_000_000) * 1000 + 61_000)
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    header = await token.header()
    clock.jump_wall(-30)
    assert await token.header() == header


async def test_a_clock_that_was_far_ahead_gives_a_new_token_when_it_is_set_right(
    key_file: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    clock = ManualClock()
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    right = await token.header()
    clock.jump_wall(7 * 86_400)
    assert await token.header() != right
    clock.jump_wall(-7 * 86_400)
    assert await token.header() == right


async def test_a_refused_token_is_renewed_once_and_not_within_twenty_minutes(
    key_file: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    clock = ManualClock(slot_of(1_800_000_000) * 1000 + 60_000)
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    first = await token.header()
    await token.refresh(first)
    assert await token.header() == first
    clock.advance(1300)
    await token.refresh(first)
    second = await token.header()
    assert int(str(claims(second, key)["iat"])) - int(str(claims(first, key)["iat"])) == 1200
    await token.refresh(first)  # a late answer to the first
    assert await token.header() == second
    assert token.mints == 2


async def test_a_changed_key_file_is_used_within_seconds(key_file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """doors.md O2; the header of every request is asked of `current`, so none is lost meanwhile."""
    clock = ManualClock()
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    claims(await token.header(), key)
    other = ec.generate_private_key(ec.SECP256R1())
    replacement = key_file.with_suffix(".new")
    replacement.write_bytes(pem(other))
    os.replace(replacement, key_file)
    clock.advance(6)
    claims(await token.header(), other)


@pytest.mark.parametrize("content", [b"", b"half a key", None])
async def test_a_key_file_that_breaks_leaves_the_old_key_in_force(
    key_file: Path, key: ec.EllipticCurvePrivateKey, content: bytes | None
) -> None:
    clock = ManualClock()
    token = ProviderToken(key_file, KEY_ID, TEAM_ID, clock)
    before = await token.header()
    if content is None:
        key_file.unlink()
    else:
        key_file.write_bytes(content)
    clock.advance(6)
    assert await token.header() == before


@pytest.mark.parametrize(
    "content",
    [b"not a key", pem(rsa.generate_private_key(65537, 2048)), pem(ec.generate_private_key(ec.SECP384R1()))],
    ids=["text", "rsa", "other curve"],
)
def test_a_file_without_a_p256_key_is_refused_by_name_only(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "AuthKey.p8"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"key_file .*AuthKey\.p8") as refusal:
        ProviderToken(path, KEY_ID, TEAM_ID, ManualClock())
    assert content[30:60] not in str(refusal.value).encode() or len(content) < 60


def test_a_missing_key_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        ProviderToken(tmp_path / "none.p8", KEY_ID, TEAM_ID, ManualClock())


class Tls(ssl.SSLContext):
    """Counts what is loaded."""

    loaded: list[Path]

    def load_cert_chain(self, certfile, keyfile=None, password=None) -> None:
        assert password == ""
        self.loaded.append(certfile)


async def test_a_certificate_sends_no_header_and_is_loaded_again_when_it_changes(tmp_path: Path) -> None:
    clock = ManualClock()
    tls = Tls(ssl.PROTOCOL_TLS_CLIENT)
    tls.loaded = []
    path = tmp_path / "push.pem"
    path.write_bytes(certificate(datetime(2027, 1, 1, tzinfo=UTC)))
    credential = ClientCertificate(path, tls, clock)
    assert (credential.current(), await credential.header(), tls.loaded) == (b"", b"", [])
    for content, loads in ((b"broken", 0), (certificate(datetime(2028, 1, 1, tzinfo=UTC)), 1)):
        path.write_bytes(content)
        clock.advance(6)
        assert credential.current() == b""
        assert len(tls.loaded) == loads


def test_a_half_written_certificate_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    """One in which the new key, or its certificate, is still missing."""
    authority, clock, path = trustme.CA(), ManualClock(), tmp_path / "push.pem"
    old, new = authority.issue_cert("old.example"), authority.issue_cert("new.example")
    path.write_bytes(old.private_key_and_cert_chain_pem.bytes())
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    tls.load_cert_chain(path)
    credential = ClientCertificate(path, tls, clock)
    [chain] = new.cert_chain_pems
    for content in (chain.bytes(), chain.bytes() + old.private_key_pem.bytes(), new.private_key_pem.bytes()):
        path.write_bytes(content)
        clock.advance(6)
        assert credential.current() == b""
        assert shown(tls, authority) == "old.example"
    path.write_bytes(new.private_key_and_cert_chain_pem.bytes())
    clock.advance(6)
    assert credential.current() == b""
    assert shown(tls, authority) == "new.example"


def shown(client: ssl.SSLContext, authority: trustme.CA) -> str:
    """The name in the certificate that a server gets to see."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("server.example").configure_cert(server)
    authority.configure_trust(server)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    mine = client.wrap_bio(down, up, server_hostname="server.example")
    theirs = server.wrap_bio(up, down, server_side=True)
    for side in (mine, theirs, mine, theirs):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found: Any = theirs.getpeercert()
    return str(found["subjectAltName"][0][1])


def certificate(ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example.news")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, ends - timedelta(days=365), ends)
    return pem(key) + made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def test_a_certificate_says_when_it_ends_also_after_it_was_replaced(tmp_path: Path) -> None:
    clock = ManualClock()
    tls = Tls(ssl.PROTOCOL_TLS_CLIENT)
    tls.loaded = []
    path = tmp_path / "push.pem"
    first, second = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    path.write_bytes(certificate(first))
    credential = ClientCertificate(path, tls, clock)
    assert credential.expires_at_seconds == first.timestamp()
    path.write_bytes(certificate(second))
    clock.advance(6)
    credential.current()
    assert credential.expires_at_seconds == second.timestamp()


def test_a_missing_certificate_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        ClientCertificate(tmp_path / "none.pem", ssl.create_default_context(), ManualClock())
