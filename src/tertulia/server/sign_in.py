"""Open the sign-in of a server: the identity provider, the accounts with passwords, and those of a provider."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.generation.finalizer import CHANGED
from tertulia.generation.retention import ResourceDeleter
from tertulia.resolvers.context import Services
from tertulia.resolvers.credentials import SIGNED_OUT
from tertulia.server.auth.authenticator import Authenticator
from tertulia.server.auth.jwt import Tokens
from tertulia.server.auth.providers import IdentityProvider, PasswordAuth, SingleUserAuth, viewer_of
from tertulia.server.running_server import RunningServer
from tertulia.server.secret_keys import signing_keys
from tertulia.server.settings import Settings
from tertulia.server.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tertulia.server.auth.provider_routes import ProviderAccounts
    from tertulia.server.auth.sessions import SignIns

LOCAL_USER = "local"
IdentitiesOf = Callable[[Database], IdentityProvider]


async def open_sign_in(
    services: Services,
    metrics: Metrics,
    settings: Settings,
    stack: AsyncExitStack,
    identities_of: IdentitiesOf | None,
) -> RunningServer:
    """Open the identity provider and the accounts, and return the server with them.

    Args:
        services: The services of the server.
        metrics: The metrics to update.
        settings: The settings of the server.
        stack: Closes what was opened.
        identities_of: Returns the identity provider; None for that of `TERTULIA_AUTH`.
    """
    identities = identities_of(services.database) if identities_of else await _identities(settings, services.database)
    authenticator = Authenticator(identities, services)
    services.signals.on(CHANGED, services.notifier.notify)
    services.signals.on(SIGNED_OUT, authenticator.signed_out)
    sign_ins = None if identities_of else _sign_ins(services, authenticator, settings, stack)
    provider_accounts = _provider_accounts(services, identities, authenticator, settings)
    return RunningServer(services, authenticator, metrics, sign_ins, provider_accounts)


def _sign_ins(
    services: Services, authenticator: Authenticator, settings: Settings, stack: AsyncExitStack
) -> "SignIns | None":
    if settings.auth != "password":
        return None
    from tertulia.server.auth.guests import Guests
    from tertulia.server.auth.sessions import SignIns
    from tertulia.server.auth.throttle import LocalFailures, RedisFailures, SignInThrottle

    deleter = _deleter(services)
    tokens, open_to_all = Tokens(*signing_keys(settings)), settings.registration == "open"
    throttle = SignInThrottle(LocalFailures() if settings.redis_url is None else RedisFailures(settings.redis_url))
    stack.push_async_callback(throttle.close)
    return SignIns(
        services.database,
        tokens,
        services.limits.rates,
        throttle,
        authenticator,
        deleter.remove_user,
        Guests(services.database, tokens, services.generation_manager.stop),
        open_to_all=open_to_all,
    )


def _provider_accounts(
    services: Services, identities: IdentityProvider, authenticator: Authenticator, settings: Settings
) -> "ProviderAccounts | None":
    if settings.auth != "oidc":
        return None
    from tertulia.server.auth.backchannel import BackchannelLogout
    from tertulia.server.auth.oidc import OidcAuth
    from tertulia.server.auth.provider_grants import ProviderClient, ProviderGrants
    from tertulia.server.auth.provider_routes import ProviderAccounts

    if not isinstance(identities, OidcAuth):
        return None
    grants, logout = None, None
    if settings.oidc_client_id is not None:
        secret = settings.oidc_client_secret
        client = ProviderClient(
            settings.oidc_client_id, secret.get_secret_value() if secret else None, settings.oidc_scopes
        )
        grants = ProviderGrants(identities, client)
        logout = BackchannelLogout(services.database, identities, client.id)
    return ProviderAccounts(grants, logout, services.limits.rates, authenticator, _deleter(services).remove_user)


def _deleter(services: Services) -> ResourceDeleter:
    return ResourceDeleter(services.database, services.log, services.files, services.generation_manager.stop)


async def _identities(settings: Settings, database: Database) -> IdentityProvider:
    if settings.auth == "password":
        return PasswordAuth(database, Tokens(*signing_keys(settings)))
    if settings.auth == "oidc":
        from tertulia.server.auth.oidc import OidcAuth
        from tertulia.server.auth.roles import TokenRoles
        from tertulia.server.auth.token_uses import TokenUses

        issuer, audience = settings.oidc_issuer or "", settings.oidc_audience or ""
        roles = TokenRoles(settings.oidc_roles_claim, settings.oidc_operator_role)
        uses = TokenUses(database, settings.usage_group_claim)
        days = settings.personal_token_sign_in_days
        return OidcAuth(database, uses, issuer=issuer, audience=audience, roles=roles, personal_token_days=days)
    async with database.write() as session:
        user = await accounts.get_or_create(session, LOCAL_USER)
    return SingleUserAuth(viewer_of(user), database if settings.plans else None)
