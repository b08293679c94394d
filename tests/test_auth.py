"""Password authentication: accounts, tokens that expire, rotate and are revoked, and sockets that close with them."""

import base64
import json
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import jwt
import pytest
from client import WAIT, Api, Json, Socket, raw_socket
from media import image
from people import MODE, PASSWORD, SECRET, post, register, signed
from running import RECOMMENDED_HASHER, execute, tertulia
from test_websocket import closing

from tertulia.db import accounts
from tertulia.db.database import AsyncSession
from tertulia.server.auth import passwords
from tertulia.server.auth.jwt import ACCESS, Tokens

VIEWER = "{ viewer { id name } }"
SEND = 'mutation { sendMessage(input: {text: "Hello"}) { __typename } }'
OPEN = 'subscription { conversationChanges(after: "0") { kind } }'


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with tertulia(tmp_path_factory.mktemp("people"), **MODE) as url:
        yield url


@contextmanager
def socket(address: str, payload: Json | None, **more: Any) -> Generator[Socket]:
    with raw_socket(address, **more) as connection:
        opened = Socket(connection)
        opened.send({"type": "connection_init", "payload": payload})
        yield opened


def test_registering_signs_the_user_in(address: str) -> None:
    tokens = register(address, "Ada")
    assert (tokens["token_type"], tokens["expires_in"], tokens["username"]) == ("Bearer", 600, "ada")
    with signed(address, tokens) as api:
        assert api.ask(VIEWER)["viewer"] == {"id": tokens["id"], "name": "ada"}


def test_an_account_can_be_registered_with_json(address: str) -> None:
    response = httpx2.post(f"{address}/auth/register", json={"username": "json", "password": PASSWORD})
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("name", "password", "status", "field"),
    [
        ("", PASSWORD, 400, "username"),
        ("a b", PASSWORD, 422, "username"),
        ("_", PASSWORD, 422, "username"),
        ("x" * 101, PASSWORD, 422, "username"),
        ("<script>", PASSWORD, 422, "username"),
        ("eve", "", 400, "password"),
        ("eve", "short", 422, "password"),
        ("eve", "aaaaaaaaaa", 422, "password"),
        ("evelyn-evelyn", "Evelyn-Evelyn", 422, "password"),
        ("eve", "x" * 1001, 422, "password"),
        ("local", PASSWORD, 409, "username"),
    ],
)
def test_an_invalid_account_is_refused_and_the_field_is_named(
    address: str, name: str, password: str, status: int, field: str
) -> None:
    refused = post(address, "register", username=name, password=password)
    assert refused.status_code == status
    assert refused.json()["error_description"].startswith(f"`{field}` ")


def test_usernames_ignore_case_and_surrounding_spaces(address: str) -> None:
    register(address, "Grace")
    assert post(address, "register", username=" GRACE ", password=PASSWORD).status_code == 409
    assert post(address, "token", grant_type="password", username="gRaCe", password=PASSWORD).status_code == 200


def test_registration_can_be_closed(tmp_path: Path) -> None:
    with tertulia(tmp_path, **MODE, registration="closed") as address:
        refused = post(address, "register", username="ada", password=PASSWORD)
    assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")


def test_a_wrong_password_and_an_unknown_name_look_the_same(address: str) -> None:
    register(address, "barbara")
    wrong = post(address, "token", grant_type="password", username="barbara", password="not her password")
    unknown = post(address, "token", grant_type="password", username="nobody", password="not her password")
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, "invalid_grant"),
        ({"grant_type": "password", "username": "\0", "password": "\0"}, "invalid_grant"),
    ],
)
def test_an_invalid_grant_is_refused_with_an_oauth_error(address: str, form: Json, error: str) -> None:
    refused = post(address, "token", **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert refused.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"grant_type=password&grant_type=password", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"[1]", "application/json"),
        (b'{"grant_type": 1}', "application/json"),
        (b"{" * 5000, "application/json"),
        (b"x" * 20_000, "application/json"),
        (b"grant_type=password", "text/plain"),
    ],
)
def test_a_malformed_form_is_refused(address: str, content: bytes, media_type: str) -> None:
    refused = httpx2.post(f"{address}/auth/token", content=content, headers={"content-type": media_type})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


def sign_in(address: str, name: str, password: str, origin: str = "127.0.0.1") -> httpx2.Response:
    """Sign in as a proxy on this machine would forward it, from the client address `origin`."""
    form = {"grant_type": "password", "username": name, "password": password}
    return httpx2.post(f"{address}/auth/token", data=form, headers={"x-forwarded-for": origin}, timeout=WAIT)


@pytest.mark.both
def test_a_client_that_guesses_waits_longer_and_longer_and_the_user_signs_in_elsewhere(
    tmp_path: Path, place: Json
) -> None:
    with tertulia(tmp_path, **place, **MODE) as one, tertulia(tmp_path, **place, **MODE) as other:
        # Without Redis each process counts for itself.
        servers = [one, other] if "redis_url" in place else [one, one]
        register(one, "ada")
        tries = [sign_in(servers[n % 2], "ada", f"guess {n}", "2001:db8::1") for n in range(11)]
        assert [response.status_code for response in tries] == [400] * 10 + [429]
        assert int(tries[-1].headers["retry-after"]) in range(1, 61)
        # The right password is refused too, or guessing would reveal it. So is another address of the same network.
        assert sign_in(servers[1], "ADA", PASSWORD, "2001:db8::2").status_code == 429
        assert sign_in(servers[1], "ada", PASSWORD, "2001:db8:0:1::1").status_code == 200
        assert sign_in(servers[0], "ada", PASSWORD, "192.0.2.1").status_code == 200


def test_the_right_password_is_accepted_while_many_addresses_guess(address: str) -> None:
    name = "guessed-from-anywhere"
    register(address, name)
    with ThreadPoolExecutor(20) as pool:
        for network in ("198.51.100", "203.0.113", "192.0.2"):
            origins = [f"{network}.{number}" for number in range(20)]
            guesses = pool.map(partial(sign_in, address, name, "wrong one"), origins)
            assert sign_in(address, name, PASSWORD, f"{network}.200").status_code == 200
            assert {guess.status_code for guess in guesses} == {400}


def test_a_sign_in_replaces_a_hash_whose_parameters_are_weaker_than_rfc_9106_recommends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
    with tertulia(tmp_path, **place, **MODE) as address:
        register(address, "ada")
        monkeypatch.setattr(passwords, "HASHER", RECOMMENDED_HASHER)
        for expected in (200, 200, 400):
            password = PASSWORD if expected == 200 else "wrong one"
            assert (
                post(address, "token", grant_type="password", username="ada", password=password).status_code == expected
            )
        ((password_hash,),) = execute(place, "SELECT password_hash FROM users WHERE name = 'ada'")
        assert password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_the_current_password_cannot_be_guessed_with_a_stolen_token(address: str) -> None:
    tokens = register(address, "stolen-from")
    bearer = {"authorization": f"Bearer {tokens['access_token']}", "x-forwarded-for": "192.0.2.77"}
    guesses = [
        httpx2.request("DELETE", f"{address}/auth/user", data={"password": f"guess {n}"}, headers=bearer, timeout=WAIT)
        for n in range(11)
    ]
    assert [response.status_code for response in guesses] == [400] * 10 + [429]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("michael", "\uff4d\uff49\uff43\uff48\uff41\uff45\uff4c"),
        ("\ufb01ona", "fiona"),
        ("paypal", "\u0440ayp\u0430l"),
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
        ("straße", "STRASSE"),
        ("bill", "bi11"),
        ("morgan", "rnorgan"),
        ("oscar", "\u03bfscar"),
        ("zoe\u0301", "zo\u00e9"),
    ],
)
def test_a_name_that_looks_like_another_one_is_taken(address: str, first: str, second: str) -> None:
    register(address, first)
    refused = post(address, "register", username=second, password=PASSWORD)
    assert (refused.status_code, refused.json()["error_description"][:19]) == (409, "`username` is taken")


@pytest.mark.parametrize("name", ["1ocal", "loca1", "l\u043ecal", "\uff2c\uff2f\uff23\uff21\uff2c"])
def test_no_name_looks_like_that_of_the_local_user(address: str, name: str) -> None:
    assert post(address, "register", username=name, password=PASSWORD).status_code == 409


@pytest.mark.both
def test_accounts_older_than_the_check_for_lookalike_names_can_still_sign_in(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        register(address, "wide")
        register(address, "other")
        execute(place, "UPDATE users SET name = '\uff57\uff49\uff44\uff45', name_skeleton = NULL WHERE name = 'wide'")
        register(address, "wide", "another long one")
        for written, password in (
            ("\uff57\uff49\uff44\uff45", PASSWORD),
            ("\uff37\uff29\uff24\uff25", PASSWORD),
            ("wide", "another long one"),
        ):
            assert sign_in(address, written, password).status_code == 200
        assert sign_in(address, "wide", PASSWORD).status_code == 400


def test_a_refresh_returns_new_tokens(address: str) -> None:
    first = register(address, "katherine")
    second = post(address, "refresh", refresh_token=first["refresh_token"]).json()
    third = post(address, "token", grant_type="refresh_token", refresh_token=second["refresh_token"]).json()
    assert len({tokens["refresh_token"] for tokens in (first, second, third)}) == 3
    with signed(address, third) as api:
        assert api.ask(VIEWER)["viewer"]["name"] == "katherine"


@pytest.mark.both
def test_a_client_that_lost_the_response_to_a_refresh_can_repeat_it(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        first = register(address, "mary")
        lost, again = (post(address, "refresh", refresh_token=first["refresh_token"]).json() for _ in range(2))
        with signed(address, again) as api:
            assert api.ask(VIEWER)["viewer"]["name"] == "mary"
        third = post(address, "refresh", refresh_token=again["refresh_token"]).json()
        # Until now either token could be the successor. Now that one has been used, both are old.
        assert post(address, "refresh", refresh_token=lost["refresh_token"]).status_code == 200
        execute(place, "UPDATE sign_ins SET rotated_at = '2026-01-01 00:00:00+00:00'")
        assert post(address, "refresh", refresh_token=lost["refresh_token"]).status_code == 400
        assert post(address, "refresh", refresh_token=third["refresh_token"]).status_code == 400


def test_reusing_an_old_refresh_token_revokes_the_sign_in(address: str) -> None:
    stolen = register(address, "mary")
    newer = post(address, "refresh", refresh_token=stolen["refresh_token"]).json()
    newer = post(address, "refresh", refresh_token=newer["refresh_token"]).json()
    other = post(address, "token", grant_type="password", username="mary", password=PASSWORD).json()
    refused = post(address, "refresh", refresh_token=stolen["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert post(address, "refresh", refresh_token=newer["refresh_token"]).status_code == 400
    with signed(address, newer) as api:
        assert api.post(VIEWER).status_code == 401
    with signed(address, other) as api:
        assert api.ask(VIEWER)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_signing_out_revokes_every_token_of_the_sign_in_at_once(address: str, kind: str) -> None:
    tokens = register(address, f"signs-out-by-{kind}".replace("_", "-"))
    assert post(address, "revoke", token=tokens[kind], token_type_hint=kind).status_code == 200
    assert post(address, "refresh", refresh_token=tokens["refresh_token"]).status_code == 400
    with signed(address, tokens) as api:
        assert api.post(VIEWER).status_code == 401
    assert post(address, "revoke", token=tokens[kind]).status_code == 200


def test_changing_the_password_signs_all_other_devices_out(address: str) -> None:
    first = register(address, "radia")
    other = post(address, "token", grant_type="password", username="radia", password=PASSWORD).json()
    change = {"password": PASSWORD, "new_password": "another long one"}
    url = f"{address}/auth/password"
    bearer = {"authorization": f"Bearer {first['access_token']}"}
    wrong = httpx2.post(url, data={**change, "password": "not the one"}, headers=bearer)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    weak = httpx2.post(url, data={**change, "new_password": "short"}, headers=bearer)
    assert (weak.status_code, weak.json()["error_description"][:14]) == (422, "`new_password`")
    changed = httpx2.post(url, data=change, headers=bearer).json()
    with signed(address, other) as other_device, signed(address, changed) as this_device:
        assert (other_device.post(VIEWER).status_code, this_device.post(VIEWER).status_code) == (401, 200)
    for password, status in ((PASSWORD, 400), ("another long one", 200)):
        again = post(address, "token", grant_type="password", username="radia", password=password)
        assert again.status_code == status


# ---- invalid tokens -----------------------------------------------------------------------------


def forged(address: str, name: str) -> dict[str, str]:
    """Return invalid tokens that an attacker might make from a valid one."""
    tokens = register(address, name)
    good = tokens["access_token"]
    claims = jwt.decode(good, options={"verify_signature": False})
    head, body, mark = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    other = Tokens("another secret")
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "0" * 32}).encode()).rstrip(b"=").decode()
    key = Tokens(SECRET)._keys[ACCESS]
    late = {**claims, "exp": int(time.time()) - 1}
    return {
        "nonsense": "nonsense",
        "no algorithm": f"{none}.{body}.",
        "changed claims": f"{head}.{changed}.{mark}",
        "incomplete": good[:-4],
        "signed with another secret": other.access(tokens["id"], claims["sid"]),
        "a refresh token": tokens["refresh_token"],
        "expired": jwt.encode(late, key, "HS256", headers={"typ": ACCESS}),
        "another type": jwt.encode(claims, key, "HS256"),
        "another algorithm": jwt.encode(claims, key + key, "HS512", headers={"typ": ACCESS}),
        "another audience": jwt.encode({**claims, "aud": "x"}, key, "HS256", headers={"typ": ACCESS}),
        "without an expiry": jwt.encode(
            {name: claims[name] for name in claims if name != "exp"}, key, "HS256", headers={"typ": ACCESS}
        ),
        "an unknown sign-in": jwt.encode({**claims, "sid": tokens["id"]}, key, "HS256", headers={"typ": ACCESS}),
        "an unknown personal token": "tertulia_nonsense",
        "too long": "x" * 5000,
    }


def test_invalid_tokens_are_refused_everywhere(address: str) -> None:
    for kind, token in forged(address, "forger").items():
        header = {"authorization": f"Bearer {token}"}
        responses = [
            httpx2.post(f"{address}/graphql", json={"query": SEND}, headers=header),
            httpx2.post(f"{address}/chat", json={"message": "Hello"}, headers=header),
            httpx2.get(f"{address}/export", headers=header),
            httpx2.post(f"{address}/attachments", files={"file": b"x"}, headers=header),
            httpx2.request("DELETE", f"{address}/auth/user", data={"password": PASSWORD}, headers=header),
        ]
        assert [response.status_code for response in responses] == [401] * 5, kind
        assert all(response.headers["www-authenticate"].startswith("Bearer ") for response in responses), kind
        with socket(address, {"Authorization": f"Bearer {token}"}) as opened:
            assert closing(opened.connection) == (4403, "Forbidden"), kind


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Token x"])
def test_other_authorization_schemes_are_refused(address: str, value: str) -> None:
    refused = httpx2.post(f"{address}/graphql", json={"query": VIEWER}, headers={"authorization": value})
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")


def test_without_a_token_only_pages_and_health_checks_are_served(address: str) -> None:
    page = {"accept": "text/html"}
    with Api(address) as api:
        client = api.http
        refused = client.post("/graphql", json={"query": "{ __typename }"})
        assert refused.headers["www-authenticate"] == 'Bearer realm="tertulia"'
        assert client.get("/graphql", params={"query": "{ __typename }"}).status_code == 401
        assert client.get("/attachments/x").status_code == 401
        assert [client.get(path, headers=page).status_code for path in ("/", "/graphql", "/readyz")] == [200] * 3


# ---- sockets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [None, {}, {"token": "x"}, {"Authorization": 5}, {"Authorization": None}])
def test_a_socket_without_a_valid_token_is_closed_with_4403(address: str, payload: Json | None) -> None:
    with socket(address, payload) as opened:
        assert closing(opened.connection) == (4403, "Forbidden")


def test_a_socket_can_be_authenticated_by_the_header_of_its_handshake(address: str) -> None:
    tokens = register(address, "header")
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    with socket(address, None, additional_headers=header) as opened:
        assert opened.receive()["type"] == "connection_ack"


@pytest.mark.both
def test_revoking_closes_only_the_sockets_of_that_sign_in(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        one = register(address, "ada")
        two = post(address, "token", grant_type="password", username="ada", password=PASSWORD).json()
        with (
            signed(address, one) as signed_out,
            signed(address, two) as signed_in,
            signed_out.socket() as closed_socket,
            signed_in.socket() as open_socket,
        ):
            closed_socket.subscribe(OPEN, {})
            post(address, "revoke", token=one["refresh_token"])
            assert closing(closed_socket.connection) == (4403, "Forbidden")
            open_socket.send({"type": "ping"})
            assert open_socket.receive() == {"type": "pong"}


HANGING_CHAT = {
    "id": "hanging",
    "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "/simulate hang"}]}],
}


HANGING_RUN = {
    "threadId": "hanging",
    "runId": "run",
    "messages": [{"id": "m", "role": "user", "content": "/simulate hang"}],
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/graphql", {"query": OPEN}),
        ("/chat/stream", {"message": "/simulate hang"}),
        ("/ai-sdk", HANGING_CHAT),
        ("/ag-ui", HANGING_RUN),
    ],
)
def test_revoking_ends_a_stream_over_http(address: str, path: str, body: Json) -> None:
    tokens = register(address, f"streamer-of{path.replace('/', '-')}")
    header = {"authorization": f"Bearer {tokens['access_token']}", "accept": "text/event-stream"}
    with httpx2.stream("POST", f"{address}{path}", json=body, headers=header, timeout=WAIT) as stream:
        pieces = stream.iter_bytes()
        next(pieces)
        post(address, "revoke", token=tokens["access_token"])
        remaining = b"".join(pieces)
        assert b"complete" not in remaining
        assert b"done" not in remaining.lower()
        assert b"RUN_FINISHED" not in remaining


# ---- deletion -----------------------------------------------------------------------------------


@pytest.mark.both
def test_deleting_an_account_deletes_all_of_its_data(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        tokens = register(address, "ada")
        with signed(address, tokens) as api, api.socket() as opened:
            picture = api.http.post("/attachments", files={"file": ("a.png", image())}).json()["id"]
            api.answer("A secret parsnip", attachmentIds=[picture])
            url, form = "/auth/user", {"password": PASSWORD}
            assert api.http.request("DELETE", url, data={"password": "not the one"}).status_code == 400
            deleted = api.http.request("DELETE", url, data=form).json()["deleted"]
            assert deleted == {"conversations": 1, "messages": 2, "attachments": 1, "calls": 1}
            assert closing(opened.connection) == (4403, "Forbidden")
            assert api.post(VIEWER).status_code == 401
        assert post(address, "token", grant_type="password", username="ada", password=PASSWORD).status_code == 400
    tables = (
        *("users", "conversations", "messages", "generations", "attachments", "blobs", "calls", "message_words"),
        *("sign_ins", "personal_tokens", "conversation_changes", "idempotency_keys"),
    )
    assert {table: execute(place, f"SELECT count(*) FROM {table}")[0][0] for table in tables} == dict.fromkeys(
        tables, 0
    )
    assert [file for file in (tmp_path / "files").rglob("*") if file.is_file()] == []
    assert [row[0] for row in execute(place, "SELECT action FROM audit WHERE user_id IS NOT NULL")] == ["user_deleted"]


def test_deleting_an_account_twice_at_once_answers_401_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = accounts.remove_user

    async def remove_twice(session: AsyncSession, user_id: UUID) -> bool:
        await remove(session, user_id)
        return await remove(session, user_id)

    with tertulia(tmp_path, **MODE) as address, signed(address, register(address, "ada")) as api:
        monkeypatch.setattr("tertulia.db.accounts.remove_user", remove_twice)
        refused = api.http.request("DELETE", "/auth/user", data={"password": PASSWORD})
        assert (refused.status_code, "deleted" in refused.json()) == (401, False)


def test_a_token_with_deeply_nested_json_is_answered_with_401(address: str) -> None:
    header = base64.urlsafe_b64encode(b'{"typ":' + b"[" * 5_000 + b"]" * 5_000 + b"}").decode().rstrip("=")
    response = httpx2.get(f"{address}/export", headers={"authorization": f"Bearer {header}.e30.x"})
    assert response.status_code == 401
