"""Suspicion applied to results, for providers with a client of their own."""

from __future__ import annotations

import structlog

from pushcast.model.clock import Clock
from pushcast.model.words import Platform
from pushcast.providers.port import Disposition, Result
from pushcast.providers.suspicion import MASS_INVALID_TOKENS, Suspicion

log = structlog.get_logger(__name__)


class Doubt:
    """Counts one provider's results about tokens; while those with one of `reasons` are too many, they are a matter of
    the credential and no token is lost."""

    def __init__(
        self, app: str, platform: Platform, suspicion: Suspicion, reasons: frozenset[str], clock: Clock
    ) -> None:
        self._app = app
        self._platform = platform
        self._suspicion = suspicion
        self._reasons = reasons
        self._clock = clock

    @property
    def suspicious(self) -> bool:
        """Tokens are refused in such numbers that the configuration is to blame."""
        return self._suspicion.suspicious

    def applied(self, results: list[Result]) -> list[Result]:
        """The same results, in the same order, with disbelieved ones replaced. Counts them: once for each result."""
        about_tokens = suspect = 0
        for result in results:
            if result.disposition is Disposition.INVALID or result.disposition is Disposition.ACCEPTED:
                about_tokens += 1
                suspect += result.reason in self._reasons
        before = self._suspicion.suspicious
        doubted = self._suspicion.note(self._clock.monotonic_seconds(), about_tokens, suspect)
        if doubted is not before:
            event = "tokens_refused_in_masses" if doubted else "tokens_believed_again"
            log.warning(event, app=self._app, platform=str(self._platform))
        if not doubted or not suspect:
            return results
        return [self._disbelieved(result) for result in results]

    def _disbelieved(self, result: Result) -> Result:
        if result.disposition is not Disposition.INVALID or result.reason not in self._reasons:
            return result
        return result._replace(disposition=Disposition.CREDENTIAL, reason=MASS_INVALID_TOKENS, invalid_since=None)
