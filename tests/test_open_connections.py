"""How often the sign-in of an open connection is read: once when it opens, and when it may have ended."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from starlette.requests import HTTPConnection

from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth import authenticator
from tertulia.server.auth.authenticator import EVERYBODY, Authenticated, Authenticator
from tertulia.server.auth.providers import Credentials, Identity, Unauthenticated

ADA, BOB = UUID(int=1), UUID(int=2)
VIEWER = StoredViewer("ada", "Ada", user_id=ADA, user_name="ada")


class CountedIdentities:
    """An identity provider whose only user is signed in until a test changes that."""

    def __init__(self) -> None:
        self.reads = 0
        self.is_signed_in = True

    async def of(self, credentials: Credentials) -> Identity:
        self.reads += 1
        if not self.is_signed_in:
            raise Unauthenticated
        return Identity(VIEWER)


class Opened(Authenticator):
    """An authenticator whose contexts are empty."""

    def _context(self, connection: Any, viewer: StoredViewer) -> Any:
        return SimpleNamespace(set_viewer=str)


async def opened(identities: CountedIdentities) -> tuple[Opened, Authenticated]:
    authenticates = Opened(identities, cast("Any", None))
    return authenticates, await authenticates.admit(HTTPConnection({"type": "websocket", "headers": []}))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.anyio
async def test_the_sign_in_of_a_new_connection_is_read_once() -> None:
    identities = CountedIdentities()
    authenticates, admitted = await opened(identities)
    waiting = asyncio.create_task(admitted.lapsed())
    await settle()
    assert identities.reads == 1
    for signed_out, reads in ((BOB, 1), (ADA, 2), (EVERYBODY, 3)):
        authenticates.signed_out(signed_out)
        await settle()
        assert identities.reads == reads
    identities.is_signed_in = False
    authenticates.signed_out(ADA)
    await asyncio.wait_for(waiting, 5)


@pytest.mark.anyio
async def test_a_sign_out_while_the_connection_opens_is_not_missed() -> None:
    identities = CountedIdentities()
    authenticates, admitted = await opened(identities)
    identities.is_signed_in = False
    authenticates.signed_out(ADA)
    await asyncio.wait_for(admitted.lapsed(), 5)


@pytest.mark.anyio
async def test_a_sign_in_is_read_again_after_a_while_in_case_a_signal_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "RECHECK_SECONDS", 0.01)
    identities = CountedIdentities()
    _, admitted = await opened(identities)
    identities.is_signed_in = False
    await asyncio.wait_for(admitted.lapsed(), 5)
    assert identities.reads == 2
