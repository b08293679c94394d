"""Operators' commands for users and tokens while the server runs, the audit log, and the deletion of old rows."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from client import Api, Json, wait_until
from people import MODE, PASSWORD, SECRET, post, register, signed
from running import execute, tertulia
from test_command import run_here
from test_websocket import closing

from tertulia.db.migrate import migrate

VIEWER = "{ viewer { name } }"


def command(folder: Path, place: Json, *arguments: str, stdin: str = "") -> Any:
    """Run an operator's command on the server's storage."""
    more = {name.upper(): value for name, value in place.items()}
    more |= {"TERTULIA_AUTH": "password", "TERTULIA_SECRET_KEY": SECRET, "TERTULIA_ATTACHMENTS": str(folder / "files")}
    return run_here(folder, *arguments, stdin=stdin, **more)


@pytest.mark.both
def test_an_operator_adds_users_and_creates_lists_and_revokes_tokens(tmp_path: Path, place: Json) -> None:
    assert command(tmp_path, place, "user", "add", "--create", "Ada", stdin=f"{PASSWORD}\n").stdout == "Added ada.\n"
    printed = command(tmp_path, place, "user", "add", "grace").stdout
    chosen = re.fullmatch(r"Added grace. The password is (\S+)\n", printed)
    assert chosen
    with tertulia(tmp_path, **place, **MODE, registration="closed") as address:
        for name, password in (("ada", PASSWORD), ("grace", chosen[1])):
            assert post(address, "token", grant_type="password", username=name, password=password).status_code == 200
        token = command(tmp_path, place, "token", "ada", "--label", "my script").stdout.strip()
        assert token.startswith("tertulia_")
        tokens = command(tmp_path, place, "token", "ada", "--list").stdout
        assert ("my script" in tokens, token in tokens) == (True, False)
        with Api(address, token) as api, api.socket() as open_socket:
            assert api.ask(VIEWER)["viewer"]["name"] == "ada"
            revoked = command(tmp_path, place, "token", "ada", "--revoke", tokens.split()[0])
            assert (revoked.exit_code, revoked.stdout) == (0, "Revoked.\n")
            assert api.post(VIEWER).status_code == 401
            if "redis_url" in place:
                assert closing(open_socket.connection) == (4403, "Forbidden")
    assert token not in str(execute(place, "SELECT * FROM personal_tokens"))


@pytest.mark.both
def test_an_operator_revokes_all_access_of_one_user_or_of_all_users(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        ada, grace = register(address, "ada"), register(address, "grace")
        token = command(tmp_path, place, "token", "ada").stdout.strip()
        with (
            Api(address, token) as script,
            signed(address, ada) as signed_out,
            signed(address, grace) as other,
            script.socket() as closed_socket,
            other.socket() as open_socket,
        ):
            revoked = command(tmp_path, place, "token", "revoke", "Ada")
            assert revoked.stdout.startswith("Revoked 1 sign-ins and 1 personal access tokens of Ada.")
            assert [client.post(VIEWER).status_code for client in (script, signed_out, other)] == [401, 401, 200]
            assert post(address, "refresh", refresh_token=ada["refresh_token"]).status_code == 400
            if "redis_url" in place:
                assert closing(closed_socket.connection) == (4403, "Forbidden")
            open_socket.send({"type": "ping"})
            assert open_socket.receive() == {"type": "pong"}
            revoked = command(tmp_path, place, "token", "revoke", "--all")
            assert revoked.stdout.startswith("Revoked 1 sign-ins and 0 personal access tokens of all users.")
            assert other.post(VIEWER).status_code == 401
            if "redis_url" in place:
                assert closing(open_socket.connection) == (4403, "Forbidden")
        assert post(address, "token", grant_type="password", username="ada", password=PASSWORD).status_code == 200
    rows = execute(place, "SELECT action FROM audit WHERE action = 'everything_revoked'")
    assert len(rows) == 2


def test_a_new_secret_key_ends_sign_ins_but_not_personal_access_tokens(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        tokens = register(address, "ada")
        token = command(tmp_path, place, "token", "ada").stdout.strip()
    with (
        tertulia(tmp_path, **place, **(MODE | {"secret_key": SECRET[::-1]})) as address,
        signed(address, tokens) as out,
        Api(address, token) as script,
    ):
        assert (out.post(VIEWER).status_code, script.post(VIEWER).status_code) == (401, 200)
        assert post(address, "refresh", refresh_token=tokens["refresh_token"]).status_code == 400
        command(tmp_path, place, "token", "revoke", "--all")
        assert script.post(VIEWER).status_code == 401


def test_a_user_named_revoke_can_get_a_token(tmp_path: Path, place: Json) -> None:
    command(tmp_path, place, "user", "add", "--create", "revoke")
    assert command(tmp_path, place, "token", "revoke").stdout.startswith("tertulia_")


def test_a_token_can_expire(tmp_path: Path, place: Json) -> None:
    command(tmp_path, place, "user", "add", "--create", "ada")
    short = command(tmp_path, place, "token", "ada", "--days", "0").stdout.strip()
    good = command(tmp_path, place, "token", "ada", "--days", "1").stdout.strip()
    with tertulia(tmp_path, **place, **MODE) as address, Api(address, short) as out, Api(address, good) as api:
        assert (out.post(VIEWER).status_code, api.post(VIEWER).status_code) == (401, 200)
        assert post(address, "revoke", token=good).status_code == 200
        assert api.post(VIEWER).status_code == 401


def test_a_new_password_ends_all_sign_ins(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        tokens = register(address, "ada")
        assert command(tmp_path, place, "user", "password", "ada", stdin="another long one\n").exit_code == 0
        with signed(address, tokens) as api:
            assert api.post(VIEWER).status_code == 401
        for password, status in ((PASSWORD, 400), ("another long one", 200)):
            again = post(address, "token", grant_type="password", username="ada", password=password)
            assert again.status_code == status


@pytest.mark.both
def test_an_operator_deletes_a_user_with_all_their_data(tmp_path: Path, place: Json) -> None:
    with (
        tertulia(tmp_path, **place, **MODE) as address,
        signed(address, register(address, "ada")) as api,
        signed(address, register(address, "grace")) as other,
    ):
        api.answer("A secret parsnip")
        other.answer("Another parsnip")
        removed = command(tmp_path, place, "user", "remove", "ada", "--yes")
        assert (
            removed.stdout == "Deleted ada and all their data: 1 conversations, 2 messages, 0 attachments, 1 calls.\n"
        )
        assert api.post(VIEWER).status_code == 401
        assert other.ask(VIEWER)["viewer"]["name"] == "grace"
    assert execute(place, "SELECT count(*) FROM messages")[0][0] == 2
    assert "grace  password" in command(tmp_path, place, "user", "list").stdout


def test_the_local_user_keeps_their_conversations_after_a_switch_to_passwords(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        api.answer("Hello")
    assert command(tmp_path, place, "user", "add", "local", stdin=f"{PASSWORD}\n").stdout == "Added local.\n"
    with tertulia(tmp_path, **place, **MODE) as address:
        tokens = post(address, "token", grant_type="password", username="local", password=PASSWORD).json()
        with signed(address, tokens) as api:
            assert len(api.ask("{ conversations { edges { cursor } } }")["conversations"]["edges"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("user", "add", "a b"), "`username` must"),
        (("user", "add", "ada", "--password", "short"), "`password` must"),
        (("user", "password", "nobody"), "NAME: there is no user"),
        (("user", "remove", "nobody", "--yes"), "NAME: there is no user"),
        (("token", "nobody"), "NAME: there is no user"),
        (("token", "nobody", "--list"), "NAME: there is no user"),
        (("token", "revoke", "nobody"), "NAME: there is no user"),
        (("token", "revoke", "nobody", "--all"), "token: expected NAME"),
        (("token", "nobody", "--all"), "token: expected NAME"),
        (("token", "nobody", "else"), "token: expected NAME"),
    ],
)
def test_an_impossible_command_is_refused_in_one_line(
    tmp_path: Path, place: Json, arguments: Any, message: str
) -> None:
    asyncio.run(migrate(place["database_url"]))
    refused = command(tmp_path, place, *arguments)
    (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("Database: ")]
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert line.startswith(message)


def test_sign_ins_exports_and_deletions_are_recorded_in_the_audit_log(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        tokens = register(address, "ada")
        post(address, "token", grant_type="password", username="ada", password="wrong one")
        post(address, "token", grant_type="password", username="nobody", password="wrong one")
        with signed(address, tokens) as api:
            id = api.send("Hello")["conversation"]["id"]
            api.http.get("/export")
            api.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=id)
        newer = post(address, "refresh", refresh_token=tokens["refresh_token"]).json()
        post(address, "refresh", refresh_token=newer["refresh_token"])
        post(address, "refresh", refresh_token=tokens["refresh_token"])
    rows = execute(place, "SELECT action, user_id IS NOT NULL, address, detail FROM audit ORDER BY id")
    assert [(row[0], bool(row[1]), row[2]) for row in rows] == [
        ("registered", True, "127.0.0.1"),
        ("signed_in", True, "127.0.0.1"),
        ("sign_in_failed", True, "127.0.0.1"),
        ("sign_in_failed", False, "127.0.0.1"),
        ("exported", True, "127.0.0.1"),
        ("conversation_deleted", True, "127.0.0.1"),
        ("refresh_reused", True, "127.0.0.1"),
    ]
    assert "Hello" not in str(rows)
    assert PASSWORD not in str(rows)


@pytest.mark.usefixtures("sweeps")
@pytest.mark.both
def test_old_rows_of_the_audit_log_are_deleted_and_newer_ones_kept(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        register(address, "ada")
    # 1,500 rows from 2025: more than one transaction deletes.
    zeros = "('00000000000070008000' || substr('000000000000' || n, -12))"
    numbers = "WITH RECURSIVE ns(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < 1500)"
    if "redis_url" in place:
        zeros = "('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid"
    execute(
        place,
        f"{numbers} INSERT INTO audit (id, action, detail, created_at)"
        f" SELECT {zeros}, 'signed_in', '{{}}', '2025-01-01 00:00:00+00:00' FROM ns",
    )
    assert execute(place, "SELECT count(*) FROM audit")[0][0] == 1502
    with tertulia(tmp_path, **place, **MODE, audit_days=30):
        wait_until(lambda: execute(place, "SELECT count(*) FROM audit")[0][0] == 2, "the deletion of old rows")


@pytest.mark.usefixtures("sweeps")
@pytest.mark.both
def test_idempotency_keys_are_deleted_once_they_are_no_longer_valid(tmp_path: Path, place: Json) -> None:
    old, new = str(uuid4()), str(uuid4())
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        for key in (old, new):
            api.answer("Hello", idempotencyKey=key)
    for key, age in ((old, timedelta(hours=24, minutes=1)), (new, timedelta(hours=23, minutes=59))):
        execute(place, f"UPDATE idempotency_keys SET created_at = '{datetime.now(UTC) - age}' WHERE key = '{key}'")
    with tertulia(tmp_path, **place):
        wait_until(lambda: len(execute(place, "SELECT key FROM idempotency_keys")) == 1, "the deletion of the old key")
    assert execute(place, "SELECT key FROM idempotency_keys")[0][0] == new


@pytest.mark.usefixtures("sweeps")
def test_the_audit_log_is_kept_forever_without_audit_days(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place, **MODE) as address:
        register(address, "ada")
    execute(place, "UPDATE audit SET created_at = '2000-01-01 00:00:00+00:00'")
    with tertulia(tmp_path, **place, **MODE, audit_days=None) as address:
        assert post(address, "token", grant_type="password", username="ada", password=PASSWORD).status_code == 200
    assert execute(place, "SELECT count(*) FROM audit")[0][0] == 3


def test_chat_authenticates_with_its_token(tmp_path: Path, place: Json) -> None:
    token = ""
    with tertulia(tmp_path, **place, **MODE) as address, signed(address, register(address, "ada")) as api:
        token = command(tmp_path, place, "token", "ada").stdout.strip()
        chat = run_here(tmp_path, "chat", "--url", address, stdin="My name is Ada\n", TERTULIA_TOKEN=token)
        assert (chat.exit_code, "Ada" in chat.stdout) == (0, True)
        assert len(api.ask("{ conversations { edges { cursor } } }")["conversations"]["edges"]) == 1
        unknown = run_here(tmp_path, "chat", "--url", address, "--token", "nonsense", stdin="Hello\n")
        assert (unknown.exit_code, "--token" in unknown.output) == (1, True)
