"""APNs behind the port."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple, cast

from pushcast.http2.request import Response, Template, Varying, Wrapped
from pushcast.model.batch import KINDS, Message
from pushcast.model.device import AddressKind
from pushcast.model.own import OwnClass
from pushcast.model.words import Platform, Reason
from pushcast.providers.apns.channels import MAX_BROADCAST_BYTES
from pushcast.providers.apns.columns import Alike, add_targets
from pushcast.providers.apns.message import Headers, Rendered, apns_id, render, to_be_filtered
from pushcast.providers.apns.verdicts import judge
from pushcast.providers.client import Setup, TemplateProvider
from pushcast.providers.contents import each_content
from pushcast.providers.expiry import epoch_seconds, expiries, expiry_of
from pushcast.providers.identity import automatic_names, with_ids
from pushcast.providers.port import Disposition, Part, Result
from pushcast.providers.requests import Requests, Shelf
from pushcast.providers.unsendable import Unsendable, render_or_refuse
from pushcast.providers.verdict import Verdict

_HEX: Final = b"0123456789abcdefABCDEF"
_TOKEN_KIND: Final = 0
_PATH: Final = Varying(b":path", b"/3/device/")
_APNS_ID: Final = Varying(b"apns-id")
_EXPIRATION: Final = Varying(b"apns-expiration")
_COLLAPSE_ID: Final = Varying(b"apns-collapse-id")
_WHOLE_BODY: Final = Wrapped()
_MAX_TEMPLATES: Final = 32
_STORING_CHANNEL: Final = KINDS.index(AddressKind.STORING_CHANNEL)
_CHANNELS: Final = frozenset((KINDS.index(AddressKind.CHANNEL), _STORING_CHANNEL))
_CHANNEL_ID: Final = Varying(b"apns-channel-id")


class _Key(NamedTuple):
    """Of a template. `channel`: its requests are for who listens to a broadcast channel, not for a device."""

    headers: Headers
    collapses: bool
    channel: bool = False


class ApnsProvider(TemplateProvider):
    """One app's topic at one APNs environment.

    A dry run is answered here: APNs has no such request, so what would be refused for its form is refused, and the
    rest is accepted without a provider id.
    """

    platform = Platform.APNS

    def __init__(
        self,
        setup: Setup,
        *,
        topic: str,
        authority: bytes,
        filters_removals: bool = False,
        publishes: bool = True,
    ) -> None:
        """`filters_removals`: the app's extension hides an alert that takes something back. `publishes` False: what is
        for a broadcast channel is refused, because it goes to a host or by an engine that this provider has not."""
        super().__init__(setup)
        self._publishes = publishes
        self._filters_removals = filters_removals
        self._topic = topic
        self._own_topic = topic.encode()
        self._authority = authority
        self._templates: dict[tuple[Hashable, bytes], Template] = {}

    def prepare(self, part: Part, shelf: Shelf) -> list[Result]:
        message, indices = part.message, part.indices
        if message.targets.kind[indices[0]] in _CHANNELS:  # then all are: a broadcast shares messages with nothing
            return self._publish(part, shelf)
        shown = message
        if self._filters_removals and message.klass == OwnClass.REMOVE:
            shown = to_be_filtered(message)
        rendered = render_or_refuse(render, shown, self._topic)
        sound, results = _sound_tokens(message, indices)
        if message.options.dry_run:
            now = self.clock.now_ms()
            return results + [Result(index, Disposition.ACCEPTED, sent_at=now, answered_at=now) for index in sound]
        if not sound:
            return results
        collapse_id, collapses = rendered.collapse_id, rendered.collapses
        requests = shelf.requests(_Key(rendered.headers, collapses), 5 if collapses else 4, len(sound))
        if len(sound) == 1:
            self._add_one(requests, part, message, sound[0], rendered)
            return results
        count, columns = len(sound), requests.columns
        add_targets(requests, part, sound, expiries(message) if rendered.stored else None)
        if collapse_id is not None:
            columns[3] += [collapse_id] * count
        elif collapses:
            columns[3] += automatic_names(message, sound, self.collapse_by)
        columns[-1] += with_ids(rendered.body, message, sound) if rendered.has_ids else [rendered.body] * count
        return results

    def prepare_each(self, part: Part, shelf: Shelf) -> list[Result]:
        """As for each content by itself, but for what their requests share."""
        message = part.message
        if (
            message.options.dry_run
            or message.klass == OwnClass.REMOVE
            or not _CHANNELS.isdisjoint(message.targets.kind)
        ):
            return super().prepare_each(part, shelf)
        addresses, kinds = message.targets.address, message.targets.kind
        runs: list[Alike] = []
        results: list[Result] = []
        for one in each_content(part):
            (index,) = one.indices
            try:
                rendered = render_or_refuse(render, one.message, self._topic)
            except Unsendable as refusal:
                results += self.refusals.results(refusal, one.message, (index,))
                continue
            if not _is_sound(addresses[index], kinds[index]):
                results.append(Result(index, Disposition.INVALID, str(Reason.TOKEN_MALFORMED)))
                continue
            if not runs or not runs[-1].takes(rendered):
                runs.append(Alike(rendered.headers, rendered.collapses, rendered.stored))
            (body,) = with_ids(rendered.body, one.message, one.indices) if rendered.has_ids else (rendered.body,)
            runs[-1].add(index, rendered, body)
        for run in runs:
            self._add_alike(part, run, shelf)
        return results

    def _add_alike(self, part: Part, run: Alike, shelf: Shelf) -> None:
        message, indices = part.message, run.indices
        requests = shelf.requests(_Key(run.headers, run.collapses), 5 if run.collapses else 4, len(indices))
        add_targets(requests, part, indices, expiries(message) if run.stored else None)
        if run.collapses:
            names = automatic_names(message, indices, self.collapse_by)
            requests.columns[3] += [own or name for own, name in zip(run.collapse_ids, names, strict=True)]
        requests.columns[-1] += run.bodies

    def _add_one(self, requests: Requests, part: Part, message: Message, index: int, rendered: Rendered) -> None:
        """As for many targets, without their lists: a third of the cost where each has a content of its own."""
        targets, columns = message.targets, requests.columns
        name = apns_id(targets.delivery_id[index], targets.attempt[index])
        requests.owners.append(part)
        requests.targets.append(index)
        requests.names.append(name)
        columns[0].append(targets.address[index])
        columns[1].append(name.encode())
        columns[2].append(b"%d" % epoch_seconds(expiry_of(message, index)) if rendered.stored else b"0")
        if rendered.collapse_id is not None:
            columns[3].append(rendered.collapse_id)
        elif rendered.collapses:
            columns[3] += automatic_names(message, (index,), self.collapse_by)
        columns[-1] += with_ids(rendered.body, message, (index,)) if rendered.has_ids else (rendered.body,)

    def _publish(self, part: Part, shelf: Shelf) -> list[Result]:
        """Requests to broadcast channels, which have no device's token and nothing to collapse."""
        message, indices = part.message, part.indices
        if not self._publishes:
            return [Result(index, Disposition.REJECTED, str(Reason.NOT_CONFIGURED)) for index in indices]
        rendered = render_or_refuse(render, message, self._topic, max_bytes=MAX_BROADCAST_BYTES)
        if message.options.dry_run:
            now = self.clock.now_ms()
            return [Result(index, Disposition.ACCEPTED, sent_at=now, answered_at=now) for index in indices]
        headers = tuple([header for header in rendered.headers if header[0] != b"apns-topic"])
        requests = shelf.requests(_Key(headers, collapses=False, channel=True), 3, len(indices))
        targets, expires_at = message.targets, expiries(message)
        for index in indices:
            requests.owners.append(part)
            requests.targets.append(index)
            stores = targets.kind[index] == _STORING_CHANNEL
            values = (targets.address[index], b"%d" % epoch_seconds(expires_at[index]) if stores else b"0")
            for column, value in zip(requests.columns, (*values, rendered.body), strict=True):
                column.append(value)
        return []

    def judge(self, response: Response, now_ms: int, key: Hashable) -> Verdict:
        headers = cast("_Key", key).headers
        return judge(response, now_ms, own_topic=(b"apns-topic", self._own_topic) in headers)

    def provider_id(self, requests: Requests, position: int, response: Response) -> str | None:
        if not cast("_Key", requests.key).channel:
            return requests.names[position]
        request_id = response.header(b"apns-request-id")
        return None if request_id is None else request_id.decode("latin-1")

    def template(self, key: Hashable, authorization: bytes) -> Template:
        """One object for equal headers: a connection encodes it once, and messages that share it travel together."""
        template = self._templates.get((key, authorization))
        if template is None:
            if len(self._templates) >= _MAX_TEMPLATES:
                self._templates.clear()
            template = self._templates[key, authorization] = self._template(cast("_Key", key), authorization)
        return template

    def _template(self, key: _Key, authorization: bytes) -> Template:
        headers = [*key.headers, *([(b"authorization", authorization)] if authorization else [])]
        if key.channel:
            return Template(
                path=b"/4/broadcasts/apps/" + self._own_topic,
                headers=headers,
                varying=[_CHANNEL_ID, _EXPIRATION],
                body=_WHOLE_BODY,
                authority=self._authority,
                wants_headers=True,
            )
        varying = [_APNS_ID, _EXPIRATION, *([_COLLAPSE_ID] if key.collapses else [])]
        return Template(path=_PATH, headers=headers, varying=varying, body=_WHOLE_BODY, authority=self._authority)


def _sound_tokens(message: Message, indices: Sequence[int]) -> tuple[list[int], list[Result]]:
    """Indices whose address is an even number of hexadecimal digits, and results of the others.

    The length of a token is not part of Apple's contract. Checked for all targets at once, as nearly all are sound.
    """
    targets = message.targets
    addresses, kinds = targets.address, targets.kind
    if len(indices) == 1 and _is_sound(addresses[indices[0]], kinds[indices[0]]):
        return [indices[0]], []
    sound = [index for index in indices if _is_sound(addresses[index], kinds[index])]
    if len(sound) == len(indices):
        return sound, []
    passed = set(sound)
    malformed = str(Reason.TOKEN_MALFORMED)
    return sound, [Result(index, Disposition.INVALID, malformed) for index in indices if index not in passed]


def _is_sound(address: bytes, kind: int) -> bool:
    return kind == _TOKEN_KIND and bool(address) and not len(address) & 1 and not address.translate(None, _HEX)
