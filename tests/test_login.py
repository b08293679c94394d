"""`tertulia login` and `tertulia logout`, and the stored sign-in that `tertulia chat` uses."""

import asyncio
import json
import stat
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from client import Api
from identity_provider import SignInProvider, by_provider
from people import MODE, PASSWORD, register
from running import running, tertulia
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from test_command import run_here

from tertulia.cli.terminal.sign_in import SignInStore, StoredSignIn, current_token, open_store


@pytest.fixture(scope="module")
def served() -> Generator[SignInProvider]:
    provider_ = SignInProvider()
    with running(provider_.app(), lifespan="off") as provider_.address:
        yield provider_


@pytest.fixture
def provider(served: SignInProvider) -> SignInProvider:
    served.reset()
    return served


@pytest.fixture(scope="module")
def address(served: SignInProvider, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with tertulia(tmp_path_factory.mktemp("server"), **by_provider(served)) as address_:
        # The server fetches the provider's addresses once. If that fails, it waits for some seconds.
        httpx2.get(f"{address_}/auth/provider").raise_for_status()
        yield address_


def store_of(folder: Path) -> SignInStore:
    return open_store({"XDG_CONFIG_HOME": str(folder)})


def expire(store: SignInStore, address: str) -> StoredSignIn:
    sign_in = store.get(address)
    assert sign_in is not None
    expired = sign_in.model_copy(update={"expires_at": 0.0})
    store.put(address, expired)
    return expired


def test_a_code_signs_a_terminal_in_and_chat_uses_the_sign_in(
    provider: SignInProvider, address: str, tmp_path: Path
) -> None:
    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    provider.pending_polls = 2
    done = run_here(tmp_path, "login", "--url", f"{address}/", **config)
    assert (done.exit_code, done.stdout) == (0, f"Signed in to {address}/ as ada.\n"), done.output
    assert f"Open {provider.address}/activate in a browser, and enter the code WDJB-MJHT" in done.stderr
    file = store_of(tmp_path).file
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    answered = run_here(tmp_path, "chat", "Hello, my name is Ada", "--url", address, **config)
    assert (answered.exit_code, "Ada" in answered.stdout) == (0, True), answered.output
    ended = run_here(tmp_path, "logout", "--url", address, **config)
    assert ended.stdout == f"Signed out of {address}.\n"
    assert (store_of(tmp_path).get(address), provider.refreshes) == (None, set())
    assert "You are not signed in" in run_here(tmp_path, "logout", "--url", address, **config).stdout
    refused = run_here(tmp_path, "chat", "Hello", "--url", address, **config)
    assert (refused.exit_code, f"Run `tertulia login --url {address}`" in refused.stderr) == (1, True)


def test_an_expired_sign_in_is_refreshed_once_by_several_terminals(
    provider: SignInProvider, address: str, tmp_path: Path
) -> None:
    store = store_of(tmp_path)
    refresh = str(provider.issue()["refresh_token"])
    store.put(address, StoredSignIn(access="old", refresh=refresh, expires_at=0.0))
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(asyncio.run, current_token(store, address)) for _ in range(4)]
        tokens = {future.result() for future in waiting}
    (token,) = tokens
    with Api(address, token) as api:
        assert api.ask("{ viewer { name } }")["viewer"]["name"] == "ada"
    assert len(provider.requests) == 1
    assert asyncio.run(current_token(store, address)) == token


def test_an_ended_sign_in_is_forgotten_but_not_while_the_provider_is_down(
    provider: SignInProvider, address: str, tmp_path: Path
) -> None:
    store = store_of(tmp_path)
    store.put(address, StoredSignIn(access="old", refresh=str(provider.issue()["refresh_token"]), expires_at=0.0))
    provider.down = True
    with pytest.raises(OSError, match="cannot be reached"):
        asyncio.run(current_token(store, address))
    assert store.get(address) is not None
    provider.down = False
    provider.refreshes.clear()
    assert asyncio.run(current_token(store, address)) is None
    assert store.get(address) is None


@pytest.mark.parametrize(
    ("status", "body"), [(429, '{"error": "slow_down"}'), (502, "<p>Bad gateway"), (502, '{"error": "server_error"}')]
)
def test_a_sign_in_is_kept_after_a_refusal_that_does_not_end_it(status: int, body: str, tmp_path: Path) -> None:
    store = store_of(tmp_path)

    async def refuse(_request: Request) -> Response:
        return Response(body, status)

    with running(Starlette(routes=[Route("/auth/refresh", refuse, methods=["POST"])]), lifespan="off") as proxy:
        store.put(proxy, StoredSignIn(access="old", refresh="r", expires_at=0.0))
        with pytest.raises(OSError, match="refused the sign-in"):
            asyncio.run(current_token(store, proxy))
        assert store.get(proxy) is not None


def test_a_damaged_file_means_signed_out(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    store.put("http://one", StoredSignIn(access="a", refresh=None, expires_at=1.0))
    store.put("http://two", StoredSignIn(access="b", refresh=None, expires_at=2.0))
    store.put("http://one", None)
    assert set(json.loads(store.file.read_text())) == {"http://two"}
    store.file.write_text("{")
    assert store.get("http://two") is None


def test_a_denied_sign_in_is_explained(provider: SignInProvider, address: str, tmp_path: Path) -> None:
    provider.denies = True
    done = run_here(tmp_path, "login", "--url", address, XDG_CONFIG_HOME=str(tmp_path))
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "The sign-in was not allowed.")


def test_accounts_sign_in_with_name_and_password(tmp_path: Path) -> None:
    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    with tertulia(tmp_path, **MODE) as address:
        register(address, "ada")
        wrong = run_here(tmp_path, "login", "--url", address, stdin="ada\nwrong password\n", **config)
        assert (wrong.exit_code, "The username or the password is wrong." in wrong.stderr) == (1, True), wrong.output
        done = run_here(tmp_path, "login", "--url", address, stdin=f"ada\n{PASSWORD}\n", **config)
        assert f"Signed in to {address} as ada." in done.stdout, done.output
        former = expire(store_of(tmp_path), address)
        assert asyncio.run(current_token(store_of(tmp_path), address)) not in (None, former.access)
        assert run_here(tmp_path, "logout", "--url", address, **config).exit_code == 0
    unreachable = run_here(tmp_path, "login", "--url", address, **config)
    assert (unreachable.exit_code, f"Cannot connect to {address}" in unreachable.stderr) == (1, True)


def test_a_server_without_sign_in_says_so(api: Api, tmp_path: Path) -> None:
    done = run_here(tmp_path, "login", "--url", api.address, XDG_CONFIG_HOME=str(tmp_path))
    assert (done.exit_code, done.stderr) == (1, "This server requires no sign-in.\n")
