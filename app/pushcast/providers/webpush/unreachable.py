"""Which push services will never take a push: a name that does not exist, a host that refuses every connection.

Nothing of this may be our own failure. A resolver, a proxy or a network that is away looks the same for every host, so
a failure counts only while others answer. Pure; times are monotonic seconds.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from pushcast.model.words import Reason

REASON: Final = str(Reason.ENDPOINT_UNREACHABLE)
LEAST_NOTIFICATIONS: Final = 5
LEAST_SECONDS: Final = 86_400.0
#: So long an answer of another host shows that our own network works.
WITNESS_SECONDS: Final = 60.0
#: Hosts that are remembered; whoever was heard of least lately is forgotten, and begins anew.
MAX_HOSTS: Final = 4096

# What a resolver says of a name that does not exist. EAI_AGAIN is the resolver's own failure.
_NO_SUCH_NAME: Final = frozenset((socket.EAI_NONAME, socket.EAI_NODATA))


def is_definite(error: BaseException | None) -> bool:
    """Whether a failed dial says that there is nobody: the name does not exist, or the host refused the connection.
    Time-outs, and what a proxy says, say nothing about the host."""
    if isinstance(error, socket.gaierror):
        return error.errno in _NO_SUCH_NAME
    return isinstance(error, ConnectionRefusedError)


@dataclass(slots=True)
class _Host:
    heard_at: float
    fails: bool  # the last that was heard of it is a refusal
    since: float | None = None  # the first failure that counts
    notifications: set[str] = field(default_factory=set)  # of the failures that count, at most LEAST_NOTIFICATIONS
    given_up: bool = False


class UnreachableHosts:
    """What one process knows of the hosts of one app's subscriptions. Lost with the process: then it begins anew."""

    def __init__(self) -> None:
        self._hosts: OrderedDict[str, _Host] = OrderedDict()

    def refused(self, host: str, now: float) -> None:
        """A dial found that nobody is there (`is_definite`)."""
        known = self._hosts.get(host)
        if known is None or not known.fails:
            known = _Host(now, fails=True)
        known.heard_at = now
        self._heard(host, known)

    def answered(self, host: str, now: float) -> bool:
        """Any answer clears it. True: the host had been given up, so what that cost is to be put back."""
        known = self._hosts.get(host)
        self._heard(host, _Host(now, fails=False))
        return known is not None and known.given_up

    def failed(self, host: str, notification_id: str, now: float) -> bool:
        """A push of this notification found no connection. True: no push ever will.

        It counts when the last that was heard of the host is a refusal of the last WITNESS_SECONDS, and another host
        answered within them. At least LEAST_NOTIFICATIONS that count over at least LEAST_SECONDS condemn the host;
        never while as many of the other hosts that were heard of lately fail as answer.
        """
        known = self._hosts.get(host)
        if known is None or not known.fails or now - known.heard_at > WITNESS_SECONDS:
            return False
        answering, failing = self._others(host, now)
        if not answering:
            return False
        if known.since is None:
            known.since = now
        if len(known.notifications) < LEAST_NOTIFICATIONS:
            known.notifications.add(notification_id)
        enough = len(known.notifications) >= LEAST_NOTIFICATIONS and now - known.since >= LEAST_SECONDS
        given_up = enough and failing < answering
        known.given_up |= given_up
        return given_up

    def _others(self, but: str, now: float) -> tuple[int, int]:
        """How many other hosts answered and how many failed, of those that were heard of within WITNESS_SECONDS."""
        answering = failing = 0
        for host, known in reversed(self._hosts.items()):
            if now - known.heard_at > WITNESS_SECONDS:
                break
            if host != but:
                failing += known.fails
                answering += not known.fails
        return answering, failing

    def _heard(self, host: str, known: _Host) -> None:
        """The hosts stand in the order in which they were heard of."""
        if host not in self._hosts and len(self._hosts) >= MAX_HOSTS:
            self._hosts.popitem(last=False)
        self._hosts[host] = known
        self._hosts.move_to_end(host)
