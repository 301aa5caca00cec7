"""Which topics of FCM's own a device is subscribed to: told for many at once, each by a request of its own.

https://firebase.google.com/docs/reference/fcm/fcmtopics/rest/v1/projects.registrations.topicSubscriptions
FCM takes 3,000 changes a second and project. To say twice what it knows already is no error here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote_from_bytes

from pushcast.http2.request import Kind, Outcomes, Response, Template, Varying
from pushcast.model.clock import Clock
from pushcast.providers.credential import Credential, CredentialUnavailable
from pushcast.providers.engines.engine import Engine
from pushcast.providers.fcm.verdicts import judge, read
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Remedy, Verdict

CHANGES_PER_MINUTE: Final = 180_000
#: Of one exchange, so that a stop of the process need not wait for more.
EXCHANGE_CHANGES: Final = 100
_JSON: Final = (b"content-type", b"application/json")
_PATH: Final = Varying(b":path")
_DONE: Final = Verdict(Disposition.ACCEPTED, None)
#: 404 of one registration: FCM does not know it, or not any more.
_UNKNOWN: Final = Verdict(Disposition.INVALID, "unregistered")
_UNHEARD: Final = Verdict(Disposition.UNSENT, "closed_by_us")
#: Answers that ask for less.
_SLOW_DOWN: Final = frozenset((429, 503))


class SubscriptionChange(NamedTuple):
    """A device that follows a topic, or does not. `address`: its token or installation id, never shown."""

    address: bytes
    topic: str
    follows: bool


class TopicSubscriptions:
    """Of one app's Firebase project. Use it on one running loop."""

    def __init__(
        self,
        engine: Engine,
        credential: Credential,
        *,
        project_id: str,
        authority: bytes,
        timeout_seconds: float,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self._engine = engine
        self._credential = credential
        self._path = f"/v1/projects/{project_id}/registrations/".encode()
        self._authority = authority
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self.pace = pace

    async def start(self) -> None:
        """Connections open when they are needed."""
        await self._engine.start()

    async def close(self) -> None:
        """Closes the connections."""
        await self._engine.close()
        await self._credential.close()

    async def tell(self, changes: Sequence[SubscriptionChange]) -> list[Verdict]:
        """What FCM says to each, in their order, at most EXCHANGE_CHANGES of them. Two of one device and topic must
        not be in one call. Callers keep to `pace`.

        ACCEPTED: it is so now. INVALID: FCM does not know the device. Raises nothing.
        """
        try:
            authorization = await self._credential.header()
        except CredentialUnavailable as problem:
            verdict = Verdict(problem.disposition, problem.reason, retry_after_seconds=problem.retry_after_seconds)
            return [verdict] * len(changes)
        verdicts = [_UNHEARD] * len(changes)
        for follows in (True, False):
            places = [place for place, change in enumerate(changes) if change.follows is follows]
            if places:
                await self._exchange(authorization, changes, places, follows, verdicts)
        if any(verdict.remedy is Remedy.REFRESH for verdict in verdicts):
            await self._credential.refresh(authorization)
        return verdicts

    async def _exchange(
        self,
        authorization: bytes,
        changes: Sequence[SubscriptionChange],
        places: Sequence[int],
        follows: bool,
        verdicts: list[Verdict],
    ) -> None:
        template = Template(
            method=b"POST" if follows else b"DELETE",
            path=_PATH,
            headers=[_JSON, (b"authorization", authorization)],
            body=b"{}" if follows else b"",
            authority=self._authority,
            wants_headers=True,
        )

        def heard(outcomes: Outcomes) -> None:
            now_ms, slow = self._clock.now_ms(), 0
            after = None
            for index, response in outcomes:
                verdict = verdicts[places[index]] = _judged(response, follows, now_ms)
                if response.status in _SLOW_DOWN:
                    slow, after = slow + 1, verdict.retry_after_seconds
            self.pace.note(self._clock.monotonic_seconds(), len(outcomes), slow, after)

        paths = [self._path + _resource(changes[place]) for place in places]
        await self._engine.exchange(template, [paths], len(paths), self._timeout_seconds, heard)


def _resource(change: SubscriptionChange) -> bytes:
    """Behind the collection of registrations."""
    address, topic = quote_from_bytes(change.address, safe=b""), quote_from_bytes(change.topic.encode(), safe=b"")
    where = f"?topic_name={topic}" if change.follows else f"/{topic}"
    return f"{address}/topicSubscriptions{where}".encode()


def _judged(response: Response, follows: bool, now_ms: int) -> Verdict:
    if response.kind is Kind.ANSWERED and 200 <= response.status < 300:
        return _DONE
    if response.kind is Kind.ANSWERED and response.status == 409 and follows:
        return _DONE  # it follows it already
    if response.kind is Kind.ANSWERED and response.status == 404 and read(response.body).is_json:
        # Of a subscription that is not there, as of a device that is not: nothing is left to take back.
        return _UNKNOWN if follows else _DONE
    return judge(response, now_ms)
