"""APNs behind the port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.model.batch import Message
from pushcast.model.clock import Clock
from pushcast.model.words import Platform, Reason
from pushcast.providers.apns.message import Rendered, apns_id, render
from pushcast.providers.apns.verdicts import judge
from pushcast.providers.client import Prepared, TemplateProvider
from pushcast.providers.credential import Credential
from pushcast.providers.engines.engine import Columns, Engine
from pushcast.providers.http2.request import Response, Template, Varying
from pushcast.providers.port import Disposition, Result
from pushcast.providers.verdict import Verdict

_HEX: Final = b"0123456789abcdefABCDEF"
_TOKEN_KIND: Final = 0
_PATH: Final = Varying(b":path", b"/3/device/")
_APNS_ID: Final = Varying(b"apns-id")
_EXPIRATION: Final = Varying(b"apns-expiration")


class ApnsProvider(TemplateProvider):
    """One app's topic at one APNs environment.

    A dry run is answered here: APNs has no such request, so what would be refused for its form is refused, and the
    rest is accepted without a provider id.
    """

    platform = Platform.APNS

    def __init__(
        self,
        app: str,
        engine_name: str,
        engine: Engine,
        credential: Credential,
        timeout_seconds: float,
        clock: Clock,
        *,
        topic: str,
        authority: bytes,
    ) -> None:
        super().__init__(app, engine_name, engine, credential, timeout_seconds, clock)
        self._topic = topic
        self._authority = authority

    def prepare(self, message: Message, indices: Sequence[int]) -> Prepared:
        rendered = render(message, self._topic)
        sound, results = _sound_tokens(message, indices)
        if message.options.dry_run:
            now = self._clock.now_ms()
            results += [Result(index, Disposition.ACCEPTED, sent_at=now, answered_at=now) for index in sound]
            sound = []
        return _Prepared(message, rendered, sound, results, self._authority)

    def judge(self, response: Response, now_ms: int) -> Verdict:
        return judge(response, now_ms)


class _Prepared(Prepared):
    def __init__(
        self, message: Message, rendered: Rendered, indices: list[int], results: list[Result], authority: bytes
    ) -> None:
        self.indices = indices
        self.results = results
        self._rendered = rendered
        self._authority = authority
        targets = message.targets
        self._tokens = [targets.address[index] for index in indices]
        delivery_ids, attempts = targets.delivery_id, targets.attempt
        self._ids = [apns_id(delivery_ids[index], attempts[index]) for index in indices]
        # 0 would mean "do not store": one second past the epoch is as late as any time in the past.
        expirations = [max(targets.expires_at[index] // 1000, 1) for index in indices] if rendered.stored else [0]
        first = expirations[0] if expirations else 0
        self._expiration = first if expirations.count(first) == len(expirations) else None
        self._expirations = [] if self._expiration is not None else [b"%d" % at for at in expirations]

    def requests(self, authorization: bytes, positions: Sequence[int] | None) -> tuple[Template, Columns]:
        headers = list(self._rendered.headers)
        varying = [_APNS_ID]
        columns: list[list[bytes]] = [self._tokens, [name.encode() for name in self._ids]]
        if self._expiration is None:
            varying.append(_EXPIRATION)
            columns.append(self._expirations)
        else:
            headers.append((b"apns-expiration", b"%d" % self._expiration))
        if authorization:
            headers.append((b"authorization", authorization))
        if positions is not None:
            columns = [[column[position] for position in positions] for column in columns]
        template = Template(
            path=_PATH, headers=headers, varying=varying, body=self._rendered.body, authority=self._authority
        )
        return template, columns

    def provider_id(self, position: int, response: Response) -> str:
        return self._ids[position]


def _sound_tokens(message: Message, indices: Sequence[int]) -> tuple[list[int], list[Result]]:
    """Indices whose address is an even number of hexadecimal digits, and results of the others.

    The length of a token is not part of Apple's contract. Checked for all targets at once, as nearly all are sound.
    """
    targets = message.targets
    addresses, kinds = targets.address, targets.kind
    sound = [index for index in indices if _is_sound(addresses[index], kinds[index])]
    if len(sound) == len(indices):
        return sound, []
    passed = set(sound)
    malformed = str(Reason.TOKEN_MALFORMED)
    return sound, [Result(index, Disposition.INVALID, malformed) for index in indices if index not in passed]


def _is_sound(address: bytes, kind: int) -> bool:
    return kind == _TOKEN_KIND and bool(address) and not len(address) & 1 and not address.translate(None, _HEX)
