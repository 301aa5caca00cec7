"""What a browser would have received: queued messages with replacement by topic, while somebody looks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

_MAX_PER_SUBSCRIPTION: Final = 100


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a simulated browser has received and decrypted."""

    topic: str
    urgency: str
    ttl_seconds: int
    plaintext: bytes
    at: float
    name: str = ""  # the service's


class Mailbox:
    """Keeps `max_subscriptions` subscriptions, the longest silent go first; 100 messages each."""

    def __init__(self, max_subscriptions: int = 10_000) -> None:
        self._max = max_subscriptions
        self._messages: OrderedDict[bytes, list[Message]] = OrderedDict()

    def clear(self) -> None:
        self._messages.clear()

    def put(self, subscription_id: bytes, message: Message) -> None:
        """A message with the topic of one that is queued replaces it (RFC 8030 §5.4)."""
        queued = self._messages.pop(subscription_id, [])
        if message.topic:
            queued = [old for old in queued if old.topic != message.topic]
        self._messages[subscription_id] = [*queued, message][-_MAX_PER_SUBSCRIPTION:]
        if len(self._messages) > self._max:
            self._messages.popitem(last=False)

    def delete(self, name: str) -> bool:
        """Takes one back that the browser has not read; False: it is not there."""
        for queued in self._messages.values():
            for message in queued:
                if message.name == name:
                    queued.remove(message)
                    return True
        return False

    def of(self, subscription_id: bytes, now: float) -> list[dict[str, Any]]:
        """Oldest first, without those whose TTL has passed."""
        return [
            {
                "topic": message.topic or None,
                "urgency": message.urgency or None,
                "ttl_seconds": message.ttl_seconds,
                "body": message.plaintext.decode(errors="replace"),
            }
            for message in self._messages.get(subscription_id, [])
            if message.at + max(1, message.ttl_seconds) > now
        ]
