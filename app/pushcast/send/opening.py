"""Sealed addresses are opened for the provider alone: what waits, is parked or retried keeps them as they came."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from pushcast.model.batch import KINDS, Message
from pushcast.model.words import Platform
from pushcast.wire.sealing.seals import KeyUnknown, Place, SealBroken, TokenKeys

logger = logging.getLogger(__name__)


class Opened(NamedTuple):
    """`message` has the addresses of all targets but `unknown` and `broken`."""

    message: Message
    unknown: list[int]  # under a key that this process does not hold
    broken: list[int]  # altered, or moved from another device


class Opening:
    """Of one platform. `keys` is asked for each message: the keyring may have changed; None: there is no keyring."""

    def __init__(self, platform: Platform, keys: Callable[[], TokenKeys] | None = None) -> None:
        self._platform = platform
        self._keys = keys or _no_keys
        self._told: set[str] = set()

    def open(self, message: Message, indices: Sequence[int]) -> Opened | None:
        """None when no target of the message is sealed. About 1 µs for each that is."""
        targets = message.targets
        if not any(targets.key_id):
            return None
        keys = self._keys()
        addresses, unknown, broken = list(targets.address), [], []
        for index in indices:
            kind, user, device = KINDS[targets.kind[index]], targets.user[index], targets.device[index]
            place = Place(message.app, self._platform, kind, user, device)
            try:
                addresses[index] = keys.open(targets.key_id[index], addresses[index], place)
            except KeyUnknown as error:
                self._tell(message.app, error)
                unknown.append(index)
            except SealBroken as error:
                self._tell(message.app, error)
                broken.append(index)
        return Opened(replace(message, targets=replace(targets, address=addresses)), unknown, broken)

    def _tell(self, app: str, error: KeyUnknown | SealBroken) -> None:
        """The first of each kind."""
        if str(error) not in self._told and len(self._told) < 100:
            self._told.add(str(error))
            logger.error("app %s: %s: it waits, or is refused, and its device is kept", app, error)


def _no_keys() -> TokenKeys:
    return TokenKeys({}, None)
