"""What the user sees: devices that are on- or offline, one stored notification per app, replacement by collapse id.

Source: Apple, "Viewing the status of push notifications": for a device that is offline APNs stores one notification per
bundle id, normally the newest; expiration 0 stores nothing; without one, up to 30 days.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from pushcast.simulators.apns.appearance import UNSEEN, Removal, appearance

_MAX_STORE_SECONDS: Final = 30 * 24 * 3600.0
_MAX_ON_SCREEN: Final = 50
_MAX_DIGITS: Final = 18
_MAX_REMOVALS: Final = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A notification on the screen of a simulated device; times are the simulator's clock in seconds."""

    bundle: str
    collapse_id: str
    body: bytes
    at: float
    expires_at: float


class DeviceStore:
    """Remembers `max_devices` devices, the least recently pushed to go first; 50 notifications each on screen."""

    def __init__(self, max_devices: int = 20_000) -> None:
        self._max_devices = max_devices
        self._offline: dict[bytes, dict[str, Shown]] = {}
        self._screens: OrderedDict[bytes, list[Shown]] = OrderedDict()
        self._alerts: dict[bytes, int] = {}
        self._badges: dict[bytes, int] = {}
        self._removals: dict[bytes, list[tuple[str, Removal]]] = {}  # what the apps of a device were told, by bundle
        self.dropped = 0

    def set_online(self, token: bytes, online: bool, now: float) -> None:
        """Coming online delivers what is stored and not expired."""
        if not online:
            self._offline.setdefault(token, {})
            return
        for shown in self._offline.pop(token, {}).values():
            if shown.expires_at > now:
                self._show(token, shown)
            else:
                self.dropped += 1

    def accept(self, token: bytes, bundle: str, collapse_id: bytes, expiration: bytes, body: bytes, now: float) -> None:
        """`expiration` is the header's value: empty for none."""
        # Without checks, anything may stand there.
        known = expiration.isdigit() and len(expiration) <= _MAX_DIGITS
        expires_at = float(expiration) if known else now + _MAX_STORE_SECONDS
        shown = Shown(bundle, collapse_id.decode(errors="replace"), body, now, expires_at)
        stored = self._offline.get(token)
        if stored is None:
            self._show(token, shown)
        elif expires_at <= now:
            self.dropped += 1
        else:
            stored[bundle] = shown

    def _show(self, token: bytes, shown: Shown) -> None:
        look = appearance(shown.body)
        screen = self._screens.pop(token, [])
        told = self._removals.get(token, [])
        if look.removal is not None:  # what a background push wakes the app for
            screen = [
                old
                for old in screen
                if old.bundle != shown.bundle or not look.removal.covers(old.collapse_id, appearance(old.body))
            ]
            self._removals[token] = [*told, (shown.bundle, look.removal)][-_MAX_REMOVALS:]
        elif look.seq is not None and any(
            bundle == shown.bundle and removal.covers(shown.collapse_id, look) for bundle, removal in told
        ):
            look = UNSEEN  # its removal came first
        if look.notification is not None:
            if shown.collapse_id:
                screen = [old for old in screen if (old.bundle, old.collapse_id) != (shown.bundle, shown.collapse_id)]
            screen = [*screen, shown][-_MAX_ON_SCREEN:]
        self._screens[token] = screen
        if look.notification is not None or look.sound is not None:
            self._alerts[token] = self._alerts.get(token, 0) + 1
        if look.badge is not None:
            self._badges[token] = look.badge
        if len(self._screens) > self._max_devices:
            gone, _ = self._screens.popitem(last=False)
            self._alerts.pop(gone, None)
            self._badges.pop(gone, None)
            self._removals.pop(gone, None)

    def screen(self, token: bytes) -> dict[str, Any]:
        """`shown`: what is in the notification list, oldest first, with the `appearance` of each payload; `alerts`: how
        often the device made itself heard; `badge`: what stands on the app's icon."""
        rows = [
            {
                "topic": shown.bundle,
                "collapse_id": shown.collapse_id or None,
                "appearance": appearance(shown.body).notification,
                "body": shown.body.decode(errors="replace"),
            }
            for shown in self._screens.get(token, [])
        ]
        return {
            "online": token not in self._offline,
            "shown": rows,
            "alerts": self._alerts.get(token, 0),
            "badge": self._badges.get(token),
            "stored": len(self._offline.get(token, {})),
        }
