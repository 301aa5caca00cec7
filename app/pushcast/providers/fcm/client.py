"""FCM behind the port."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

import orjson

from pushcast.http2.request import Response, Template, Wrapped
from pushcast.model.batch import KINDS, Message
from pushcast.model.device import AddressKind
from pushcast.model.words import Platform, Reason
from pushcast.providers.client import Setup, TemplateProvider
from pushcast.providers.fcm.bodies import TARGET_PREFIX, bodies
from pushcast.providers.fcm.message import render
from pushcast.providers.fcm.verdicts import judge
from pushcast.providers.port import Disposition, Part, Result
from pushcast.providers.requests import Requests, Shelf
from pushcast.providers.unsendable import render_or_refuse
from pushcast.providers.verdict import Verdict

# What may stand between the quotes of a JSON text as it is; every real token does.
_PLAIN: Final = bytes(byte for byte in range(33, 127) if byte not in b'"\\')
_CONDITION: Final = KINDS.index(AddressKind.CONDITION)
_NAME_BEGINS: Final = b'"projects/'
_JSON: Final = (b"content-type", b"application/json")


class FcmProvider(TemplateProvider):
    """One app's Firebase project. A dry run is FCM's own: `validate_only`."""

    platform = Platform.FCM

    def __init__(self, setup: Setup, *, project_id: str, authority: bytes) -> None:
        super().__init__(setup)
        self._path = f"/v1/projects/{project_id}/messages:send".encode()
        self._authority = authority
        self._templates: dict[bytes, Template] = {}

    def prepare(self, part: Part, shelf: Shelf) -> list[Result]:
        message = part.message
        rendered = render_or_refuse(render, message)
        sound, results = _sound_tokens(message, part.indices)
        if sound:
            requests = shelf.requests(None, 1, len(sound))
            requests.owners += [part] * len(sound)
            requests.targets += sound
            requests.columns[0] += bodies(message, *rendered, sound, self.clock.now_ms(), self.collapse_by)
        return results

    def judge(self, response: Response, now_ms: int, key: Hashable) -> Verdict:
        return judge(response, now_ms)

    def template(self, key: Hashable, authorization: bytes) -> Template:
        """One object per access token: a connection encodes it once, and messages that share it travel together."""
        template = self._templates.get(authorization)
        if template is None:
            headers = [_JSON, (b"authorization", authorization)]
            template = Template(path=self._path, headers=headers, body=Wrapped(), authority=self._authority)
            self._templates = {authorization: template}
        return template

    def provider_id(self, requests: Requests, position: int, response: Response) -> str | None:
        body = response.body
        start = body.find(_NAME_BEGINS) + 1
        if start:  # as it always is; reading the JSON costs twice as much
            return body[start : body.find(b'"', start)].decode("utf-8", "replace")
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        name = answer.get("name") if isinstance(answer, dict) else None
        return name if isinstance(name, str) else None


def _sound_tokens(message: Message, indices: Sequence[int]) -> tuple[list[int], list[Result]]:
    """Indices whose address is visible ASCII of a kind FCM knows, and results of the others."""
    targets = message.targets
    addresses, kinds = targets.address, targets.kind
    sound = [
        index
        for index in indices
        if kinds[index] in TARGET_PREFIX
        and addresses[index]
        and (
            not addresses[index].translate(None, _PLAIN)
            or (kinds[index] == _CONDITION and not addresses[index].translate(None, _PLAIN + b" "))
        )
    ]
    if len(sound) == len(indices):
        return sound, []
    passed = set(sound)
    malformed = str(Reason.TOKEN_MALFORMED)
    return sound, [Result(index, Disposition.INVALID, malformed) for index in indices if index not in passed]
