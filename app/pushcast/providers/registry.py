"""From settings to providers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from pushcast.config.providers import Apns, Expo, Fcm, ProviderSettings, Webpush
from pushcast.config.settings import Settings
from pushcast.http2.dial import Endpoint, Resolver
from pushcast.http2.limit import AdaptiveLimit, FixedLimit, MakeLimit
from pushcast.http2.options import ConnectionOptions, PoolOptions
from pushcast.http2.pool import Pool
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.providers.apns.channels import ChannelHost, Channels
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.apns.credentials import ClientCertificate, ProviderToken
from pushcast.providers.client import Setup
from pushcast.providers.credential import Credential
from pushcast.providers.engines.engine import Engine
from pushcast.providers.engines.multicast import MulticastEngine
from pushcast.providers.expo.api import ExpoApi
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.expo.credentials import AccessToken as ExpoAccessToken
from pushcast.providers.expo.pacer import Pacer, Unpaced
from pushcast.providers.fcm.client import FcmProvider
from pushcast.providers.fcm.credentials import AccessToken
from pushcast.providers.fcm.subscriptions import CHANGES_PER_MINUTE, TopicSubscriptions
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Provider
from pushcast.providers.reach import Reach, address_of, proxy_of, reach, tls_of
from pushcast.providers.suspicion import Suspicion, SuspicionLimits
from pushcast.providers.webpush.client import OnFault, WebpushProvider
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.encryptor import Encryptor
from pushcast.providers.webpush.endpoints import EndpointPolicy, Origin

# FCM ends a connection after an hour of use (observed): ours is replaced before that.
FCM_MAX_AGE_SECONDS: Final = 3_300.0
FCM_CONNECTION: Final = ConnectionOptions(max_streams=100, idle_ping_seconds=None, max_age_seconds=FCM_MAX_AGE_SECONDS)
# What waits for a stream waits within its deadline: two of PLAN's largest batches keep any connection busy.
MAX_WAITING: Final = 2_000
# Clients choose the hosts: one that does not answer must not hold a place for long.
WEBPUSH_CONNECT_TIMEOUT_SECONDS: Final = 5.0


def build(app_name: str, platform: Platform | str, settings: Settings, clock: Clock | None = None) -> Provider:
    """The provider of one (app, platform), with its own credential and connections. Needs no running loop.

    Reads the credential's files. Raises ConfigurationError naming the setting: no such app or platform, a file that
    cannot be read, an address that is none.
    """
    platform = Platform(platform)
    app = settings.apps.get(app_name)
    chosen = None if app is None else getattr(app, platform)
    if chosen is None:
        raise ConfigurationError(f"apps.{app_name}.{platform}: not configured")
    maker = _MAKERS.get(platform)
    if maker is None:
        raise ConfigurationError(f"apps.{app_name}.{platform}: this platform has no engine yet")
    try:
        return maker(app_name, chosen, settings, clock or SystemClock())
    except ConfigurationError as error:
        raise ConfigurationError(f"apps.{app_name}.{platform}: {error}") from error


def build_channels(app_name: str, settings: Settings, clock: Clock | None = None) -> Channels:
    """The APNs broadcast channels of an app. Raises ConfigurationError as `build`."""
    app = settings.apps.get(app_name)
    chosen = None if app is None else app.apns
    if chosen is None:
        raise ConfigurationError(f"apps.{app_name}.apns: not configured")
    clock = clock or SystemClock()
    try:
        management = reach(chosen, chosen.channels_url, chosen.certificate_file)
        credential = _apns_credential(chosen, management.tls, clock)
        publishing = management._replace(url=chosen.broadcast_url, address=address_of(chosen.broadcast_url))
    except ConfigurationError as error:
        raise ConfigurationError(f"apps.{app_name}.apns: {error}") from error
    timeout_seconds = _timeout_seconds(chosen, settings)
    return Channels(chosen.topic, _host(management), _host(publishing), credential, timeout_seconds, clock)


def build_subscriptions(app_name: str, settings: Settings, clock: Clock | None = None) -> TopicSubscriptions:
    """The topics of an app's Firebase project. Raises ConfigurationError as `build`."""
    app = settings.apps.get(app_name)
    chosen = None if app is None else app.fcm
    if chosen is None:
        raise ConfigurationError(f"apps.{app_name}.fcm: not configured")
    clock = clock or SystemClock()
    try:
        place, credential = _fcm_place(chosen, clock)
    except ConfigurationError as error:
        raise ConfigurationError(f"apps.{app_name}.fcm: {error}") from error
    endpoint = place.endpoint(alpn_required=True)
    options = PoolOptions(connection=FCM_CONNECTION, max_connections=1)
    return TopicSubscriptions(
        MulticastEngine(lambda: Pool(endpoint, options)),
        credential,
        project_id=chosen.project_id,
        authority=place.address.authority,
        timeout_seconds=_timeout_seconds(chosen, settings),
        clock=clock,
        pace=Pace(CHANGES_PER_MINUTE, ramp_seconds=0.0, now_seconds=clock.monotonic_seconds()),
    )


def _host(place: Reach) -> ChannelHost:
    options = PoolOptions(connection=ConnectionOptions(serial_until_answered=True), max_connections=1)
    endpoint = place.endpoint(alpn_required=False)
    return ChannelHost(lambda: Pool(endpoint, options), place.address.authority)


def _apns_credential(chosen: Apns, tls: ssl.SSLContext, clock: Clock) -> Credential:
    if chosen.key_file is not None and chosen.key_id is not None and chosen.team_id is not None:
        return ProviderToken(chosen.key_file, chosen.key_id, chosen.team_id, clock)
    if chosen.certificate_file is not None:
        return ClientCertificate(chosen.certificate_file, tls, clock)
    raise ConfigurationError("set key_file, key_id and team_id, or certificate_file")


def _apns(app_name: str, chosen: Apns, settings: Settings, clock: Clock) -> Provider:
    place = reach(chosen, chosen.url, chosen.certificate_file)
    credential = _apns_credential(chosen, place.tls, clock)
    with_token = isinstance(credential, ProviderToken)
    if chosen.engine == "aioapns":
        from pushcast.providers.apns.aioapns_engine import AioapnsEngine

        address = place.address
        engine: Engine = AioapnsEngine(
            address.host, address.port, place.tls, chosen.max_connections, with_token=with_token
        )
    else:
        options = ConnectionOptions(serial_until_answered=with_token)
        engine = _engine(chosen, place, settings, options, alpn_required=False)
    setup = _setup(app_name, chosen, settings, engine, credential, clock)
    filters = chosen.removal == "alert_filtered"
    return ApnsProvider(
        setup,
        topic=chosen.topic,
        authority=place.address.authority,
        filters_removals=filters,
        publishes=chosen.engine != "aioapns" and chosen.broadcast_url == chosen.url,
    )


def _fcm_place(chosen: Fcm, clock: Clock) -> tuple[Reach, AccessToken]:
    place = reach(chosen, chosen.endpoint)
    credential = AccessToken(
        chosen.service_account_file, chosen.token_endpoint, tls_of(chosen.ca_file), clock, proxy=place.httpx_proxy
    )
    return place, credential


def _fcm(app_name: str, chosen: Fcm, settings: Settings, clock: Clock) -> Provider:
    place, credential = _fcm_place(chosen, clock)
    engine = _engine(chosen, place, settings, FCM_CONNECTION, alpn_required=True)
    setup = _setup(app_name, chosen, settings, engine, credential, clock, _pace(chosen, clock))
    return FcmProvider(setup, project_id=chosen.project_id, authority=place.address.authority)


def _engine(
    chosen: Apns | Fcm, place: Reach, settings: Settings, connection: ConnectionOptions, *, alpn_required: bool
) -> Engine:
    if chosen.engine == "httpx":
        from pushcast.providers.engines.httpx_engine import HttpxEngine

        return HttpxEngine(place.url, place.tls, place.httpx_proxy)
    options = PoolOptions(
        connection=connection,
        max_connections=chosen.max_connections,
        max_in_flight=settings.send.max_in_flight,
        max_waiting=min(settings.send.max_in_flight, MAX_WAITING),
        limit=_limit(chosen, settings),
    )
    endpoint = place.endpoint(alpn_required=alpn_required)
    return MulticastEngine(lambda: Pool(endpoint, options))


def _setup(
    app_name: str,
    chosen: Apns | Fcm,
    settings: Settings,
    engine: Engine,
    credential: Credential,
    clock: Clock,
    pace: Pace | None = None,
) -> Setup:
    limits = SuspicionLimits(chosen.suspicion_answers, chosen.suspicion_share, chosen.suspicion_window_seconds)
    timeout_seconds = _timeout_seconds(chosen, settings)
    return Setup(
        app_name,
        chosen.engine,
        engine,
        credential,
        timeout_seconds,
        clock,
        Suspicion(limits),
        pace,
        settings.send.collapse_by,
    )


def _timeout_seconds(chosen: ProviderSettings, settings: Settings) -> float:
    return chosen.request_timeout_seconds or settings.send.request_timeout_seconds


def _limit(chosen: ProviderSettings, settings: Settings) -> MakeLimit:
    if settings.send.limit == "fixed":
        return FixedLimit
    return partial(AdaptiveLimit, timeout_seconds=_timeout_seconds(chosen, settings))


def _expo(app_name: str, chosen: Expo, settings: Settings, clock: Clock) -> Provider:
    place = reach(chosen, chosen.endpoint)
    return ExpoProvider(
        app_name,
        chosen.engine,
        ExpoApi(
            place.url,
            place.tls,
            ExpoAccessToken(chosen.access_token_file, clock),
            _timeout_seconds(chosen, settings),
            place.httpx_proxy,
        ),
        clock,
        pacer=_expo_pacer(chosen, clock.monotonic_seconds()),
        collapse_by=settings.send.collapse_by,
    )


def _expo_pacer(chosen: Expo, now_seconds: float) -> Pacer | Unpaced:
    per_second = chosen.pushes_per_second
    return Unpaced(now_seconds) if per_second is None else Pacer(now_seconds, per_second=per_second)


def _pace(chosen: Fcm, clock: Clock) -> Pace | None:
    per_minute = chosen.pushes_per_minute
    if per_minute is None:
        return None
    return Pace(per_minute, ramp_seconds=chosen.ramp_up_seconds, now_seconds=clock.monotonic_seconds())


def _webpush(app_name: str, chosen: Webpush, settings: Settings, clock: Clock) -> Provider:
    tls, proxy = tls_of(chosen.ca_file), proxy_of(chosen.proxy)
    in_flight = settings.send.max_in_flight
    options = PoolOptions(
        connection=ConnectionOptions(max_streams=100, idle_ping_seconds=None),
        max_connections=chosen.max_connections,
        max_in_flight=in_flight,
        max_waiting=in_flight,
        limit=_limit(chosen, settings),
        connect_timeout_seconds=WEBPUSH_CONNECT_TIMEOUT_SECONDS,
    )

    def make_engine(origin: Origin, resolver: Resolver, on_fault: OnFault) -> Engine:
        # Behind a proxy only listed hosts are reached, and it is the proxy's own name that is resolved here.
        checked = resolver if proxy is None else None
        endpoint = Endpoint(host=origin.host, port=origin.port, tls=tls, resolver=checked, proxy=proxy)
        # What a proxy fails at says nothing about the host behind it.
        return MulticastEngine(lambda: Pool(endpoint, options, on_end=on_fault if proxy is None else None))

    return WebpushProvider(
        app_name,
        chosen.engine,
        Vapid(chosen.vapid_key_file, chosen.subject, clock),
        EndpointPolicy(chosen.allowed_hosts, allow_loopback=chosen.allow_loopback, only_listed=proxy is not None),
        make_engine,
        _timeout_seconds(chosen, settings),
        clock,
        encryptor=Encryptor(chosen.encryption_processes),
        collapse_by=settings.send.collapse_by,
        replaces=chosen.removal == "replace",
    )


_MAKERS: Final[dict[Platform, Callable[..., Provider]]] = {
    Platform.APNS: _apns,
    Platform.FCM: _fcm,
    Platform.EXPO: _expo,
    Platform.WEBPUSH: _webpush,
}
