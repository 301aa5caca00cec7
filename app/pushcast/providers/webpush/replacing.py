"""A removal in place of what it takes back: of pushes with the same Topic a service delivers the last one
(RFC 8030 §5.4), and of notifications with the same tag a browser shows the last one.

So each push of a removable class has a Topic, which is made of what the browser knows it by: the collapse id, or the
name that a push has anyway (`identity`), which is the same in every try.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import orjson

from pushcast.model.batch import Message
from pushcast.providers.identity import CollapseBy, automatic_names
from pushcast.providers.port import Disposition, OnResults, Result
from pushcast.providers.webpush.message import Rendered, topic_of


class Replacing:
    """Of an app whose removals replace what they take back."""

    def __init__(self, collapse_by: CollapseBy) -> None:
        self._collapse_by = collapse_by

    def tag_of(self, message: Message, target: int) -> str:
        """See `port.Replaceable`."""
        own = message.options_of(message.targets.notification[target]).collapse_id
        return own or automatic_names(message, (target,), self._collapse_by)[0].decode()

    def topics_of(self, message: Message, indices: Sequence[int]) -> Sequence[bytes | None]:
        """Of pushes without a collapse id. Removals look for those of removable classes alone."""
        if not message.removable:
            return [None] * len(indices)
        return automatic_names(message, indices, self._collapse_by)


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
