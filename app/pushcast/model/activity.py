"""Which users have an app in front of them, as the app tells. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

#: An app that says no end is in front so long.
USUAL_MS: Final = 120_000
#: And at most so long from when it said so.
LONGEST_MS: Final = 3_600_000
#: Of one partition, the newest.
MAX_ACTIVE: Final = 20_000
#: Of one of them, the newest.
MAX_DEVICES: Final = 8


class _Told(NamedTuple):
    at: int
    until: int


class Active:
    """Users of one partition. `known_from`: what was told before is not known, so until then everybody may be there."""

    def __init__(self, known_from: int, limit: int = MAX_ACTIVE) -> None:
        self._known_from = known_from
        self._limit = limit
        self._told: OrderedDict[bytes, OrderedDict[str, _Told]] = OrderedDict()  # by device

    def hear(self, user: str, app: str, device: str, at: int, until: int) -> None:
        """Of each device the newest word counts; one whose end is not after it says that the app is in front no more.
        Beyond the limits the oldest word goes: nobody is there any more."""
        name = _named(user, app)
        devices = self._told.pop(name, None) or OrderedDict[str, _Told]()
        self._told[name] = devices
        known = devices.get(device)
        if known is None or known.at <= at:
            devices.pop(device, None)
            devices[device] = _Told(at, until)
        if len(devices) > MAX_DEVICES:
            devices.popitem(last=False)
        if len(self._told) > self._limit:
            self._told.popitem(last=False)

    def may_be(self, user: str, app: str, now_ms: int) -> bool:
        """Whether the app is in front of the user now, on any device, as far as is known."""
        devices = self._told.get(_named(user, app))
        if devices is not None and any(now_ms < told.until for told in devices.values()):
            return True
        return now_ms < self._known_from


def _named(user: str, app: str) -> bytes:
    return f"{user}\0{app}".encode()
