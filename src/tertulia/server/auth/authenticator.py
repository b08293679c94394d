"""The door: from a header to a context, and for what lasts long, until when that holds."""

import asyncio
import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from asgi_correlation_id import correlation_id
from graphql import GraphQLError
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from strawberry.fastapi import BaseContext

from tertulia.db.errors import DATABASE_ERRORS
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.context import Context, Services, StoredViewer
from tertulia.schema.failures import internal_error, storage_error
from tertulia.server.auth.providers import Credentials, Identities, Identity, Unauthenticated, Unavailable
from tertulia.server.http.middleware import ALWAYS, REQUEST_ID, note_viewer
from tertulia.storage import CODE, MESSAGE, is_storage_full
from tertulia.streams.notifier import Bells

logger = logging.getLogger("tertulia.admission")

LOOK_AGAIN = 60.0
"""Seconds after which a socket is looked at, should the bell of a revocation have been lost."""
COME_BACK = {"Retry-After": "5"}
SIGNED_OUT = "signed_out"
"""The signal that something of a user's was revoked, or of everybody's."""
EVERYBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who was let in, and by what."""

    context: Context
    identity: Identity
    credentials: Credentials
    door: "Door"

    async def lapsed(self) -> None:
        """Wait until what they were let in by expires or is revoked."""
        await self.door.lapsed(self)


class Door:
    """Lets people in, and says when to show them out."""

    def __init__(self, identities: Identities, services: Services) -> None:
        """Take what tells who a connection is from, and the parts of the server."""
        self._identities = identities
        self._services = services
        self.bells = Bells()

    async def admit(self, connection: HTTPConnection, authorization: str | None = None) -> Admitted:
        """Let somebody in, by a header of that connection's or by what it said later; raise Unauthenticated."""
        credentials = Credentials(connection, authorization or connection.headers.get("authorization"))
        identity = await self._identities.of(credentials)
        address = connection.client.host if connection.client else None
        context = Context(self._services, identity.viewer, address, connection.scope.get("root_path", ""))
        return Admitted(context, identity, credentials, self)

    async def request(self, connection: HTTPConnection) -> Admitted:
        """Let a request of REST's in; raise Unauthenticated, RateLimited."""
        admitted = await self.admit(connection)
        limits, viewer = admitted.context.services.limits, admitted.context.viewer
        note_viewer(connection.scope, limits, viewer.user_id)
        await limits.check_request(viewer.user_id)
        return admitted

    async def lapsed(self, admitted: Admitted) -> None:
        """Wait until what somebody was let in by expires or is revoked."""
        if not admitted.identity.revocable:
            await asyncio.Event().wait()
        while True:
            bell = self.bells.listen(admitted.identity.viewer.user_id)
            try:
                if not await self._holds(admitted):
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(bell), _patience(admitted.identity))
            finally:
                self.bells.leave(admitted.identity.viewer.user_id, bell)

    async def _holds(self, admitted: Admitted) -> bool:
        if admitted.identity.expires_at is not None and admitted.identity.expires_at <= datetime.now(UTC):
            return False
        try:
            await self._identities.of(admitted.credentials)
        except Unauthenticated:
            return False
        except (*DATABASE_ERRORS, Unavailable) as error:
            # It held before; what has expired ends all the same.
            logger.warning("Whether a sign-in holds cannot be seen: %s", error)
        return True

    def signed_out(self, user_id: UUID) -> None:
        """Look again at what is open of a user's, or of everybody's."""
        if user_id == EVERYBODY:
            self.bells.ring_all()
        else:
            self.bells.ring(user_id)

    def ring(self, viewer: StoredViewer) -> None:
        """Look again at what is open of somebody's, in every process."""
        self._services.signals.send(SIGNED_OUT, viewer.user_id)


async def refuse_unknown(_request: Request, error: Exception) -> Response:
    """Answer a request of nobody's (RFC 6750, section 3)."""
    if not isinstance(error, Unauthenticated):
        raise error
    shown = {"source": "tertulia", "code": "UNAUTHENTICATED", "message": error.message}
    return JSONResponse({"error": shown}, 401, challenge(error))


async def refuse_for_now(_request: Request, error: Exception) -> Response:
    """Answer a request whose sender cannot be told for now."""
    shown = {"source": "tertulia", "code": "UNAVAILABLE", "message": str(error)}
    return JSONResponse({"error": shown}, 503, COME_BACK)


async def refuse_full(_request: Request, error: Exception) -> Response:
    """Answer a request that stores something while the disk is full; all other errors go on to `refuse_fault`."""
    if not is_storage_full(error):
        raise error
    storage_error(GraphQLError(""), error)
    return JSONResponse({"error": {"source": "tertulia", "code": CODE, "message": MESSAGE}}, 507)


async def refuse_fault(_request: Request, error: Exception) -> Response:
    """Answer what is our fault: a trace id, and no detail."""
    shown = internal_error(error)
    told = {"source": "tertulia", "code": "INTERNAL_SERVER_ERROR", "message": shown.message}
    # This is answered outside of all middleware, and uvicorn closes the connection then.
    headers = ALWAYS | {REQUEST_ID: correlation_id.get() or "", "Connection": "close"}
    return JSONResponse({"error": {**told, "trace_id": (shown.extensions or {}).get("traceId")}}, 500, headers)


async def dismiss(_request: Request, _error: Exception) -> Response:
    """Answer who left in the middle of a request: that is no fault of ours, and nobody reads it."""
    return Response(status_code=400)


async def refuse_too_many(_request: Request, error: Exception) -> Response:
    """Answer a request over a limit (RFC 6585, section 4)."""
    if not isinstance(error, RateLimited):
        raise error
    shown = {"source": "tertulia", "code": "RATE_LIMITED", "message": error.message}
    return JSONResponse({"error": shown}, 429, retry_after(error))


def retry_after(error: RateLimited) -> dict[str, str]:
    """Give the header that says when to come back, in whole seconds."""
    return {"Retry-After": str(math.ceil(error.retry_after_seconds))}


def challenge(error: Unauthenticated) -> dict[str, str]:
    """Give the header that says how to come in."""
    told = ', error="invalid_token"' if error.given else ""
    return {"WWW-Authenticate": f'Bearer realm="tertulia"{told}'}


class AtTheDoor(BaseContext):
    """The context of a connection before anybody is known."""

    def __init__(self, door: Door) -> None:
        """Take the door."""
        super().__init__()
        self.door = door


def _patience(identity: Identity) -> float:
    if identity.expires_at is None:
        return LOOK_AGAIN
    left = (identity.expires_at - datetime.now(UTC)).total_seconds()
    return min(LOOK_AGAIN, max(left, 0) + 0.01)
