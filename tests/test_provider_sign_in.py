"""Sign-in through an identity provider, whose codes and refresh tokens the server exchanges."""

import logging
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from client import WAIT, Api, Json
from identity_provider import CLIENT, SECRET, SignInProvider, by_provider
from people import post
from running import running, stopped_clock, tertulia
from scripted import Gate
from test_websocket import closing

from tertulia.ratelimit.limits import Rate

VERIFIER, PAGE, NONCE = "v" * 43, "http://127.0.0.1:8000/", "n" * 22
VIEWER = "{ viewer { name } }"


@pytest.fixture(scope="module")
def served() -> Generator[SignInProvider]:
    provider_ = SignInProvider()
    with running(provider_.app(), lifespan="off") as provider_.address:
        yield provider_


@pytest.fixture(scope="module")
def address(served: SignInProvider, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with tertulia(tmp_path_factory.mktemp("server"), **by_provider(served)) as address_:
        # The server fetches the provider's addresses once. If that fails, it waits for some seconds.
        httpx2.get(f"{address_}/auth/provider").raise_for_status()
        yield address_


@pytest.fixture
def provider(served: SignInProvider) -> SignInProvider:
    served.reset()
    return served


def exchange(address: str, code: str, **more: str) -> httpx2.Response:
    form = {"code": code, "code_verifier": VERIFIER, "redirect_uri": PAGE, "nonce": NONCE} | more
    return post(address, "token", grant_type="authorization_code", **form)


def refusal(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


def sign_in(address: str, provider: SignInProvider) -> Json:
    response = exchange(address, provider.code(VERIFIER, PAGE, NONCE))
    assert response.status_code == 200, response.text
    tokens: Json = response.json()
    return tokens


def name_of(address: str, tokens: Json) -> str:
    with Api(address, tokens["access_token"]) as api:
        return str(api.ask(VIEWER)["viewer"]["name"])


def test_the_server_tells_a_page_where_to_sign_in(address: str, provider: SignInProvider) -> None:
    assert httpx2.get(f"{address}/", headers={"accept": "application/json"}).json()["provider"] is True
    assert httpx2.get(f"{address}/auth/provider", timeout=WAIT).json() == {
        "issuer": provider.address,
        "client_id": CLIENT,
        "scope": "openid profile email",
        "authorization_endpoint": f"{provider.address}/authorize",
        "end_session_endpoint": f"{provider.address}/logout",
    }


def test_a_code_is_exchanged_once_and_the_sign_in_is_refreshed_and_revoked(
    address: str, provider: SignInProvider
) -> None:
    code = provider.code(VERIFIER, PAGE, NONCE)
    tokens = exchange(address, code).json()
    assert name_of(address, tokens) == "ada"
    assert 200 < tokens["expires_in"] <= 300
    assert refusal(exchange(address, code)) == (400, "invalid_grant")
    refreshed = post(address, "refresh", refresh_token=tokens["refresh_token"]).json()
    assert name_of(address, refreshed) == "ada"
    assert refusal(post(address, "refresh", refresh_token=tokens["refresh_token"])) == (400, "invalid_grant")
    assert post(address, "revoke", token=refreshed["refresh_token"]).status_code == 200
    assert refusal(post(address, "refresh", refresh_token=refreshed["refresh_token"])) == (400, "invalid_grant")


def test_a_code_of_another_sign_in_is_refused(address: str, provider: SignInProvider) -> None:
    refused = [
        exchange(address, provider.code(VERIFIER, PAGE, NONCE), nonce="another"),
        exchange(address, provider.code("w" * 43, PAGE, NONCE)),
        exchange(address, provider.code(VERIFIER, "http://elsewhere.example/", NONCE)),
        exchange(address, "invented"),
    ]
    assert [refusal(response) for response in refused] == [(400, "invalid_grant")] * 4
    missing = post(address, "token", grant_type="authorization_code", code="c")
    assert missing.json()["error_description"] == "`code_verifier` is required."
    assert refusal(post(address, "token", grant_type="password")) == (400, "unsupported_grant_type")


def test_an_id_token_is_used_if_the_access_token_is_not_a_jwt(provider: SignInProvider, tmp_path: Path) -> None:
    provider.opaque = True
    with tertulia(tmp_path, **by_provider(provider, oidc_audience=CLIENT)) as address:
        assert name_of(address, sign_in(address, provider)) == "ada"


def test_tokens_for_another_audience_are_explained_to_the_operator(
    address: str, provider: SignInProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.audience = "another"
    with caplog.at_level(logging.ERROR):
        refused = exchange(address, provider.code(VERIFIER, PAGE, NONCE))
    assert refusal(refused) == (502, "server_error")
    assert "Correct TERTULIA_OIDC_AUDIENCE" in caplog.text


def test_a_client_with_a_secret_authenticates(provider: SignInProvider, tmp_path: Path) -> None:
    provider.secret = SECRET
    try:
        with tertulia(tmp_path / "right", **by_provider(provider, oidc_client_secret=SECRET)) as address:
            assert name_of(address, sign_in(address, provider)) == "ada"
            assert SECRET not in str(provider.requests)
        with tertulia(tmp_path / "wrong", **by_provider(provider, oidc_client_secret="another")) as address:
            refused = exchange(address, provider.code(VERIFIER, PAGE, NONCE))
            assert refusal(refused) == (502, "server_error")
    finally:
        provider.secret = None


def test_a_provider_that_is_down_is_reported_as_temporary(address: str, provider: SignInProvider) -> None:
    tokens = sign_in(address, provider)
    provider.down = True
    down = [exchange(address, "any"), post(address, "refresh", refresh_token=tokens["refresh_token"])]
    assert [refusal(response) for response in down] == [(503, "temporarily_unavailable")] * 2
    assert all(response.headers["retry-after"] == "5" for response in down)
    provider.down = False
    assert post(address, "refresh", refresh_token=tokens["refresh_token"]).status_code == 200


def test_a_provider_that_does_not_respond_for_ten_seconds_is_reported_as_temporary(
    address: str, provider: SignInProvider
) -> None:
    gate = provider.gate = Gate()
    with stopped_clock(address) as advance, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(exchange, address, provider.code(VERIFIER, PAGE, NONCE))
        assert gate.reached.wait(WAIT)
        advance(10.1)
        try:
            assert refusal(waiting.result(WAIT)) == (503, "temporarily_unavailable")
        finally:
            gate.open.set()


def test_a_provider_that_was_never_reached_is_tried_again(
    provider: SignInProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertulia.server.auth.provider_grants.RETRY_AFTER", 0.0)
    provider.down = True
    with tertulia(tmp_path, **by_provider(provider)) as address:
        assert refusal(httpx2.get(f"{address}/auth/provider", timeout=WAIT)) == (503, "temporarily_unavailable")
        provider.down = False
        assert httpx2.get(f"{address}/auth/provider", timeout=WAIT).status_code == 200


def test_a_device_waits_until_the_user_has_allowed_it(address: str, provider: SignInProvider) -> None:
    begun = post(address, "device").json()
    assert (begun["user_code"], begun["verification_uri"]) == ("WDJB-MJHT", f"{provider.address}/activate")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    assert refusal(post(address, "token", **form)) == (400, "authorization_pending")
    assert name_of(address, post(address, "token", **form).json()) == "ada"
    provider.devices.clear()
    assert refusal(post(address, "token", **form)) == (400, "expired_token")


def test_a_user_deletes_the_account_by_its_name(address: str, provider: SignInProvider) -> None:
    provider.person = f"grace{time.time_ns()}"
    with Api(address, sign_in(address, provider)["access_token"]) as api:
        name = api.ask(VIEWER)["viewer"]["name"]
        api.answer("Hello")
        created = api.ask(
            'mutation { createPersonalToken(label: "x") { ... on CreatePersonalTokenPayload { token } } }'
        )
        with Api(address, created["createPersonalToken"]["token"]) as script:
            assert script.http.request("DELETE", "/auth/user", data={"username": name}).status_code == 401
        assert api.http.request("DELETE", "/auth/user", data={"username": "another"}).status_code == 400
        deleted = api.http.request("DELETE", "/auth/user", data={"username": name}).json()["deleted"]
        assert (deleted["conversations"], deleted["messages"]) == (1, 2)


def test_a_deleted_account_is_not_added_again_by_its_open_socket(address: str, provider: SignInProvider) -> None:
    provider.person = name = f"alan{time.time_ns()}"
    with Api(address, sign_in(address, provider)["access_token"]) as api, api.socket() as opened:
        assert api.http.request("DELETE", "/auth/user", data={"username": name}).status_code == 200
        assert closing(opened.connection) == (4403, "Forbidden")


def test_refreshes_from_an_address_are_limited_without_limiting_sign_ins(
    address: str, provider: SignInProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Rate("refreshes of the test", "2/minute")
    monkeypatch.setattr("tertulia.server.auth.provider_routes.REFRESHES_OF_ADDRESS", limit)
    paths = [("refresh", {"refresh_token": "x"}), ("token", {"grant_type": "refresh_token", "refresh_token": "x"})]
    assert [post(address, path, **form).status_code for path, form in paths] == [400, 400]
    limited = [post(address, path, **form) for path, form in [*paths, ("revoke", {"token": "x"})]]
    assert [refusal(response) for response in limited] == [(429, "slow_down")] * 3
    assert len(provider.requests) == 2
    assert name_of(address, sign_in(address, provider)) == "ada"


@pytest.mark.parametrize("codes", ['{"device_code": "x", "expires_in": Infinity}', '{"device_code": "x"}'])
def test_invalid_codes_for_a_device_are_reported_as_temporary(
    address: str, provider: SignInProvider, codes: str
) -> None:
    provider.device_answer = codes
    assert refusal(post(address, "device")) == (503, "temporarily_unavailable")


def test_without_a_client_the_server_accepts_tokens_only(provider: SignInProvider, tmp_path: Path) -> None:
    with tertulia(tmp_path, **by_provider(provider, oidc_client_id=None)) as address:
        assert httpx2.get(f"{address}/", headers={"accept": "application/json"}).json()["provider"] is False
        assert refusal(httpx2.get(f"{address}/auth/provider", timeout=WAIT)) == (404, "invalid_client")
        assert refusal(post(address, "refresh", refresh_token="any")) == (404, "invalid_client")
