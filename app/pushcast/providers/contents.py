"""Parts whose notifications have contents of their own (`Message.wordings`), one content at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pushcast.providers.engines.engine import MAX_GATHERED
from pushcast.providers.port import Part


def each_content(part: Part) -> Iterator[Part]:
    """A part for each target, with the content of its notification. Its message is the same object, changed, for all of
    them: use each before the next one. Results belong to the part that was given, by the same indices."""
    message = replace(part.message, wordings=None)
    wordings, notification = part.message.wordings or [], part.message.targets.notification
    for index in part.indices:
        message.content, message.options, message.content_hash = wordings[notification[index]]
        yield Part(message, (index,), part.on_results)


def portions(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The parts in their order, each portion with at most MAX_GATHERED contents; larger parts are cut."""
    portion: list[Part] = []
    room = MAX_GATHERED
    for part in parts:
        if part.message.wordings is None:
            pieces = [part]
        else:
            starts = range(0, len(part.indices), MAX_GATHERED)
            pieces = [part._replace(indices=part.indices[at : at + MAX_GATHERED]) for at in starts]
        for piece in pieces:
            weight = 1 if piece.message.wordings is None else len(piece.indices)
            if portion and weight > room:
                yield portion
                portion, room = [], MAX_GATHERED
            portion.append(piece)
            room -= weight
    if portion:
        yield portion
