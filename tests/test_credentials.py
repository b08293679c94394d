"""The viewer's own sign-ins and personal access tokens, which the viewer can list and revoke."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client import WAIT, Api, Json, wait_until
from conftest import EMBEDDED
from people import MODE, PASSWORD, post, register, signed
from running import tertulia
from test_guests import enter
from test_websocket import closing

from tertulia.db.credentials import mark_used
from tertulia.db.database import AsyncSession

pytestmark = pytest.mark.both

SIGN_INS = "{ viewer { signIns { id userAgent current createdAt lastUsedAt expiresAt } } }"
TOKENS = "{ viewer { personalTokens { id label createdAt lastUsedAt expiresAt } } }"
CREATE = """mutation ($label: String!, $expiresAt: DateTime) { result: createPersonalToken(label: $label, expiresAt: $expiresAt) {
  __typename ... on CreatePersonalTokenPayload { token personalToken { id label expiresAt } } ... on Error { message } ... on InvalidInput { field } } }"""
REVOKE = "mutation ($id: ID!) { result: revokePersonalToken(id: $id) { __typename ... on RevokedPersonalToken { revokedId } } }"
SIGN_OUT = "mutation ($id: ID!) { result: revokeSignIn(id: $id) { __typename ... on RevokedSignIn { revokedId } } }"


@pytest.fixture(scope="module")
def shared(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server with accounts. Each test has its own."""
    folder = tmp_path_factory.mktemp("credentials")
    more = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    plans = folder / "plans.toml"
    plans.write_text('[guest]\nmessages = "100/day"\n')
    with tertulia(folder, **more, **MODE, plans=str(plans), guests=True) as address:
        yield address


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"user{abs(hash(request.node.nodeid))}"


@pytest.fixture
def api(shared: str, name: str) -> Generator[Api]:
    with signed(shared, register(shared, name)) as client:
        yield client


def create(api: Api, label: str = "script", **more: Any) -> Json:
    result: Json = api.ask(CREATE, label=label, **more)["result"]
    return result


def tokens_of(api: Api) -> list[Json]:
    tokens: list[Json] = api.ask(TOKENS)["viewer"]["personalTokens"]
    return tokens


def sign_ins_of(api: Api) -> list[Json]:
    sign_ins: list[Json] = api.ask(SIGN_INS)["viewer"]["signIns"]
    return sign_ins


def test_devices_are_listed_and_one_is_signed_out_at_once(api: Api, shared: str, name: str) -> None:
    other = post(shared, "token", grant_type="password", username=name, password=PASSWORD).json()
    newest, first = sign_ins_of(api)
    assert (newest["current"], first["current"]) == (False, True)
    assert "httpx" in newest["userAgent"]
    assert newest["lastUsedAt"] == newest["createdAt"] < newest["expiresAt"]
    with signed(shared, other) as device, device.socket() as opened:
        assert api.ask(SIGN_OUT, id=newest["id"])["result"] == {
            "__typename": "RevokedSignIn",
            "revokedId": newest["id"],
        }
        assert closing(opened.connection) == (4403, "Forbidden")
        assert device.post(SIGN_INS).status_code == 401
    assert post(shared, "refresh", refresh_token=other["refresh_token"]).status_code == 400
    assert [sign_in["id"] for sign_in in sign_ins_of(api)] == [first["id"]]
    assert api.ask(SIGN_OUT, id=newest["id"])["result"] == {"__typename": "NotFound"}


def test_a_token_is_shown_once_used_and_revoked(api: Api, shared: str) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    created = create(api, " nightly report ", expiresAt=expires_at)
    id, token = created["personalToken"]["id"], created["token"]
    assert token.startswith("tertulia_")
    (listed,) = tokens_of(api)
    assert (listed["id"], listed["label"], listed["lastUsedAt"]) == (id, "nightly report", None)
    assert datetime.fromisoformat(listed["expiresAt"]) == datetime.fromisoformat(expires_at)
    with Api(shared, token) as script, script.socket() as opened:
        (used,) = tokens_of(script)
        assert used["lastUsedAt"] is not None
        assert tokens_of(api) == [used]
        assert api.ask(REVOKE, id=id)["result"] == {"__typename": "RevokedPersonalToken", "revokedId": id}
        assert closing(opened.connection) == (4403, "Forbidden")
        assert script.post(TOKENS).status_code == 401
    assert tokens_of(api) == []
    assert api.ask(REVOKE, id=id)["result"] == {"__typename": "NotFound"}


def test_tokens_that_may_not_be_created_are_refused(api: Api, shared: str) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    refused = [create(api, " "), create(api, "x" * 101), create(api, expiresAt=past)]
    assert [(result["__typename"], result["field"]) for result in refused] == [
        ("InvalidInput", "label"),
        ("InvalidInput", "label"),
        ("InvalidInput", "expiresAt"),
    ]
    with Api(shared, create(api)["token"]) as script:
        assert "personal access token cannot create tokens" in create(script)["message"]
    with signed(shared, enter(shared)) as guest:
        assert "guests cannot create tokens" in create(guest)["message"]
    assert len(tokens_of(api)) == 1


def test_the_server_can_limit_the_lifetime_of_tokens(tmp_path: Path) -> None:
    with (
        tertulia(tmp_path, **MODE, personal_token_days=30) as address,
        signed(address, register(address, "ada")) as ada,
    ):
        sooner = (datetime.now(UTC) + timedelta(days=7)).isoformat()
        later = (datetime.now(UTC) + timedelta(days=31)).isoformat()
        ends = [create(ada, expiresAt=time)["personalToken"]["expiresAt"] for time in (sooner, later, None)]
        left = [datetime.fromisoformat(end) - datetime.now(UTC) for end in ends]
        assert [round(time / timedelta(days=1)) for time in left] == [7, 30, 30]


def test_requests_do_not_wait_while_the_use_of_a_token_is_stored(
    api: Api, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses: list[str] = []
    may_end = threading.Event()

    async def store(session: AsyncSession, digest: str) -> None:
        uses.append(digest)
        await asyncio.to_thread(may_end.wait, WAIT)
        await mark_used(session, digest)

    monkeypatch.setattr("tertulia.server.auth.providers.mark_used", store)
    token = create(api)["token"]
    with Api(shared, token) as first, Api(shared, token) as second, ThreadPoolExecutor(1) as thread:
        storing = thread.submit(tokens_of, first)
        wait_until(lambda: uses, "the first use")
        assert tokens_of(second)[0]["lastUsedAt"] is None
        may_end.set()
        storing.result()
    assert len(uses) == 1
    assert tokens_of(api)[0]["lastUsedAt"] is not None


def test_a_user_has_at_most_50_tokens(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.resolvers.credentials.MAX_TOKENS", 2)
    assert [create(api)["__typename"] for _ in range(3)] == [
        *["CreatePersonalTokenPayload"] * 2,
        "InvalidInput",
    ]


def test_a_single_user_cannot_create_tokens(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        assert create(api)["__typename"] == "InvalidInput"
        assert (sign_ins_of(api), tokens_of(api)) == ([], [])
