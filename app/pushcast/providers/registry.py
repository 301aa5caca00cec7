"""From settings to providers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from pushcast.config.providers import Apns, Expo, Fcm, Webpush
from pushcast.config.settings import Settings
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Platform
from pushcast.providers.apns.channels import Channels, Host
from pushcast.providers.apns.client import ApnsProvider
from pushcast.providers.apns.credentials import ClientCertificate, ProviderToken
from pushcast.providers.credential import Credential
from pushcast.providers.engines.engine import Engine
from pushcast.providers.engines.multicast import MulticastEngine
from pushcast.providers.expo.client import ExpoProvider
from pushcast.providers.expo.credentials import AccessToken as ExpoAccessToken
from pushcast.providers.fcm.client import FcmProvider
from pushcast.providers.fcm.credentials import AccessToken
from pushcast.providers.http2.dial import Endpoint, Resolver
from pushcast.providers.http2.options import ConnectionOptions, PoolOptions
from pushcast.providers.http2.pool import Pool
from pushcast.providers.http2.tls import client_context
from pushcast.providers.pacing import Pace
from pushcast.providers.port import Provider
from pushcast.providers.suspicion import Limits, Suspicion
from pushcast.providers.webpush.client import WebpushProvider
from pushcast.providers.webpush.credentials import Vapid
from pushcast.providers.webpush.endpoints import EndpointPolicy, Origin

# FCM ends a connection after an hour of use (observed): ours is replaced before that.
FCM_MAX_AGE_SECONDS: Final = 3_300.0
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


class Address(NamedTuple):
    host: str
    port: int

    @property
    def authority(self) -> bytes:
        """As it stands in `:authority`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 443 else f"{host}:{self.port}").encode()


def address_of(url: str) -> Address:
    """Host and port of an https URL without a path. Raises ConfigurationError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"endpoint {url!r} is not a URL") from error
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise ConfigurationError(f"endpoint {url!r} is not https://host or https://host:port")
    return Address(parts.hostname, port or 443)


def _tls(ca_file: Path | None, certificate_file: Path | None = None) -> ssl.SSLContext:
    try:
        # An empty password: an encrypted key is refused instead of asked for on the terminal.
        return client_context(ca_file=ca_file, certificate_file=certificate_file, key_password="")
    except (OSError, ssl.SSLError) as error:
        files = " or ".join(
            f"{name} {path}" for name, path in (("ca_file", ca_file), ("certificate_file", certificate_file)) if path
        )
        raise ConfigurationError(f"{files or 'system certificates'}: no usable PEM ({error})") from error


def _multicast(
    address: Address,
    tls: ssl.SSLContext,
    connection: ConnectionOptions,
    max_connections: int,
    max_in_flight: int,
    alpn_required: bool,
) -> Engine:
    endpoint = Endpoint(host=address.host, port=address.port, tls=tls, alpn_required=alpn_required)
    options = PoolOptions(
        connection=connection,
        max_connections=max_connections,
        max_in_flight=max_in_flight,
        max_waiting=min(max_in_flight, MAX_WAITING),
    )
    return MulticastEngine(lambda: Pool(endpoint, options))


def build_channels(app_name: str, settings: Settings, clock: Clock | None = None) -> Channels:
    """The APNs broadcast channels of an app. Raises ConfigurationError as `build`."""
    app = settings.apps.get(app_name)
    chosen = None if app is None else app.apns
    if chosen is None:
        raise ConfigurationError(f"apps.{app_name}.apns: not configured")
    clock = clock or SystemClock()
    try:
        tls = _tls(chosen.ca_file, chosen.certificate_file)
        credential = _apns_credential(chosen, tls, clock)
        hosts = [_host(address_of(url), tls) for url in (chosen.channels_url, chosen.broadcast_url)]
    except ConfigurationError as error:
        raise ConfigurationError(f"apps.{app_name}.apns: {error}") from error
    timeout_seconds = chosen.request_timeout_seconds or settings.send.request_timeout_seconds
    return Channels(chosen.topic, hosts[0], hosts[1], credential, timeout_seconds, clock)


def _host(address: Address, tls: ssl.SSLContext) -> Host:
    endpoint = Endpoint(host=address.host, port=address.port, tls=tls, alpn_required=False)
    options = PoolOptions(connection=ConnectionOptions(serial_until_answered=True), max_connections=1)
    return Host(lambda: Pool(endpoint, options), address.authority)


def _apns_credential(chosen: Apns, tls: ssl.SSLContext, clock: Clock) -> Credential:
    if chosen.key_file is not None and chosen.key_id is not None and chosen.team_id is not None:
        return ProviderToken(chosen.key_file, chosen.key_id, chosen.team_id, clock)
    if chosen.certificate_file is not None:
        return ClientCertificate(chosen.certificate_file, tls, clock)
    raise ConfigurationError("set key_file, key_id and team_id, or certificate_file")


def _apns(app_name: str, chosen: Apns, settings: Settings, clock: Clock) -> Provider:
    address = address_of(chosen.url)
    tls = _tls(chosen.ca_file, chosen.certificate_file)
    credential = _apns_credential(chosen, tls, clock)
    with_token = isinstance(credential, ProviderToken)
    engine: Engine
    if chosen.engine == "aioapns":
        from pushcast.providers.apns.aioapns_engine import AioapnsEngine

        engine = AioapnsEngine(address.host, address.port, tls, chosen.max_connections, with_token=with_token)
    elif chosen.engine == "httpx":
        from pushcast.providers.engines.httpx_engine import HttpxEngine

        engine = HttpxEngine(chosen.url, tls)
    else:
        connection = ConnectionOptions(serial_until_answered=with_token)
        engine = _multicast(
            address, tls, connection, chosen.max_connections, settings.send.max_in_flight, alpn_required=False
        )
    return ApnsProvider(
        app_name,
        chosen.engine,
        engine,
        credential,
        chosen.request_timeout_seconds or settings.send.request_timeout_seconds,
        clock,
        topic=chosen.topic,
        authority=address.authority,
        suspicion=_suspicion(chosen),
    )


def _fcm(app_name: str, chosen: Fcm, settings: Settings, clock: Clock) -> Provider:
    address = address_of(chosen.endpoint)
    tls = _tls(chosen.ca_file)
    credential = AccessToken(chosen.service_account_file, chosen.token_endpoint, _tls(chosen.ca_file), clock)
    engine: Engine
    if chosen.engine == "httpx":
        from pushcast.providers.engines.httpx_engine import HttpxEngine

        engine = HttpxEngine(chosen.endpoint, tls)
    else:
        connection = ConnectionOptions(max_streams=100, idle_ping_seconds=None, max_age_seconds=FCM_MAX_AGE_SECONDS)
        engine = _multicast(
            address, tls, connection, chosen.max_connections, settings.send.max_in_flight, alpn_required=True
        )
    return FcmProvider(
        app_name,
        chosen.engine,
        engine,
        credential,
        chosen.request_timeout_seconds or settings.send.request_timeout_seconds,
        clock,
        project_id=chosen.project_id,
        authority=address.authority,
        suspicion=_suspicion(chosen),
        pace=_pace(chosen, clock),
    )


def _expo(app_name: str, chosen: Expo, settings: Settings, clock: Clock) -> Provider:
    address_of(chosen.endpoint)
    return ExpoProvider(
        app_name,
        chosen.engine,
        chosen.endpoint,
        _tls(chosen.ca_file),
        ExpoAccessToken(chosen.access_token_file, clock),
        chosen.request_timeout_seconds or settings.send.request_timeout_seconds,
        clock,
    )


def _suspicion(chosen: Apns | Fcm) -> Suspicion:
    return Suspicion(Limits(chosen.suspicion_answers, chosen.suspicion_share, chosen.suspicion_window_seconds))


def _pace(chosen: Fcm, clock: Clock) -> Pace | None:
    per_minute = chosen.pushes_per_minute
    if per_minute is None:
        return None
    return Pace(per_minute, ramp_seconds=chosen.ramp_up_seconds, now_seconds=clock.monotonic_seconds())


def _webpush(app_name: str, chosen: Webpush, settings: Settings, clock: Clock) -> Provider:
    tls = _tls(chosen.ca_file)
    in_flight = settings.send.max_in_flight
    options = PoolOptions(
        connection=ConnectionOptions(max_streams=100, idle_ping_seconds=None),
        max_connections=chosen.max_connections,
        max_in_flight=in_flight,
        max_waiting=in_flight,
        connect_timeout_seconds=WEBPUSH_CONNECT_TIMEOUT_SECONDS,
    )

    def make_engine(origin: Origin, resolver: Resolver) -> Engine:
        endpoint = Endpoint(host=origin.host, port=origin.port, tls=tls, resolver=resolver)
        return MulticastEngine(lambda: Pool(endpoint, options))

    return WebpushProvider(
        app_name,
        chosen.engine,
        Vapid(chosen.vapid_key_file, chosen.subject, clock),
        EndpointPolicy(chosen.allowed_hosts, allow_loopback=chosen.allow_loopback),
        make_engine,
        chosen.request_timeout_seconds or settings.send.request_timeout_seconds,
        clock,
    )


_MAKERS: Final[dict[Platform, Callable[..., Provider]]] = {
    Platform.APNS: _apns,
    Platform.FCM: _fcm,
    Platform.EXPO: _expo,
    Platform.WEBPUSH: _webpush,
}
