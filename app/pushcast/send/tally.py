"""What the answers of one turn of the loop say about a provider. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import TOO_MANY_REQUESTS


@dataclass(slots=True)
class Tally:
    """Answers by what they say about the provider. One per list of results, not per target."""

    sound: int = 0  # the provider works: accepted, or refused for the message's sake
    failed: int = 0
    invalid: int = 0  # it works, if its word about tokens is to be believed
    refused: int = 0  # our key or project
    slowed: int = 0  # it works and asks for less
    refusal: str = ""  # reason of one of the refused

    def add(self, result: Result) -> None:
        """Any result but an accepted one, which is counted by the list."""
        disposition = result.disposition
        if disposition is Disposition.REJECTED:
            self.sound += 1
        elif disposition is Disposition.INVALID:
            self.invalid += 1
        elif disposition is Disposition.CREDENTIAL:
            self.refused += 1
            self.refusal = result.reason or self.refusal
        elif result.status == TOO_MANY_REQUESTS:
            self.slowed += 1
        else:
            self.failed += 1

    @property
    def bad(self) -> int:
        return self.failed + self.invalid + self.refused
