"""Secrets and users' texts do not appear in the log, errors, exports or pages, in any mode of authentication."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from client import FOLLOW, WAIT, Api, Json
from people import PASSWORD, SECRET, post, register
from scripted import Reply, says, scripted
from test_auth import socket
from test_command import started
from test_oidc import AUDIENCE, Provider, provider
from test_websocket import closing as closing_code

__all__ = ["provider"]

KEY = "sk-ant-parsnip-0123456789"
PROMPT, ANSWER = "my private parsnip", "a confidential turnip"
STOLEN = "tertulia_not-a-token-of-anybody"


def sign_in(mode: str, address: str, provider: Provider) -> list[str]:
    """Sign in; return the secrets of this mode: tokens, the access token first, and the password."""
    if mode == "local":
        return []
    if mode == "oidc":
        return [provider.token("1", preferred_username="ada")]
    tokens = register(address, "ada")
    post(address, "token", grant_type="password", username="ada", password="another wrong parsnip")
    later = post(address, "refresh", refresh_token=tokens["refresh_token"]).json()
    post(address, "refresh", refresh_token=tokens["refresh_token"])
    again = post(address, "token", grant_type="password", username="ada", password=PASSWORD).json()
    return [again["access_token"], *(later[name] for name in ("access_token", "refresh_token")), PASSWORD]


def collect_texts(address: str, token: str | None, break_database: Callable[[], None]) -> list[str]:
    """Call everything that could leak: answers, errors of Claude and of the server, exports, pages; return all texts."""
    texts: list[str] = []
    last = ""
    with Api(address, token) as api, socket(address, {"Authorization": f"Bearer {STOLEN}"}) as stranger:
        for _ in range(2):
            last = api.send(PROMPT)["generation"]["id"]
            texts.append(json.dumps(api.follow(last)))
        texts += [api.http.get(path).text for path in ("/export", "/export?format=markdown")]
        assert all(PROMPT in text for text in texts[-2:])
        texts += [
            api.http.get(path, headers={"accept": accept}).text
            for path in ("/", "/graphql", "/docs", "/openapi.json", "/readyz", "/healthz", "/nothing")
            for accept in ("text/html", "application/json")
        ]
        texts += [
            httpx2.post(
                f"{address}{path}", json={"message": PROMPT}, headers={"authorization": f"Bearer {STOLEN}"}
            ).text
            for path in ("/chat", "/graphql", "/import")
        ]
        texts.append(api.post("query { nonsense }", {"password": SECRET}).text)
        break_database()
        texts.append(api.post(FOLLOW, {"id": last}).text)
        texts.append(httpx2.post(f"{address}/chat", json={"message": PROMPT}, headers=api.signed).text)
        assert "trace" in texts[-1], texts[-1]
        failed = api.errors(
            "mutation ($text: String!) { sendMessage(input: {text: $text}) { __typename } }", text=PROMPT
        )
        assert failed[0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        texts.append(json.dumps(failed))
        if token is not None:
            assert closing_code(stranger.connection) == (4403, "Forbidden")
    return texts


def settings(mode: str, address: str) -> Json:
    return {
        "local": {},
        "password": {"TERTULIA_SECRET_KEY": SECRET},
        "oidc": {"TERTULIA_OIDC_ISSUER": address, "TERTULIA_OIDC_AUDIENCE": AUDIENCE},
    }[mode]


@pytest.mark.parametrize("mode", ["local", "password", "oidc"])
def test_no_secret_is_revealed_and_no_text_of_users_is_logged(tmp_path: Path, provider: Provider, mode: str) -> None:
    def break_database() -> None:
        with closing(sqlite3.connect(tmp_path / "tertulia.db")) as database, database:
            database.execute("ALTER TABLE messages RENAME TO hidden")

    quoting = {"type": "error", "error": {"type": "authentication_error", "message": f"wrong key {KEY}, {PROMPT}"}}
    with scripted(says(ANSWER), Reply(status=401, body=quoting)) as claude:
        more = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": claude.address, "TERTULIA_LOG_LEVEL": "debug"}
        more |= {"TERTULIA_AUTH": mode} | settings(mode, provider.address)
        with started(tmp_path, "serve", **more) as (process, printed):
            address = printed.split("Chat")[1].split()[0]
            secrets = sign_in(mode, address, provider)
            texts = collect_texts(address, secrets[0] if secrets else None, break_database)
            process.terminate()
            log = printed + process.communicate(timeout=WAIT)[0]
    assert KEY in str(claude.headers[0])
    assert "Internal error, trace id" in log
    everything = "".join(texts)
    assert "[the API key]" in everything
    for secret in (KEY, SECRET, STOLEN, "sk-ant", *secrets):
        assert secret not in everything, secret
        assert secret not in log, secret
    for text in (PROMPT, ANSWER):
        assert text not in log


def test_the_password_of_the_database_is_not_logged(tmp_path: Path) -> None:
    url = "postgresql://ada:parsnip-password@127.0.0.1:9/tertulia"
    with started(tmp_path, "serve", DATABASE_URL=url) as (_, printed):
        assert "DATABASE_URL: cannot use postgresql+asyncpg://ada:***@127.0.0.1:9/tertulia" in printed
        assert "parsnip-password" not in printed
