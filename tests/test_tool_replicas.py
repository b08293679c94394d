"""Connections to MCP servers with OAuth on several replicas, and through restarts."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest
from client import Json
from oauth_servers import OAuthServers, oauth_servers
from people import register, signed
from test_tool_connections import DISCONNECT, call, callback, confirm, connect, consent, server, serving


@pytest.fixture(scope="module")
def oauth() -> Generator[OAuthServers]:
    with oauth_servers() as servers:
        yield servers


@pytest.mark.joined
def test_each_step_can_reach_another_replica(tmp_path: Path, place: Json, oauth: OAuthServers) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0], oauth, **place) as one, serving(folders[1], oauth, **place) as two:
        tokens = register(one, "ada")
        with signed(one, tokens) as here, signed(two, tokens) as there:
            oauth.provider.person, oauth.provider.lifetime = "ada@notes", 0
            location = callback(two, consent(one, server(here)["authorizeUrl"]))
            assert confirm(here, location)["__typename"] == "ToolServerPayload"
            oauth.provider.lifetime = 3600
            before = oauth.provider.refreshes["ada@notes"]

            async def both() -> list[Json]:
                return list(await asyncio.gather(*(asyncio.to_thread(call, api) for api in (here, there))))

            # Both find an expired token at the same time, and the refresh token works once.
            assert [result["output"] for result in asyncio.run(both())] == ["You are ada@notes."] * 2
            assert oauth.provider.refreshes["ada@notes"] == before + 1
            here.ask(DISCONNECT, name="notes")
            assert not server(there)["connected"]
            connect(there, two, oauth, "other@notes")
            assert [call(api)["output"] for api in (here, there)] == ["You are other@notes."] * 2


@pytest.mark.both
def test_authorizations_and_connections_survive_restarts(tmp_path: Path, place: Json, oauth: OAuthServers) -> None:
    oauth.provider.person = "ada@notes"
    with serving(tmp_path, oauth, **place) as address:
        tokens = register(address, "ada")
        with signed(address, tokens) as api:
            path = server(api)["authorizeUrl"]
            back = consent(address, path)
    with serving(tmp_path, oauth, **place) as address:
        location = callback(address, back)
    with serving(tmp_path, oauth, **place) as address, signed(address, tokens) as api:
        confirm(api, location)
    with serving(tmp_path, oauth, **place) as address, signed(address, tokens) as api:
        assert server(api)["tools"] == ["notes__admin", "notes__whoami"]
        assert call(api)["output"] == "You are ada@notes."


def test_an_encryption_key_can_be_rotated(tmp_path: Path, oauth: OAuthServers) -> None:
    oauth.provider.lifetime = 3600
    first, second = "the first key of the tests" * 2, "the second key of the tests" * 2
    with serving(tmp_path, oauth, encryption_key=first) as address:
        tokens = register(address, "ada")
        with signed(address, tokens) as api:
            connect(api, address, oauth, "ada@notes")
    with serving(tmp_path, oauth, encryption_key=f"{second}, {first}") as address, signed(address, tokens) as api:
        assert server(api)["connected"]
        # Refreshed tokens are encrypted with the new key.
        oauth.provider.expire("ada@notes")
        assert call(api)["output"] == "You are ada@notes."
    with serving(tmp_path, oauth, encryption_key=second) as address, signed(address, tokens) as api:
        assert call(api)["output"] == "You are ada@notes."
    with serving(tmp_path, oauth, encryption_key=first) as address, signed(address, tokens) as api:
        assert server(api)["problem"] == "Your connection to it has ended. Connect again."
        assert call(api)["isError"]
