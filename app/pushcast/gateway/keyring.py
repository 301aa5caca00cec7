"""Which keys are valid now: the records of `push.key.v1` and of the file for the first key. Pure."""

from __future__ import annotations

import logging
import math
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.control.api_keys import ApiKey, Presented, decode_id, decode_record
from pushcast.wire.json_errors import UNREADABLE

logger = logging.getLogger(__name__)

MAX_KEYS: Final = 10_000


class ApiKeyring:
    """Apply records in their order. `ignored` counts records that change nothing, by reason; the first is logged.

    `live`, `current_at`: as `kafka.control.ControlTail` keeps them.
    """

    def __init__(self, first: dict[str, ApiKey] | None = None) -> None:
        """`first`: keys of the file; a record with the same id stands above them."""
        self.live = False
        self.current_at = math.inf
        self.ignored: Counter[str] = Counter()
        self._first = dict(first or {})
        self._keys: dict[str, ApiKey] = {}

    def __len__(self) -> int:
        return len(self._first.keys() | self._keys.keys())

    def records(self) -> dict[str, ApiKey]:
        """Every key by its id."""
        return self._first | self._keys

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes the next record; one without a value ends the key."""
        try:
            key_id = decode_id(key)
            if value is None:
                self._keys.pop(key_id, None)
                return
            record = decode_record(value)
            if len(self._keys) >= MAX_KEYS and key_id not in self._keys:
                raise InvalidInput("too_many", f"more than {MAX_KEYS} keys are not remembered")
        except InvalidInput as error:
            if not self.ignored[error.reason]:
                logger.warning("key records that are ignored: %s: %s", error.reason, error)
            self.ignored[error.reason] += 1
            return
        self._keys[key_id] = record

    def record(self, key_id: str) -> ApiKey | None:
        """The key with this id, whatever became of it."""
        return self._keys.get(key_id) or self._first.get(key_id)

    def app_of(self, app: str, key_id: str) -> ApiKey | None:
        """The public key of this app when it is one, and not disabled."""
        record = self.record(key_id)
        if record is None or record.kind != "app" or record.disabled or record.apps != (app,):
            return None
        return record

    def find(self, presented: Presented, now_ms: int) -> ApiKey | None:
        """The key when its secret is right, and it is neither disabled nor expired."""
        record = self.record(presented.id)
        if record is None or record.kind != "server":
            return None
        return record if record.verifies(presented.digest, now_ms) else None


def read_first_keys(file: Path) -> dict[str, ApiKey]:
    """Keys by id from a JSON file, in the form of the records of `push.key.v1`. Raises ConfigurationError."""
    try:
        records = msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw])
        return {decode_id(key_id.encode()): decode_record(bytes(raw)) for key_id, raw in records.items()}
    except OSError as error:
        raise ConfigurationError(f"gateway.keys_file: {file}: {error.strerror}") from None
    except UNREADABLE:
        raise ConfigurationError(f"gateway.keys_file: {file} is not a JSON object of key ids and records") from None
    except InvalidInput as error:
        raise ConfigurationError(f"gateway.keys_file: {file}: {error}") from None
