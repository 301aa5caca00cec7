"""Identities: partitions of users, deliveries, tokens. All are pure functions of their arguments, in every process."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, sha256
from struct import Struct, unpack_from

MAX_ID_BYTES = 256
DELIVERY_ID_BYTES = 16
TOKEN_HASH_BYTES = 16
DEVICE_NAME_BYTES = 8
BUCKETS = 10_000
#: Little-endian words of keys up to the longest id.
_WORDS = tuple(Struct(f"<{words}I").unpack_from for words in range(MAX_ID_BYTES // 4 + 1))


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, as org.apache.kafka.common.utils.Utils.murmur2 computes it (there signed)."""
    length = len(data)
    rest = length & 3
    h = 0x9747B28C ^ length
    whole = length >> 2
    # Constants and one unpacking: keys are hashed several times for each record.
    for k in _WORDS[whole](data) if whole < len(_WORDS) else unpack_from(f"<{whole}I", data):
        k = k * 0x5BD1E995 & 0xFFFFFFFF  # noqa: PLW2901
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ ((k ^ (k >> 24)) * 0x5BD1E995 & 0xFFFFFFFF)
    if rest:
        h = (h ^ int.from_bytes(data[length - rest :], "little")) * 0x5BD1E995 & 0xFFFFFFFF
    h = (h ^ (h >> 13)) * 0x5BD1E995 & 0xFFFFFFFF
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Partition that a Java producer's default partitioner gives a record with this key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def delivery_id(notification_id: str, user: str, app: str, device: str) -> bytes:
    """16 bytes that name one notification on one device, the same after any replay."""
    return blake2b(f"{notification_id}\0{user}\0{app}\0{device}".encode(), digest_size=DELIVERY_ID_BYTES).digest()


def token_hash(address: bytes) -> bytes:
    """16 bytes that stand for a token wherever the token itself must not appear."""
    return sha256(address).digest()[:TOKEN_HASH_BYTES]


def device_row_prefix(user: str, app: str | None = None) -> bytes:
    """Key prefix of a user's rows in `push.device.v1`: all apps, or one."""
    return f"{user}\0".encode() if app is None else f"{user}\0{app}\0".encode()


def device_row_key(user: str, app: str, device: str) -> bytes:
    """Key of one row of `push.device.v1`. The parts hold no NUL (intake refuses it), so the key splits again."""
    return f"{user}\0{app}\0{device}".encode()


def device_name(row_key: bytes) -> bytes:
    """8 bytes that stand for a device among those of its user. `row_key`: of its row in `push.device.v1`."""
    return blake2b(row_key, digest_size=DEVICE_NAME_BYTES).digest()


def user_row_key(user: str, app: str = "") -> bytes:
    """Key of a user's own row in `push.device.v1`, for all apps or for one: the device is empty, so that it sorts
    before the user's devices."""
    return f"{user}\0{app}\0".encode()


def is_user_row(key: bytes) -> bool:
    """Whether a key of `push.device.v1` is a user's own and not a device's."""
    return key.endswith(b"\0")


def split_device_row_key(key: bytes) -> tuple[str, str, str]:
    """(user, app, device) of a row key. Raises ValueError when it has not three parts."""
    user, app, device = key.decode().split("\0")
    return user, app, device


def broadcast_name(broadcast_id: str) -> bytes:
    """16 bytes that stand for a broadcast, of any lane, on the screens of its devices."""
    return blake2b(b"\0" + broadcast_id.encode(), digest_size=DELIVERY_ID_BYTES).digest()


def broadcast_delivery_id(broadcast_id: str, row_key: bytes) -> bytes:
    """16 bytes that name one broadcast on one device. `row_key`: of the device's row in `push.device.v1`.

    No notification can have it: the text begins with a NUL, and ids hold none.
    """
    return broadcast_delivery_ids(broadcast_id)(row_key)


def broadcast_delivery_ids(broadcast_id: str) -> Callable[[bytes], bytes]:
    """`broadcast_delivery_id` of one broadcast: for who names a million of them."""
    prefix = b"\0" + broadcast_id.encode() + b"\0"
    return lambda row_key: blake2b(prefix + row_key, digest_size=DELIVERY_ID_BYTES).digest()


def bucket(salt: str, unit: str) -> int:
    """Where a user (or a row) stands among 10,000 equal shares of an audience, 0 to 9,999; the same for ever."""
    return int.from_bytes(blake2b(f"{salt}\0{unit}".encode(), digest_size=8).digest(), "big") % BUCKETS
