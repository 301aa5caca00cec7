"""What may explain that nobody saw a push which a provider took: no provider tells whether it was shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from pushcast.wire.times import rfc3339

#: An app that nobody has opened for so long may have been removed: a provider takes pushes for it for a while.
UNSEEN_MS: Final = 14 * 86_400_000
MAX_HINTS: Final = 5


class Collapsing(NamedTuple):
    """An event of the user with a collapse id. `app` None: for all apps. Times are milliseconds since the epoch."""

    at_ms: int
    notification: str
    app: str | None
    collapse_id: str


def hints(
    note: str, accepted: Iterable[tuple[str, str]], seen: Mapping[tuple[str, str], int], events: Iterable[Collapsing]
) -> list[str]:
    """`accepted`: (app, device) of deliveries that a provider took. `seen`: when each app was last heard of. `events`:
    of the same user, `note` among them."""
    devices, found = sorted(set(accepted)), list[str]()
    for app, device in devices:
        if (at_ms := seen.get((app, device))) is not None:
            found.append(f"{app} on {device} was last heard of at {rfc3339(at_ms)}: it may no longer be there")
    known = list(events) if devices else []
    mine = [each for each in known if each.notification == note]
    apps = {app for app, _ in devices}
    for own in mine[:1]:
        found += [
            f"{each.notification} came at {rfc3339(each.at_ms)} with the same collapse id: a device shows the later one"
            for each in known
            if each.collapse_id == own.collapse_id
            and each.at_ms > own.at_ms
            and each.notification != note
            and (each.app is None or each.app in apps)
        ]
    return found[:MAX_HINTS]


def unseen(seen: Mapping[tuple[str, str], int], now_ms: int) -> dict[tuple[str, str], int]:
    """Those that were not heard of for two weeks."""
    return {device: at_ms for device, at_ms in seen.items() if now_ms - at_ms > UNSEEN_MS}
