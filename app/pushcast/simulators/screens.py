"""What users see of pushes that carry a tag: the notification list of a simulated Android device or browser."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

_MAX_ON_SCREEN: Final = 50


class Look(NamedTuple):
    """What a user sees of one push. `notification` None: nothing comes to the list. `tag`: what it replaces. `closes`:
    the tag of what its app takes off the list."""

    notification: dict[str, Any] | None
    tag: str | None = None
    sound: str | dict[str, Any] | None = None
    badge: int | None = None
    closes: str | None = None


UNSEEN: Final = Look(None)


class Screens:
    """Off until somebody asks, because each push is parsed. Remembers `max_devices`, the least recently pushed to go
    first; 50 notifications each. `look_of` reads a payload that passed the checks, or any where they are off."""

    def __init__(self, look_of: Callable[[dict[str, Any]], Look], max_devices: int = 20_000) -> None:
        self.on = False
        self._look_of = look_of
        self._max_devices = max_devices
        self._devices: OrderedDict[bytes, _Device] = OrderedDict()

    def switch(self, on: bool) -> None:
        """Off forgets everything."""
        self.on = bool(on)
        if not self.on:
            self._devices.clear()

    def accept(self, address: bytes, body: bytes) -> None:
        """A push has reached the device of this address."""
        if not self.on:
            return
        try:
            payload = orjson.loads(body)
        except orjson.JSONDecodeError:
            payload = None
        look = self._look_of(payload) if isinstance(payload, dict) else UNSEEN
        device = self._devices.pop(address, None) or _Device()
        self._devices[address] = device
        device.see(look)
        if len(self._devices) > self._max_devices:
            self._devices.popitem(last=False)

    def screen(self, address: bytes) -> dict[str, Any]:
        """`shown`: the notification list, oldest first; `alerts`: how often the device made itself heard; `badge`: what
        stands on the app's icon. Raises ValueError while the view is off."""
        if not self.on:
            raise ValueError('screen: switch the store on first (PUT /state {"store": true})')
        device = self._devices.get(address) or _Device()
        shown = [{"tag": look.tag, "appearance": look.notification} for look in device.shown]
        return {"shown": shown, "alerts": device.alerts, "badge": device.badge}


class _Device:
    __slots__ = ("alerts", "badge", "shown")

    def __init__(self) -> None:
        self.shown: list[Look] = []
        self.alerts = 0
        self.badge: int | None = None

    def see(self, look: Look) -> None:
        if look.notification is not None:
            kept = [old for old in self.shown if look.tag is None or old.tag != look.tag]
            self.shown = [*kept, look][-_MAX_ON_SCREEN:]
        if look.closes is not None:
            self.shown = [old for old in self.shown if old.tag != look.closes]
        self.alerts += look.notification is not None or look.sound is not None
        if look.badge is not None:
            self.badge = look.badge


def picked(value: Any, names: dict[str, str]) -> dict[str, Any]:
    """What stands under `names` (theirs: ours) and is not empty; nothing of what is no object."""
    if not isinstance(value, dict):
        return {}
    return {ours: value[theirs] for theirs, ours in names.items() if value.get(theirs) not in (None, "", [])}
