"""A server that has started: authenticates requests, reports its health, and drains."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from tertulia.resolvers.context import Context, Services
from tertulia.server.auth.authenticator import Authenticated, Authenticator
from tertulia.server.http.middleware import note_viewer
from tertulia.server.telemetry.metrics import Metrics
from tertulia.streams.memory import MemoryLog

if TYPE_CHECKING:
    from tertulia.server.auth.provider_routes import ProviderAccounts
    from tertulia.server.auth.sessions import SignIns

CHECK_SECONDS = 5.0
"""Seconds within which a part must respond; otherwise it counts as failing."""
FINAL_EVENTS_SECONDS = 2.0
"""Seconds for clients to receive the event that their answer was interrupted."""


@dataclass(slots=True)
class RunningServer:
    """A server that has started.

    Attributes:
        services: The services that resolvers use.
        authenticator: Authenticates connections.
        metrics: The metrics of the process.
        sign_ins: Accounts with passwords; None in other modes than `password`.
        provider_accounts: Accounts of an identity provider; None in other modes than `oidc`.
        leaving: Whether the server is stopping.
    """

    services: Services
    authenticator: Authenticator
    metrics: Metrics
    sign_ins: "SignIns | None"
    provider_accounts: "ProviderAccounts | None"
    leaving: bool = False

    async def admit(self, request: Request) -> Authenticated:
        """Authenticate a request outside of GraphQL, and count it towards the viewer's limits.

        Raises:
            Unauthenticated: There is no valid token.
            Unavailable: The token cannot be checked at the moment.
            RateLimited: The viewer has made too many requests.
        """
        admitted = await self.authenticator.admit(request)
        limits, viewer = admitted.context.limits, admitted.context.viewer
        note_viewer(request.scope, limits, viewer.user_id)
        await limits.check_request(viewer.user_id)
        return admitted

    async def context(self, request: Request) -> Context:
        """Return the context of a request. Raises what `admit` raises."""
        return (await self.admit(request)).context

    async def check(self) -> dict[str, bool]:
        """Return for each part of the server whether it works. `storage` and `draining` are listed only if not."""
        statuses = {"database": await _responds(self.services.database.check())}
        log = self.services.log
        if not isinstance(log, MemoryLog):
            from tertulia.streams.redis.log import RedisLog

            if isinstance(log, RedisLog):
                statuses["redis"] = await _responds(log.check())
        storage = await _responds(self._check_storage())
        self.metrics.ready(statuses | {"storage": storage})
        if not storage:
            statuses["storage"] = False
        if self.leaving or self.services.generation_manager.draining:
            statuses["draining"] = False
        return statuses

    async def probe(self) -> None:
        """Update the metrics of parts and of the server's budget, even if nobody requests `/readyz`."""
        await self.check()
        server = self.services.budget.server
        if server.is_limited:
            async with self.services.database.read() as session:
                self.metrics.spent(await server.periods(session))

    async def drain(self, delay: float, grace: float) -> None:
        """Continue to serve while proxies notice, then refuse new messages, let answers finish, and end the streams.

        Args:
            delay: Seconds for which the server continues to serve while it reports that it is not ready.
            grace: Seconds for answers to finish. The remaining ones are interrupted.
        """
        self.leaving = True
        await asyncio.sleep(delay)
        await self.services.generation_manager.drain(grace)
        await self.services.generation_manager.close()
        await self.services.subscriptions.wait_until_ended(FINAL_EVENTS_SECONDS)
        self.services.closing.set()

    async def _check_storage(self) -> None:
        await self.services.database.check_storage()
        await self.services.files.blobs.check_storage()
        if isinstance(self.services.log, MemoryLog):
            await self.services.log.check_storage()


async def _responds(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except Exception:  # noqa: BLE001 - an error of any kind means that the part does not work
        return False
    return True
