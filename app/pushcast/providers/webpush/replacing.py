"""A removal in place of what it takes back: of pushes with the same Topic a service delivers the last one
(RFC 8030 §5.4), and of notifications with the same tag a browser shows the last one.

So each push of a removable class has a Topic, which is made of what the browser knows it by: the collapse id, or the
name that a push has anyway (`identity`), which is the same in every try. Google's service keeps four Topics of a
browser, and delivers pushes that have one at a lower rate: there a push has none but that of its collapse id.
https://firebase.google.com/docs/cloud-messaging/throttling-and-quotas
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import orjson

from pushcast.model.batch import Message
from pushcast.providers.identity import CollapseBy, automatic_names
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.webpush.message import Rendered, topic_of
from pushcast.providers.webpush.subscription import EndpointForbidden, Malformed, parse

#: Services that keep a few Topics of a browser.
_FEW_TOPICS: Final = frozenset(("fcm.googleapis.com",))


class Replacing:
    """Of an app whose removals replace what they take back."""

    def __init__(self, collapse_by: CollapseBy) -> None:
        self._collapse_by = collapse_by

    def tag_of(self, message: Message, target: int) -> str | None:
        """See `port.Replaceable`."""
        own = message.options_of(message.targets.notification[target]).collapse_id
        if own:
            return own
        [name] = self._names(message, (target,))
        return None if name is None else name.decode()

    def topics_of(self, message: Message, indices: Sequence[int]) -> Sequence[bytes | None]:
        """Of pushes without a collapse id. Removals look for those of removable classes alone."""
        return self._names(message, indices) if message.removable else [None] * len(indices)

    def _names(self, message: Message, indices: Sequence[int]) -> list[bytes | None]:
        addresses, names = message.targets.address, automatic_names(message, indices, self._collapse_by)
        return [
            name if _has_many_topics(addresses[index]) else None for index, name in zip(indices, names, strict=True)
        ]


def _has_many_topics(address: bytes) -> bool:
    """Whether the service of a subscription keeps as many Topics as there are pushes."""
    try:
        return parse(address).authority.partition(":")[0] not in _FEW_TOPICS
    except (Malformed, EndpointForbidden):
        return False


def in_place_of(tag: str, removal: Rendered) -> Rendered:
    """The removal for the push of this tag. A page finds what it shows by the tag."""
    payload = orjson.loads(removal.plaintext)
    payload["options"] = {**payload.get("options", {}), "tag": tag}
    return removal._replace(plaintext=orjson.dumps(payload), topic=topic_of(tag))


class OneEach:
    """One result for each target, of several requests: the first that is no success, else the last."""

    def __init__(self, requests: Counter[int], on_results: OnResults) -> None:
        """`requests`: how many there are, by target."""
        self._open = requests
        self._on_results = on_results
        self._known: dict[int, Result] = {}

    def __call__(self, results: list[Result]) -> None:
        ended = []
        for result in results:
            target = result.target
            known = self._known.get(target)
            if known is None or known.disposition is Disposition.ACCEPTED:
                self._known[target] = result
            self._open[target] -= 1
            if not self._open[target]:
                ended.append(self._known.pop(target))
        if ended:
            self._on_results(ended)
