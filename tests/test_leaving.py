"""People who leave: disabled users, ended tokens of an identity provider, and tokens that need a recent sign-in."""

import csv
import json
import time
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json
from identity_provider import CLIENT, SignInProvider, by_provider
from rows import NOON, seconds, with_database
from running import execute, running, tertulia
from sqlmodel import select, update
from test_command import run_here
from test_websocket import closing

from tertulia.db import accounts, credentials
from tertulia.db.credentials import digest_of, new_personal_token
from tertulia.db.database import Database
from tertulia.db.identities import PersonalToken
from tertulia.db.tables import METADATA, User
from tertulia.server.auth import providers, token_uses
from tertulia.server.auth.host import load_viewer
from tertulia.server.auth.oidc import LOGOUT_EVENT
from tertulia.server.auth.providers import Unauthenticated, personal
from tertulia.server.auth.token_uses import TokenUses
from tertulia.viewer import Viewer

VIEWER = "{ viewer { name } }"
CREATE = 'mutation { createPersonalToken(label: "script") { ... on CreatePersonalTokenPayload { token } } }'
DAY = timedelta(days=1)


@pytest.fixture
def provider() -> Generator[SignInProvider]:
    provider_ = SignInProvider()
    with running(provider_.app(), lifespan="off") as provider_.address:
        yield provider_


def status(address: str, token: str) -> int:
    with Api(address, token) as api:
        return api.post(VIEWER).status_code


@pytest.mark.both
def test_a_list_of_people_who_have_left_disables_them_and_ends_their_tokens(
    provider: SignInProvider, place: dict[str, Any], tmp_path: Path
) -> None:
    environment = {"TERTULIA_AUTH": "oidc", "TERTULIA_OIDC_ISSUER": provider.address, "TERTULIA_OIDC_AUDIENCE": "x"}
    environment |= {name.upper(): str(value) for name, value in place.items()}
    (tmp_path / "left.txt").write_text("# left in November\nsubject of ada\n\nbob\nnobody@example.com\nbob\n")
    ada = provider.token("subject of ada", preferred_username="ada")
    bob, eve = (provider.token(name, preferred_username=name) for name in ("bob", "eve"))
    disable = ("user", "disable", "--from-file", "left.txt")
    with tertulia(tmp_path, **by_provider(provider, **place)) as address:
        with Api(address, ada) as api, api.socket() as opened:
            script = api.ask(CREATE)["createPersonalToken"]["token"]
            assert [status(address, token) for token in (script, bob, eve)] == [200, 200, 200]
            assert run_here(tmp_path, *disable, **environment).stdout == (
                "Disabled 2 users; 0 were disabled before, and 1 are not users here.\n  ada\n  bob\n"
            )
            assert [status(address, token) for token in (ada, script, bob, eve)] == [401, 401, 401, 200]
            if "redis_url" in place:
                assert closing(opened.connection) == (4403, "Forbidden")
        provider.person = "bob"
        provider.refreshes.add("of bob")
        with Api(address) as nobody:
            refused = nobody.http.post("/auth/refresh", data={"refresh_token": "of bob"})
        assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
        assert run_here(tmp_path, *disable, **environment).stdout == (
            "Disabled 0 users; 2 were disabled before, and 1 are not users here.\n"
        )
        run_here(tmp_path, "user", "enable", "ada", **environment)
        assert [status(address, token) for token in (ada, script, bob)] == [200, 200, 401]


def test_revoked_tokens_of_a_provider_are_refused_and_newer_ones_work(provider: SignInProvider, tmp_path: Path) -> None:
    environment = {"TERTULIA_AUTH": "oidc", "TERTULIA_OIDC_ISSUER": provider.address, "TERTULIA_OIDC_AUDIENCE": "x"}
    chosen = by_provider(provider, usage_group_claim="org.department")
    research: Json = {"preferred_username": "ada", "org": {"department": "research"}}
    old, timeless, eve = provider.token("1", **research), provider.token("1", iat=None), provider.token("2")
    with tertulia(tmp_path, **chosen) as address:
        with Api(address, old) as api:
            api.answer("Hello")
        assert [status(address, token) for token in (old, timeless, eve)] == [200, 200, 200]
        said = run_here(tmp_path, "token", "revoke", "ada", **environment).stdout
        assert said.startswith(
            "Revoked 0 sign-ins and 0 personal access tokens of ada. Tokens of the identity provider"
        )
        newer = provider.token("1", iat=int(time.time()) + 1, **research)
        assert [status(address, token) for token in (old, timeless, eve, newer)] == [401, 401, 200, 200]
        run_here(tmp_path, "token", "revoke", "--all", **environment)
        assert status(address, eve) == 401
        report = run_here(tmp_path, "usage", "--by", "group", "--format", "csv", **environment).stdout
        assert [row["group"] for row in csv.DictReader(report.splitlines())] == ["research"]
        assert (
            run_here(tmp_path, "user", "group", "ada", "sales", **environment).stdout
            == "ada now has the group sales.\n"
        )
        report = run_here(tmp_path, "usage", "--by", "group", "--format", "csv", **environment).stdout
        assert [row["group"] for row in csv.DictReader(report.splitlines())] == ["sales"]


def test_a_logout_token_of_the_provider_ends_the_tokens_and_sockets_of_its_user(
    provider: SignInProvider, tmp_path: Path
) -> None:
    event: Json = {LOGOUT_EVENT: {}}
    wrong: dict[str, Json] = {
        "for another client": {"aud": "another", "events": event},
        "of another issuer": {"iss": "https://elsewhere.example", "events": event},
        "without an event": {},
        "with another event": {"events": {"https://example.com/event": {}}},
        "with a nonce": {"nonce": "n", "events": event},
        "without a user": {"sub": None, "sid": "s", "events": event},
        "without a time": {"iat": None, "events": event},
        "expired": {"exp": int(time.time()) - 60, "events": event},
    }

    def signed(subject: str, **more: Any) -> str:
        return provider.token(subject, **{"aud": CLIENT, **more})

    # ID tokens and logout tokens have the same audience.
    with tertulia(tmp_path, **by_provider(provider, oidc_audience=CLIENT)) as address, Api(address) as nobody:

        def log_out(token: str) -> tuple[int, str | None]:
            done = nobody.http.post("/auth/backchannel-logout", data={"logout_token": token})
            return done.status_code, done.json().get("error")

        ada, eve = signed("ada"), signed("eve")
        for kind, claims in wrong.items():
            assert log_out(signed("ada", **claims)) == (400, "invalid_request"), kind
        assert log_out("nonsense") == (400, "invalid_request")
        assert log_out(signed("a stranger", events=event)) == (200, None)
        with Api(address, ada) as api, api.socket() as opened:
            logout = signed("ada", events=event)
            assert status(address, logout) == 401
            assert log_out(logout) == (200, None)
            assert closing(opened.connection) == (4403, "Forbidden")
        assert [status(address, token) for token in (ada, eve)] == [401, 200]
        place = {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
        ended = execute(place, "SELECT detail FROM audit WHERE action = 'signed_out'")
        assert [json.loads(detail) for (detail,) in ended] == [{"issuer": provider.address}]
        later = signed("ada", iat=int(time.time()) + 5)
        assert log_out(logout) == (200, None)  # repeated
        assert status(address, later) == 200


def test_personal_access_tokens_can_require_a_recent_sign_in_at_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, of_operator = new_personal_token(), new_personal_token()
    for module in (providers, token_uses, accounts):
        monkeypatch.setattr(module, "now", lambda: NOON)

    async def is_refused(database: Database, secret: str, within: timedelta | None) -> bool:
        try:
            await personal(database, secret, within)
        except Unauthenticated as error:
            return "when its user has signed in" in error.message
        return False

    async def test(database: Database) -> None:
        ada, script = User(name="ada", issuer="https://id", subject="1"), User(name="script")
        async with database.write() as session:
            for user, secret in ((ada, token), (script, of_operator)):
                await accounts.add(session, user)
                row = PersonalToken(owner_id=user.id, label="", digest=digest_of(secret))
                await accounts.add_token(session, row)
        assert await is_refused(database, token, 30 * DAY)
        assert not await is_refused(database, token, None)
        assert not await is_refused(database, of_operator, 30 * DAY)
        await TokenUses(database).store(ada, {}, signed_in=True)
        assert not await is_refused(database, token, DAY)
        monkeypatch.setattr(providers, "now", lambda: NOON + DAY)
        assert await is_refused(database, token, DAY)
        assert not await is_refused(database, token, 2 * DAY)

    with_database(tmp_path, test)


def test_the_use_of_tokens_is_stored_once_an_hour_and_a_changed_group_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = METADATA.tables["users"]

    async def test(database: Database) -> None:
        ada = User(name="ada")
        async with database.write() as session:
            await accounts.add(session, ada)
        uses = TokenUses(database, "groups")

        async def used(second: float, groups: Any, *, signed_in: bool = True) -> tuple[Any, str | None]:
            """Use a token of the stored user, and return what is stored then."""
            monkeypatch.setattr(token_uses, "now", lambda: seconds(second))
            async with database.read() as session:
                user = await accounts.existing(session, ada.id)
            await uses.store(user, {"groups": groups}, signed_in=signed_in)
            async with database.read() as session:
                user = await accounts.existing(session, ada.id)
            return user.signed_in_at, user.usage_group

        assert await used(0, None, signed_in=False) == (None, None)
        assert await used(1, []) == (seconds(1), None)
        assert await used(3_600, ["b", "a", "b"]) == (seconds(1), "a, b")
        assert await used(3_602, None) == (seconds(3_602), "a, b")
        assert await used(9_999, "x" * 300, signed_in=False) == (seconds(3_602), "x" * 255)
        async with database.write() as session:
            await session.exec(update(users).values(usage_group="assigned"))
        assert await used(9_999, ["", " "], signed_in=False) == (seconds(3_602), "assigned")

    with_database(tmp_path, test)


def test_a_user_of_an_application_has_not_signed_in_at_a_provider(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        await load_viewer(database, Viewer("ada@example.com", "Ada"), uses=TokenUses(database, "groups"))
        async with database.read() as session:
            assert (await session.exec(select(User.signed_in_at))).one() is None

    with_database(tmp_path, test)


def test_the_last_use_of_a_personal_access_token_is_stored_at_most_once_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_personal_token()

    async def last_use(database: Database, current: datetime) -> datetime | None:
        for module in (providers, credentials):
            monkeypatch.setattr(module, "now", lambda: current)
        await personal(database, token, None)
        async with database.read() as session:
            return (await session.exec(select(PersonalToken.last_used_at))).one()

    async def test(database: Database) -> None:
        async with database.write() as session:
            await accounts.add(session, user := User(name="script"))
            row = PersonalToken(owner_id=user.id, label="", digest=digest_of(token))
            await accounts.add_token(session, row)
        assert await last_use(database, NOON) == NOON
        assert await last_use(database, seconds(3_600)) == NOON
        assert await last_use(database, seconds(3_601)) == seconds(3_601)

    with_database(tmp_path, test)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("user", "disable"), "disable: expected NAME or --from-file."),
        (("user", "disable", "ada", "--from-file", "-"), "disable: expected NAME or --from-file."),
        (("user", "disable", "--from-file", "no.txt"), "--from-file: cannot read no.txt: No such file or directory."),
        (("user", "group", "ada"), "group: expected GROUP or --remove."),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run_here(tmp_path, *arguments)
    assert (done.exit_code, done.stderr) == (2, f"{says}\n")
