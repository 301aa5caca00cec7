"""Whether a provider's verdicts on tokens may be believed: many refused tokens at once mean that we are wrong.

A token of the other environment, another topic or another project is refused like one that is broken
(reference: APNs BadDeviceToken and DeviceTokenNotForTopic, FCM SENDER_ID_MISMATCH). Believing thousands of such
answers would wipe an app's devices.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

#: Reason of results whose verdict on the token is not believed.
MASS_INVALID_TOKENS: Final = "mass_invalid_tokens"
#: Our words for refusals that a wrong configuration causes as well as a wrong token does. Not `device_unregistered`:
#: providers say that only of tokens which they know.
SUSPECT_REASONS: Final = frozenset(("token_refused", "token_not_for_topic", "token_of_other_project"))

#: Reasons of refusals behind a provider that works and knows us: one target, or the vendor behind it, is at fault.
ABOUT_THE_TARGET: Final = frozenset(("third_party_credential_refused",))
#: Reasons that one odd token causes as well as a project of ours that is not there: only many of them mean the project.
PROJECT_IN_DOUBT: Final = frozenset(("project_unknown", "answer_without_details"))


class SuspicionLimits(NamedTuple):
    """Suspicion begins at `share` of at least `least_answers` within the last `window_seconds`."""

    least_answers: int = 100
    share: float = 0.5
    window_seconds: float = 60.0


class Suspicion:
    """Counts the answers of one provider that accept or refuse a token. Constant memory; time is passed in.

    Once suspicious, it stays so until a whole block of `least_answers` later answers has a share below the limit: the
    passing of time proves nothing.
    """

    _SLICES: Final = 12

    def __init__(self, limits: SuspicionLimits | None = None) -> None:
        self.limits = limits or SuspicionLimits()
        self.suspicious = False
        self._slices: deque[list[float]] = deque()  # [began at, answers, suspect]
        self._answers = 0
        self._suspect = 0

    def note(self, now_seconds: float, answers: int, suspect: int) -> bool:
        """Counts `answers`, of which `suspect` refused the token for a suspect reason; returns `suspicious`.

        `now_seconds` never goes back.
        """
        if not answers:
            return self.suspicious
        if self.suspicious:
            self._answers += answers
            self._suspect += suspect
            if self._answers >= self.limits.least_answers:
                self.suspicious = self._too_many
                self._forget()
            return self.suspicious
        self._count(now_seconds, answers, suspect)
        if self._answers >= self.limits.least_answers and self._too_many:
            self.suspicious = True
            self._forget()
        return self.suspicious

    @property
    def _too_many(self) -> bool:
        return self._suspect >= self._answers * self.limits.share

    def _count(self, now_seconds: float, answers: int, suspect: int) -> None:
        window = self.limits.window_seconds
        slices = self._slices
        if not slices or now_seconds - slices[-1][0] >= window / self._SLICES:
            slices.append([now_seconds, 0, 0])
        slices[-1][1] += answers
        slices[-1][2] += suspect
        self._answers += answers
        self._suspect += suspect
        while now_seconds - slices[0][0] > window:
            _, old_answers, old_suspect = slices.popleft()
            self._answers -= int(old_answers)
            self._suspect -= int(old_suspect)

    def _forget(self) -> None:
        self._slices.clear()
        self._answers = self._suspect = 0
