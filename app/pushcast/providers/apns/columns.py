"""What differs between requests of one template: token, apns-id and expiry, and of chats also collapse id and body."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.providers.apns.message import Headers, Rendered, apns_id
from pushcast.providers.expiry import epoch_seconds
from pushcast.providers.port import Part
from pushcast.providers.requests import Requests


def add_targets(requests: Requests, part: Part, indices: Sequence[int], expires_at: Sequence[int] | None) -> None:
    """Owners, targets, names, and the columns of tokens, ids and expiries. `expires_at`: of all targets of the message
    (`expiry.expiries`); None: nothing is stored."""
    targets = part.message.targets
    delivery_ids, attempts, addresses = targets.delivery_id, targets.attempt, targets.address
    ids = [apns_id(delivery_ids[index], attempts[index]) for index in indices]
    count, columns = len(ids), requests.columns
    requests.owners += [part] * count
    requests.targets += indices
    requests.names += ids
    columns[0] += [addresses[index] for index in indices]
    columns[1] += [name.encode() for name in ids]
    columns[2] += [b"0"] * count if expires_at is None else _expirations(expires_at, indices)


def _expirations(expires_at: Sequence[int], indices: Sequence[int]) -> list[bytes]:
    """Seconds since the epoch; 0, "do not store", only for what is now or never."""
    times = [expires_at[index] for index in indices]
    if times and times.count(times[0]) == len(times):
        return [b"%d" % epoch_seconds(times[0])] * len(times)
    return [b"%d" % epoch_seconds(at) for at in times]


class Alike:
    """Targets that follow each other and have contents of their own, but one template."""

    __slots__ = ("bodies", "collapse_ids", "collapses", "headers", "indices", "stored")

    def __init__(self, headers: Headers, collapses: bool, stored: bool) -> None:
        self.headers = headers
        self.collapses = collapses
        self.stored = stored
        self.indices: list[int] = []
        self.bodies: list[bytes] = []
        self.collapse_ids: list[bytes | None] = []  # None: it gets one of its own

    def takes(self, rendered: Rendered) -> bool:
        """Whether it has this template. Equal headers are mostly one object."""
        return rendered.headers is self.headers and rendered.collapses is self.collapses

    def add(self, index: int, rendered: Rendered, body: bytes) -> None:
        """A target, and its own body."""
        self.indices.append(index)
        self.bodies.append(body)
        self.collapse_ids.append(rendered.collapse_id)
