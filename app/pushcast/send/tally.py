"""What the answers of one turn of the loop say about a provider. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from pushcast.providers.breadth import Witness
from pushcast.providers.port import Disposition, Result
from pushcast.providers.suspicion import ABOUT_THE_TARGET, MASS_INVALID_TOKENS, PROJECT_IN_DOUBT
from pushcast.send.decide import TOO_MANY_REQUESTS


@dataclass(slots=True)
class Tally:
    """Answers by what they say about the provider. One per list of results, not per target."""

    sound: int = 0  # the provider works: accepted, or refused for the message's or the target's sake
    failed: int = 0
    invalid: int = 0  # it works, if its word about tokens is to be believed
    refused: int = 0  # our key or project
    slowed: int = 0  # it works and asks for less
    doubted: int = 0  # our project or that one token: only many say which
    refusal: str = ""  # reason of one of the refused
    doubt: str = ""  # reason of one of the doubted
    masses: bool = False  # some of the invalid are disbelieved by their provider's client
    failing: list[Witness] = field(default_factory=list)  # of the failed
    dead: list[Witness] = field(default_factory=list)  # of the invalid
    doubting: list[Witness] = field(default_factory=list)  # of the doubted
    refusing: list[Witness] = field(default_factory=list)  # of the refused

    def add(self, result: Result, witness: Witness) -> None:
        """Any result but an accepted one, which is counted by the list."""
        disposition, reason = result.disposition, result.reason
        if disposition is Disposition.REJECTED or reason in ABOUT_THE_TARGET:
            self.sound += 1
        elif disposition is Disposition.INVALID or reason == MASS_INVALID_TOKENS:
            self.invalid += 1
            self.dead.append(witness)
            self.masses = self.masses or disposition is not Disposition.INVALID
        elif disposition is Disposition.CREDENTIAL:
            self.refused += 1
            self.refusal = reason or self.refusal
            self.refusing.append(witness)
        elif reason in PROJECT_IN_DOUBT:
            self.doubted += 1
            self.doubt = reason or self.doubt
            self.doubting.append(witness)
        elif result.status == TOO_MANY_REQUESTS:
            self.slowed += 1
        else:
            self.failed += 1
            self.failing.append(witness)

    @property
    def bad(self) -> int:
        return self.failed + self.invalid + self.refused + self.doubted
