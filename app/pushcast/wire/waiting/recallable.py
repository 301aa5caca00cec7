"""Rows of `push.user.v1` that name what a user's devices may show, and pushes that their service deletes on request or
that a removal replaces."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.schemas import avro_type
from pushcast.wire.waiting.shown_devices import devices_of, with_device
from pushcast.wire.waiting.shown_devices import joined as joined_devices
from pushcast.wire.waiting.thread_places import NO_THREAD, joined, moments, places_of, within

_RECALLABLE: Final = avro_type("recallable")
_KIND: Final = b"r\0"
#: Of one user in one app; the newest stay.
MAX_PUSHES: Final = 32
MAX_SHOWN: Final = 200


class Push(msgspec.Struct, frozen=True):
    """One of them. `message`: the service's name of it, or empty. `tag`: what the browser knows it by, where a removal
    replaces it, or empty."""

    notification: str
    device: str
    message: str
    tag: str = ""


class _Shown(NamedTuple):
    """One notification of `shown`, with the places of its thread and of its campaign, and who shows it."""

    name: str
    thread: bytes
    campaign: bytes
    devices: tuple[bytes, ...]


class Recallable(msgspec.Struct, frozen=True):
    """Those of one user in one app, the oldest first."""

    pushes: tuple[Push, ...] = ()
    shown: tuple[str, ...] = ()  # notifications of removable classes that a device has got
    threads: bytes = b""  # of the last ones of these (`thread_places.joined`)
    campaigns: bytes = b""  # the same
    devices: bytes = b""  # which devices show the last ones of these (`shown_devices.joined`)

    def having(self, push: Push) -> Recallable:
        """With one more. What a device got again of a notification replaces what it had; a name that is not told again
        stays."""
        place = push.notification, push.device
        before = next((each for each in self.pushes if (each.notification, each.device) == place), None)
        if before is not None and not push.message:
            push = msgspec.structs.replace(push, message=before.message)
        if push == before:
            return self
        others = [each for each in self.pushes if each is not before]
        return msgspec.structs.replace(self, pushes=tuple([*others, push][-MAX_PUSHES:]))

    def showing(
        self, notification: str, device: bytes, thread: bytes = NO_THREAD, campaign: bytes = NO_THREAD
    ) -> Recallable:
        """With one more notification on a device, by `ids.device_name`. The others: of `thread_places`."""
        if notification not in self.shown:
            return self._showing([*self._shown(), _Shown(notification, thread, campaign, (device,))][-MAX_SHOWN:])
        at = self.shown.index(notification)
        known = devices_of(self.devices, len(self.shown))
        if not known[at] or device in known[at]:
            return self
        known[at] = with_device(known[at], device)
        return msgspec.structs.replace(self, devices=joined_devices(known))

    def devices_of(self, notification: str) -> tuple[bytes, ...]:
        """Who shows it; empty: that is not known."""
        if notification not in self.shown:
            return ()
        return devices_of(self.devices, len(self.shown))[self.shown.index(notification)]

    def in_thread(self, thread: str, up_to: int) -> list[str]:
        """Those that are in a thread, and were created until then."""
        are_in = within(places_of(self.threads, len(self.shown)), thread, up_to)
        return [name for name, is_in in zip(self.shown, are_in, strict=True) if is_in]

    def of_campaign(self, campaign: str, covers: Callable[[int], bool]) -> list[str]:
        """Those of a campaign that were created when it was cancelled (`CampaignCancel.covers`)."""
        if not self.campaigns:
            return []
        found = moments(places_of(self.campaigns, len(self.shown)), campaign)
        return [name for name, at in zip(self.shown, found, strict=True) if at is not None and covers(at)]

    def without(self, notifications: Collection[str]) -> Recallable | None:
        """Without those that are taken back; None: nothing is left."""
        pushes = tuple(push for push in self.pushes if push.notification not in notifications)
        shown = [each for each in self._shown() if each.name not in notifications]
        return msgspec.structs.replace(self, pushes=pushes)._showing(shown) if pushes or shown else None

    def _shown(self) -> list[_Shown]:
        count = len(self.shown)
        places = places_of(self.threads, count), places_of(self.campaigns, count)
        rows = zip(self.shown, *places, devices_of(self.devices, count), strict=True)
        return [_Shown(*row) for row in rows]

    def _showing(self, shown: list[_Shown]) -> Recallable:
        names, threads, campaigns, devices = zip(*shown, strict=True) if shown else ((), (), (), ())
        places = joined(list(threads)), joined(list(campaigns))
        known = joined_devices(list(devices))
        return msgspec.structs.replace(self, shown=names, threads=places[0], campaigns=places[1], devices=known)


def recallable_key(user: str, app: str) -> bytes:
    """Row key."""
    return f"{user}\0r\0{app}".encode()


def recallables_prefix(user: str) -> bytes:
    """Key prefix of a user's rows in all apps."""
    return f"{user}\0r\0".encode()


def is_recallable(key: bytes) -> bool:
    """Whether a row under this key names such pushes."""
    return is_row(key) and key.partition(b"\0")[2].startswith(_KIND)


def app_of(key: bytes) -> str:
    """In which app they are."""
    return key.split(b"\0", 2)[2].decode("utf-8", "replace")


def encode_recallable(row: Recallable) -> bytes:
    """Value of a row."""
    return _RECALLABLE.encode(msgspec.to_builtins(row, builtin_types=(bytes,)))


def readable_recallable(value: bytes) -> Recallable | None:
    """None for what this release cannot read: only KEEP writes rows."""
    try:
        return msgspec.convert(_RECALLABLE.decode(value), Recallable)
    except (InvalidInput, msgspec.ValidationError):
        return None
