"""POLL as the runtime hosts it: an App per platform that hands out tickets, in the settler's processes."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.poll.agent import PollStage
from pushcast.poll.build import FETCH_BYTES, bounds, build
from pushcast.poll.figures import PollCounters
from pushcast.poll.reads import ROLE
from pushcast.poll.samples import samples_of
from pushcast.stream.spec import Host, StageSpec, Subscription
from pushcast.stream.table import Table
from pushcast.wire import groups, topics


def specs(settings: Settings, lanes: Sequence[Lane], platforms: Sequence[Platform]) -> list[StageSpec]:
    """An App for each platform with tickets that an app is configured for; the process' own choice does not count."""
    found = []
    for platform in sorted(topics.TICKET_PLATFORMS):
        names = [name for name, app in settings.apps.items() if platform in app.platforms()]
        if names:
            found.append(_spec(settings, platform, names))
    return found


def _spec(settings: Settings, platform: Platform, names: Sequence[str]) -> StageSpec:
    def made(host: Host, tables: Sequence[Table]) -> PollStage:
        from pushcast.providers import registry
        from pushcast.providers.expo.receipts import ReceiptSource

        asked: dict[str, ReceiptSource] = {}
        for name in names:
            provider = registry.build(name, platform, settings)
            if not isinstance(provider, ReceiptSource):
                raise ConfigurationError(f"apps.{name}.{platform}: its engine cannot ask for receipts")
            asked[name] = provider
            host.resources.append(provider)
        figures = PollCounters()
        host.metrics.add_source(lambda: samples_of(figures))
        return build(settings, platform, asked, host.outbox, figures=figures)

    return StageSpec(
        role=ROLE,
        group=groups.poll(platform),
        subscriptions=(Subscription((topics.ticket(platform),), bounds(settings)),),
        build=made,
        waits_seconds=settings.tickets.ask_after_seconds,
        fetch={"max_partition_fetch_bytes": FETCH_BYTES},
    )
