"""Keys and passwords are changed while replicas run, with the settings and commands of docs/rotation.md."""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from client import Json
from fences import fences
from oauth_servers import OAuthServers, oauth_servers
from people import SECRET, post, register, signed
from running import execute, settings
from servers import Servers
from test_command import run_here
from test_tool_connections import call, connect, server, serving

from tertulia.server.auth.jwt import ACCESS, REFRESH, BadToken, Tokens
from tertulia.server.secret_keys import encryption_keys, signing_keys
from tertulia.tools.mcp.oauth import reencryption
from tertulia.tools.mcp.oauth.encryption import Encryption
from tertulia.tools.mcp.oauth.grants import Client

PAGE = Path(__file__).parent.parent / "docs" / "rotation.md"
OLD, NEW = SECRET, "another key, with a comma, of the tests"
VIEWER = "{ viewer { name } }"


@pytest.fixture(scope="module")
def oauth() -> Generator[OAuthServers]:
    with oauth_servers() as servers:
        yield servers


def steps() -> list[Json]:
    """Return the settings of the steps that the page describes, and of the time before the first one."""
    blocks = [fence.text for fence in fences(PAGE) if fence.language == "ini"]
    lines = [dict(line.split("=") for line in block.splitlines()) for block in blocks]
    keys = {"OLD": OLD, "NEW": NEW}
    named = [{name.removeprefix("TERTULIA_").lower(): keys[key] for name, key in step.items()} for step in lines]
    return [{"secret_key": OLD}, *named]


def status(address: str, token: str) -> int:
    with signed(address, {"access_token": token}) as api:
        return api.post(VIEWER).status_code


@pytest.mark.joined
def test_replicas_of_two_neighboring_steps_accept_each_others_tokens(
    tmp_path: Path, place: Json, oauth: OAuthServers
) -> None:
    oauth.provider.lifetime = 3600
    with ExitStack() as stack:
        folders = [tmp_path / str(number) for number in range(4)]
        for folder in folders:
            folder.mkdir()
        addresses = [
            stack.enter_context(serving(folder, oauth, **place, **step))
            for folder, step in zip(folders, steps(), strict=True)
        ]
        before, accepts, signs, after = addresses
        tokens = [register(address, f"user{number}") for number, address in enumerate(addresses)]
        for number in range(3):
            pair = addresses[number : number + 2]
            # Users of step 2 sign in with the new key, which the last step accepts; those of step 1 have long refreshed.
            signed_in = tokens[number : number + 2] if number < 2 else tokens[2:]
            assert {status(address, one["access_token"]) for address in pair for one in signed_in} == {200}, number
        refresh = tokens[0]["refresh_token"]
        assert post(after, "refresh", refresh_token=refresh).status_code == 400
        refreshed = post(signs, "refresh", refresh_token=refresh).json()
        assert [status(address, refreshed["access_token"]) for address in (accepts, signs, after)] == [200] * 3
        assert status(after, tokens[0]["access_token"]) == 401
        with signed(before, tokens[0]) as api:
            connect(api, before, oauth, "ada@notes")
        again = [run(tmp_path, place, steps()[2]) for _ in range(2)]
        assert [done.stdout.split(" with")[0] for done in again] == [
            "Encrypted 2 of 2 stored values",
            "Encrypted 0 of 2 stored values",
        ]
        for address in (accepts, signs, after):
            with signed(address, refreshed) as api:
                assert server(api)["connected"]
        with signed(after, refreshed) as api:
            assert call(api)["output"] == "You are ada@notes."


def run(folder: Path, place: Json, step: Json) -> Any:
    """Run `tertulia reencrypt` with the settings of a step."""
    named = {name.upper(): str(value) for name, value in place.items()}
    named |= {f"TERTULIA_{name.upper()}": value for name, value in step.items()}
    return run_here(folder, "reencrypt", **named, TERTULIA_AUTH="password")


def test_reencrypt_leaves_and_reports_values_that_no_key_can_decrypt(
    tmp_path: Path, place: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reencryption, "BATCH", 2)
    run_here(tmp_path, "migrate", **{name.upper(): str(value) for name, value in place.items()})
    lost = _sealed(place, "lost", "k" * 32)
    for name in ("one", "two"):
        _sealed(place, name, OLD)
    done = run(tmp_path, place, {"secret_key": NEW, "secret_key_fallback": OLD})
    assert done.exit_code == 2
    assert "Encrypted 2 of 3 stored values" in done.stderr
    assert "No key can decrypt 1; add the key that encrypted them." in done.stderr
    stored = dict(map(tuple, execute(place, "SELECT server, secrets FROM tool_clients")))
    assert stored["lost"] == lost
    newest = Encryption([NEW])
    assert [newest.decrypt(stored[name], name, Client) for name in ("one", "two")] == [Client(id="1")] * 2


def _sealed(place: Json, name: str, key: str) -> str:
    """Store the registration of a client that is encrypted with a key. Return the encrypted value."""
    sealed = Encryption([key]).encrypt(Client(id="1"), name)
    columns = "INSERT INTO tool_clients (id, server, issuer, redirect_uri, secrets, created_at)"
    execute(place, f"{columns} VALUES ('{uuid4().hex}', '{name}', 'x', 'y', '{sealed}', '2026-01-01 00:00:00+00:00')")
    return sealed


def test_the_fallback_verifies_but_does_not_sign() -> None:
    old, both, new = Tokens(OLD), Tokens(NEW, OLD), Tokens(NEW)
    user, sign_in = uuid4(), uuid4()
    assert both.read(old.access(user, sign_in), ACCESS).user_id == user
    assert both.read(old.refresh(user, sign_in, 3), REFRESH).rotation == 3
    assert new.read(both.access(user, sign_in), ACCESS).user_id == user
    for token, kind, reader in (
        (both.access(user, sign_in), ACCESS, old),
        (old.refresh(user, sign_in, 0), ACCESS, both),
        (Tokens("t" * 32).access(user, sign_in), ACCESS, both),
    ):
        with pytest.raises(BadToken):
            reader.read(token, kind)


def test_the_keys_of_the_settings_are_those_that_sign_then_those_that_are_accepted(tmp_path: Path) -> None:
    both = settings(tmp_path, auth="password", secret_key=NEW, secret_key_fallback=OLD)
    assert (signing_keys(both), encryption_keys(both)) == ([NEW, OLD], [NEW, OLD])
    apart = settings(tmp_path, auth="password", secret_key=NEW, encryption_key=f"{'a' * 32}, {'b' * 32}")
    assert (signing_keys(apart), encryption_keys(apart)) == ([NEW], ["a" * 32, "b" * 32])
    generated = settings(tmp_path, auth="password", secret_key_fallback=OLD)
    first, second = signing_keys(generated)
    assert (first, second) == ((tmp_path / "tertulia.db-secret").read_text(), OLD)


def test_a_short_fallback_is_refused_and_doctor_reports_a_long_one(tmp_path: Path) -> None:
    password = {"TERTULIA_AUTH": "password", "TERTULIA_SECRET_KEY": NEW}
    refused = run_here(tmp_path, "doctor", **password, TERTULIA_SECRET_KEY_FALLBACK="parsnip")
    assert "TERTULIA_SECRET_KEY_FALLBACK: must have at least 32 random characters" in refused.output
    assert "parsnip" not in refused.output
    done = run_here(tmp_path, "doctor", **password, TERTULIA_SECRET_KEY_FALLBACK=OLD)
    assert "TERTULIA_SECRET_KEY, and those signed with TERTULIA_SECRET_KEY_FALLBACK are accepted\n" in done.output
    assert OLD not in done.output


def test_a_second_role_of_postgresql_acts_as_the_first(servers: Servers) -> None:
    (block,) = [fence.text for fence in fences(PAGE) if fence.language == "sql"]
    first = f"tertulia_{uuid4().hex}"
    url = servers.postgres_url().replace("+asyncpg", "")

    async def roles() -> tuple[str, str]:
        owner = await asyncpg.connect(url)
        try:
            await owner.execute(f"CREATE ROLE {first} LOGIN; {block.replace('tertulia', first)}")
            second = await asyncpg.connect(url, user=f"{first}_2", password="NEW")
            try:
                await second.execute("RESET ALL")
                return await second.fetchval("SELECT session_user"), await second.fetchval("SELECT current_user")
            finally:
                await second.close()
                await owner.execute(f"DROP ROLE {first}_2; DROP ROLE {first}")
        finally:
            await owner.close()

    assert asyncio.run(roles()) == (f"{first}_2", first)
