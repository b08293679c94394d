"""Registration, sign-in and sign-out on a database: what each of them changes, counts, records and closes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher
from rows import with_database
from sqlmodel import col, select
from starlette.requests import HTTPConnection

from tertulia.db import accounts
from tertulia.db.credentials import digest_of
from tertulia.db.database import Database
from tertulia.db.identities import AuditEntry, PersonalToken, SignIn
from tertulia.db.tables import User
from tertulia.ratelimit.errors import RateLimited
from tertulia.ratelimit.limits import Limits, Rate, Rates
from tertulia.ratelimit.plans import Plans
from tertulia.ratelimit.slots import LocalConnectionSlots
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth import authenticator as authenticators
from tertulia.server.auth import sessions, throttle
from tertulia.server.auth.authenticator import EVERYBODY, NOBODY, RECHECK_SECONDS, Authenticator
from tertulia.server.auth.guests import Guests
from tertulia.server.auth.jwt import ACCESS, REFRESH, REFRESH_LIFETIME, BadToken, Tokens
from tertulia.server.auth.passwords import Unfit
from tertulia.server.auth.providers import Credentials, Identity, Unauthenticated, Unavailable
from tertulia.server.auth.sessions import REFRESH_GRACE, BadGrant, SignIns, TooManyTries
from tertulia.server.auth.throttle import LocalFailures, SignInThrottle
from tertulia.server.request_facts import facts_of

SECRET, HERE = "s" * 32, "192.0.2.1"
PASSWORD, OTHER = "correct horse", "battery staple"


class Accounts:
    """The service on a database of the test's own, and whom it has reported."""

    def __init__(self, database: Database, *, open_to_all: bool = True) -> None:
        self.database = database
        self.tokens = Tokens(SECRET)
        self.notified: list[UUID] = []
        self.removed: list[UUID] = []
        self.counts: dict[str, int] | None = {"conversations": 3}
        self.failures = LocalFailures()
        self.service = SignIns(
            database, self.tokens, Rates(None), SignInThrottle(self.failures), cast("Any", self), self._remove,
            Guests(database, self.tokens, self._stop), open_to_all=open_to_all,
        )  # fmt: skip

    def notify(self, viewer: StoredViewer) -> None:
        """Record the notification, as a fake authenticator."""
        self.notified.append(viewer.user_id)

    async def _remove(self, user_id: UUID) -> dict[str, int] | None:
        self.removed.append(user_id)
        return self.counts

    async def _stop(self, _generation_id: UUID) -> None:
        """Stop nothing."""

    async def audited(self) -> list[str]:
        async with self.database.read() as session:
            entries = (await session.exec(select(AuditEntry).order_by(col(AuditEntry.id)))).all()
        assert all(entry.address == HERE for entry in entries)
        return [entry.action for entry in entries]

    async def failures_of(self, name: str) -> tuple[int, int]:
        """Return the failures of a name from this address, and from anywhere."""
        pair, anywhere = f"pair\n{name}\n{HERE}", f"name\n{name}"
        return (await self.failures.get(pair)).count, (await self.failures.get(anywhere)).count


def run(folder: Path, test: Callable[[Accounts], Awaitable[None]], **more: Any) -> None:
    async def use(database: Database) -> None:
        await test(Accounts(database, **more))

    with_database(folder, use)


async def refused(work: Awaitable[Any]) -> tuple[str, int]:
    """Return the code and the status of the refusal."""
    with pytest.raises(BadGrant) as raised:
        await work
    return raised.value.code, raised.value.status


def test_a_registered_user_is_signed_in_and_the_name_is_taken(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        signed_in = await service.register("Ada", PASSWORD, HERE)
        assert signed_in.user.name == "ada"
        assert signed_in.lasts_seconds == 600
        claims = accounts_.tokens.read(signed_in.refresh, REFRESH)
        assert (claims.user_id, claims.rotation) == (signed_in.user.id, 0)
        assert accounts_.tokens.read(signed_in.access, ACCESS).sign_in_id == claims.sign_in_id
        assert await refused(service.register("ADA", PASSWORD, HERE)) == ("invalid_request", 409)
        assert await refused(service.register("local", PASSWORD, HERE)) == ("invalid_request", 409)
        with pytest.raises(Unfit):
            await service.register("bob", "short", HERE)
        with pytest.raises(Unfit):
            await service.register("", PASSWORD, HERE)
        assert await accounts_.audited() == ["registered", "signed_in"]

    run(tmp_path, test)


def test_nobody_registers_where_registration_is_closed(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        assert await refused(accounts_.service.register("ada", PASSWORD, HERE)) == ("access_denied", 403)

    run(tmp_path, test, open_to_all=False)


def test_a_wrong_name_and_a_wrong_password_are_refused_alike_and_counted(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        await service.register("ada", PASSWORD, HERE)
        for name, password in (("ada", OTHER), ("eve", PASSWORD), ("", PASSWORD)):
            assert await refused(service.sign_in(name, password, HERE)) == ("invalid_grant", 400)
        assert await accounts_.failures_of("ada") == (1, 1)
        assert await accounts_.failures_of("eve") == (1, 1)
        assert (await service.sign_in("Ada", PASSWORD, HERE)).user.name == "ada"
        assert await accounts_.failures_of("ada") == (0, 1)
        assert await accounts_.audited() == ["registered", "signed_in", "sign_in_failed", "sign_in_failed", "signed_in"]

    run(tmp_path, test)


def test_after_ten_failures_an_address_waits_with_any_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present = 1_000_000.0
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: present))

    async def test(accounts_: Accounts) -> None:
        nonlocal present
        await accounts_.service.register("ada", PASSWORD, HERE)
        for _ in range(10):
            await refused(accounts_.service.sign_in("ada", OTHER, HERE))
        for seconds in (2, 1):
            with pytest.raises(TooManyTries) as raised:
                await accounts_.service.sign_in("ada", PASSWORD, HERE)
            assert raised.value.seconds == seconds
            present += 1.5
        for address in (HERE, "192.0.2.9"):
            assert (await accounts_.service.sign_in("ada", PASSWORD, address)).user.name == "ada"

    run(tmp_path, test)


def test_each_attempt_with_a_name_is_delayed_after_many_failures_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def test(accounts_: Accounts) -> None:
        await accounts_.service.register("ada", PASSWORD, HERE)
        for _ in range(30):
            await accounts_.failures.add("name\nada")
        monkeypatch.setattr(throttle, "asyncio", SimpleNamespace(sleep=sleep))
        await accounts_.service.sign_in("ada", PASSWORD, HERE)
        await refused(accounts_.service.sign_in("bob", PASSWORD, HERE))
        assert slept == [pytest.approx(0.5)]

    run(tmp_path, test)


def test_a_guest_that_registers_keeps_its_id_and_loses_its_tokens(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        guest = await service.enter_as_guest(HERE)
        await service.register("ada", PASSWORD, HERE)
        assert await refused(service.register("ada", PASSWORD, HERE, guest.refresh)) == ("invalid_request", 409)
        assert accounts_.notified == []
        assert (await service.register("bob", PASSWORD, HERE, guest.access)).user.id == guest.user.id
        assert accounts_.notified == [guest.user.id]
        assert await refused(service.refresh(guest.refresh, HERE)) == ("invalid_grant", 400)
        assert (await service.sign_in("bob", PASSWORD, HERE)).user.id == guest.user.id
        assert (await accounts_.audited())[:2] == ["registered", "signed_in"]

    run(tmp_path, test)


def test_a_guest_that_signs_in_is_signed_out_as_a_guest(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        user = (await service.register("ada", PASSWORD, HERE)).user
        guest = await service.enter_as_guest(HERE)
        assert (await service.sign_in("ada", PASSWORD, HERE, guest.refresh)).user.id == user.id
        assert accounts_.notified == [guest.user.id]
        assert await refused(service.refresh(guest.refresh, HERE)) == ("invalid_grant", 400)
        await service.sign_in("ada", PASSWORD, HERE, guest.refresh)
        assert len(accounts_.notified) == 1

    run(tmp_path, test)


def test_an_address_has_at_most_twenty_guests_an_hour(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        for _ in range(20):
            await accounts_.service.enter_as_guest(HERE)
        with pytest.raises(TooManyTries):
            await accounts_.service.enter_as_guest(HERE)

    run(tmp_path, test)


def test_a_disabled_user_is_refused_only_with_the_right_password(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        user = (await accounts_.service.register("ada", PASSWORD, HERE)).user
        async with accounts_.database.write() as session:
            await accounts.set_disabled(session, user.id, disabled=True)
        assert await refused(accounts_.service.sign_in("ada", OTHER, HERE)) == ("invalid_grant", 400)
        assert await refused(accounts_.service.sign_in("ada", PASSWORD, HERE)) == ("access_denied", 403)

    run(tmp_path, test)


def test_an_address_makes_at_most_sixty_attempts_a_minute(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        header = f"Bearer {(await accounts_.service.register('eve', PASSWORD, HERE)).access}"
        for _ in range(59):
            await refused(accounts_.service.sign_in("", PASSWORD, HERE))
        for attempt in (
            accounts_.service.sign_in("", PASSWORD, HERE),
            accounts_.service.delete(header, PASSWORD, HERE),
            accounts_.service.register("ada", PASSWORD, HERE),
        ):
            with pytest.raises(TooManyTries):
                await attempt
        await refused(accounts_.service.sign_in("", PASSWORD, "192.0.2.9"))

    run(tmp_path, test)


def test_a_hash_of_former_parameters_is_replaced_at_a_sign_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(accounts_: Accounts) -> None:
        user = (await accounts_.service.register("ada", PASSWORD, HERE)).user

        async def stored() -> str | None:
            async with accounts_.database.read() as session:
                row = await accounts.by_id(session, user.id)
            return None if row is None else row.password_hash

        before = await stored()
        await accounts_.service.sign_in("ada", PASSWORD, HERE)
        assert await stored() == before
        from tertulia.server.auth import passwords

        monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
        await accounts_.service.sign_in("ada", PASSWORD, HERE)
        assert await stored() != before
        await accounts_.service.sign_in("ada", PASSWORD, HERE)

    run(tmp_path, test)


def test_a_refresh_token_is_exchanged_and_a_reused_one_ends_its_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (timedelta(days=30), timedelta(seconds=60)) == (REFRESH_LIFETIME, REFRESH_GRACE)

    async def test(accounts_: Accounts) -> None:
        service, tokens = accounts_.service, accounts_.tokens
        first = await service.register("ada", PASSWORD, HERE)
        second = await service.refresh(first.refresh, HERE)
        claims = tokens.read(second.refresh, REFRESH)
        assert claims.rotation == 1
        assert claims.expires_at > datetime.now(UTC) + REFRESH_LIFETIME - timedelta(minutes=1)
        assert tokens.read((await service.refresh(first.refresh, HERE)).refresh, REFRESH).rotation == 1
        third = await service.refresh(second.refresh, HERE)
        assert accounts_.notified == []
        assert await refused(service.refresh(first.refresh, HERE)) == ("invalid_grant", 400)
        assert accounts_.notified == [first.user.id]
        assert await refused(service.refresh(third.refresh, HERE)) == ("invalid_grant", 400)
        assert accounts_.notified == [first.user.id]
        for token in (first.access, "x", ""):
            assert await refused(service.refresh(token, HERE)) == ("invalid_grant", 400)
        assert (await accounts_.audited())[2:] == ["refresh_reused"]

    run(tmp_path, test)


def test_a_sign_in_is_revoked_by_either_of_its_tokens_and_an_unknown_token_is_no_error(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        first = await service.register("ada", PASSWORD, HERE)
        second = await service.sign_in("ada", PASSWORD, HERE)
        await service.revoke("unknown", HERE)
        await service.revoke(first.refresh, HERE)
        assert accounts_.notified == [first.user.id]
        await refused(service.refresh(first.refresh, HERE))
        await service.revoke(first.refresh, HERE)
        assert len(accounts_.notified) == 1
        await service.revoke(second.access, HERE)
        await refused(service.refresh(second.refresh, HERE))
        assert len(accounts_.notified) == 2
        assert (await accounts_.audited())[3:] == ["signed_out"] * 2

    run(tmp_path, test)


def test_a_personal_token_is_revoked_by_itself(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        user = (await accounts_.service.register("ada", PASSWORD, HERE)).user
        token = "tertulia_abc"
        async with accounts_.database.write() as session:
            await accounts.add_token(session, PersonalToken(owner_id=user.id, label="", digest=digest_of(token)))
        with pytest.raises(Unauthenticated, match="personal"):
            await accounts_.service.delete(f"Bearer {token}", PASSWORD, HERE)
        await accounts_.service.revoke("tertulia_other", HERE)
        assert accounts_.notified == []
        await accounts_.service.revoke(token, HERE)
        assert accounts_.notified == [user.id]
        assert await accounts.of_token(accounts_.database, digest_of(token)) is None
        assert (await accounts_.audited())[2:] == ["token_revoked"]

    run(tmp_path, test)


def test_a_changed_password_ends_all_other_sign_ins(tmp_path: Path) -> None:
    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        first = await service.register("ada", PASSWORD, HERE)
        second = await service.sign_in("ada", PASSWORD, HERE)
        header = f"Bearer {first.access}"
        assert await refused(service.change_password(header, OTHER, OTHER, HERE)) == ("invalid_grant", 400)
        assert await accounts_.failures_of("ada") == (1, 1)
        with pytest.raises(Unfit) as raised:
            await service.change_password(header, PASSWORD, "short", HERE)
        assert str(raised.value).startswith("`new_password`")
        new = await service.change_password(header, PASSWORD, OTHER, HERE)
        assert accounts_.notified == [first.user.id]
        for token in (first.refresh, second.refresh):
            await refused(service.refresh(token, HERE))
        await service.refresh(new.refresh, HERE)
        await refused(service.sign_in("ada", PASSWORD, HERE))
        await service.sign_in("ada", OTHER, HERE)
        with pytest.raises(Unauthenticated):
            await service.change_password(header, OTHER, PASSWORD, HERE)
        with pytest.raises(Unauthenticated):
            await service.change_password("Bearer tertulia_abc", OTHER, PASSWORD, HERE)
        assert "password_changed" in await accounts_.audited()

    run(tmp_path, test)


def test_an_account_is_deleted_with_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def deleted_meanwhile(_session: object, _user_id: UUID) -> None:
        """Find no user."""

    async def test(accounts_: Accounts) -> None:
        service = accounts_.service
        signed_in = await service.register("ada", PASSWORD, HERE)
        header = f"Bearer {signed_in.access}"
        await refused(service.delete(header, OTHER, HERE))
        assert accounts_.removed == []
        assert await service.delete(header, PASSWORD, HERE) == {"conversations": 3}
        assert accounts_.removed == accounts_.notified == [signed_in.user.id]
        accounts_.counts = None
        with pytest.raises(Unauthenticated):
            await service.delete(header, PASSWORD, HERE)
        assert len(accounts_.notified) == 1
        monkeypatch.setattr(accounts, "by_id", deleted_meanwhile)
        with pytest.raises(Unauthenticated):
            await service.delete(header, PASSWORD, HERE)

    run(tmp_path, test)


def test_a_sign_in_forgets_those_that_ended_thirty_days_ago(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(accounts_: Accounts) -> None:
        user = (await accounts_.service.register("ada", PASSWORD, HERE)).user
        assert isinstance(user, User)
        later = datetime.now(UTC) + 2 * REFRESH_LIFETIME
        for ahead, expected in ((timedelta(minutes=-1), 2), (timedelta(minutes=1), 2)):
            monkeypatch.setattr(sessions, "now", lambda ahead=ahead: later + ahead)
            await accounts_.service.sign_in("ada", PASSWORD, HERE)
            async with accounts_.database.read() as session:
                assert len((await session.exec(select(SignIn.id))).all()) == expected

    run(tmp_path, test)


def test_tokens_are_accepted_for_their_own_purpose_secret_and_time() -> None:
    tokens, user_id, sign_in_id = Tokens(SECRET), uuid4(), uuid4()
    access, refresh = tokens.access(user_id, sign_in_id), tokens.refresh(user_id, sign_in_id, 7)
    read = tokens.read(refresh, REFRESH)
    assert (read.user_id, read.sign_in_id, read.rotation) == (user_id, sign_in_id, 7)
    assert tokens.read(access, ACCESS).rotation == 0
    now = datetime.now(UTC)
    assert abs(tokens.read(access, ACCESS).expires_at - now - timedelta(minutes=10)) < timedelta(seconds=5)
    assert abs(read.expires_at - now - timedelta(days=30)) < timedelta(seconds=5)
    for token, kind, reader in (
        (access, REFRESH, tokens),
        (refresh, ACCESS, tokens),
        (access, ACCESS, Tokens("t" * 32)),
        ("", ACCESS, tokens),
    ):
        with pytest.raises(BadToken):
            reader.read(token, kind)
    assert tokens.access(user_id, sign_in_id) != access


class Provider:
    """An identity provider whose answer a test sets."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.error: Exception | None = None
        self.rechecks: list[bool] = []

    async def of(self, credentials: Credentials) -> Identity:
        self.rechecks.append(credentials.is_recheck)
        if self.error is not None:
            raise self.error
        return self.identity


VIEWER = StoredViewer("ada", "ada", user_id=uuid4(), user_name="ada")


def admitted(identity: Identity) -> tuple[Provider, Authenticator, Any]:
    provider = Provider(identity)
    sent: list[tuple[str, UUID]] = []
    viewers: list[StoredViewer] = []

    def send(name: str, subject: UUID) -> None:
        sent.append((name, subject))

    services: Any = SimpleNamespace(signals=SimpleNamespace(send=send))
    authenticator = Authenticator(cast("Any", provider), services)
    return (
        provider,
        authenticator,
        SimpleNamespace(
            identity=identity,
            credentials=Credentials(cast("Any", None), None),
            sent=sent,
            viewers=viewers,
            context=SimpleNamespace(set_viewer=viewers.append),
            sign_outs=0,
        ),
    )


def services(*, is_on: bool = True) -> Any:
    """Return the services of a server where an address may read one shared conversation a minute."""
    limits = Limits(Rates(None), LocalConnectionSlots(), shares=Rate("shares", "1"))
    others = dict.fromkeys(("assistants", "log", "generation_manager", "notifier"))
    database, models = SimpleNamespace(read=None), SimpleNamespace(default_id="")
    return SimpleNamespace(
        plans=Plans(), limits=limits, sharing=SimpleNamespace(is_on=is_on), database=database, models=models, **others
    )


def opened(kind: str = "http", address: str | None = HERE) -> HTTPConnection:
    return HTTPConnection({"type": kind, "headers": [], "client": None if address is None else (address, 5000)})


def test_the_context_of_a_connection_has_its_address_and_the_log_the_viewer_of_a_request() -> None:
    async def work() -> None:
        authenticator = Authenticator(cast("Any", Provider(Identity(VIEWER))), services())
        for connection, address, logged in (
            (opened(), HERE, VIEWER.user_id),
            (opened(address=None), None, VIEWER.user_id),
            # A socket logs each of its operations.
            (opened("websocket"), HERE, None),
        ):
            context = (await authenticator.admit(connection)).context
            assert (context.viewer, context.address) == (VIEWER, address)
            assert facts_of(connection.scope).viewer_id == logged

    asyncio.run(work())


def test_readers_of_shared_conversations_own_nothing_and_are_counted_by_address() -> None:
    async def work() -> None:
        provider = cast("Any", Provider(Identity(VIEWER)))
        assert await Authenticator(provider, services(is_on=False)).admit_reader_of_shares(opened()) is None
        authenticator = Authenticator(provider, services())
        for address in (HERE, "192.0.2.9"):
            context = await authenticator.admit_reader_of_shares(opened(address=address))
            assert context is not None
            assert context.viewer == NOBODY
            with pytest.raises(RateLimited):
                await authenticator.admit_reader_of_shares(opened(address=address))

    asyncio.run(work())


async def steps(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_connection_ends_when_its_user_has_signed_out_and_not_when_another_one_has() -> None:
    async def work() -> None:
        provider, authenticator, connection = admitted(Identity(VIEWER))
        lapsed = asyncio.create_task(authenticator.lapsed(connection))
        await steps()
        provider.error = Unauthenticated()
        authenticator.signed_out(uuid4())
        await steps()
        assert not lapsed.done()
        authenticator.signed_out(VIEWER.user_id)
        await asyncio.wait_for(lapsed, 5)
        provider.error = None
        again = asyncio.create_task(authenticator.lapsed(connection))
        await steps()
        authenticator.signed_out(EVERYBODY)
        await steps()
        assert not again.done()
        # The identity of the first connection was just read; the second one opened while somebody signed out.
        assert provider.rechecks == [True] * 3
        assert connection.viewers == [VIEWER] * 2
        provider.error = Unauthenticated()
        authenticator.signed_out(EVERYBODY)
        await asyncio.wait_for(again, 5)
        assert authenticator.notifier._waiting == {}
        authenticator.notify(VIEWER)
        assert connection.sent == [("signed_out", VIEWER.user_id)]

    asyncio.run(work())


def test_a_connection_outlives_an_outage_and_not_its_expiry() -> None:
    async def work() -> None:
        for error in (OSError(), Unavailable()):
            provider, authenticator, connection = admitted(Identity(VIEWER))
            provider.error = error
            lapsed = asyncio.create_task(authenticator.lapsed(connection))
            await steps()
            authenticator.signed_out(EVERYBODY)
            await steps()
            assert provider.rechecks == [True]
            assert not lapsed.done()
            lapsed.cancel()
        for ago in (timedelta(0), timedelta(seconds=5)):
            provider, authenticator, connection = admitted(Identity(VIEWER, datetime.now(UTC) - ago))
            await asyncio.wait_for(authenticator.lapsed(connection), 5)
            assert provider.rechecks == []

    asyncio.run(work())


def test_the_connection_of_the_only_user_never_ends() -> None:
    async def work() -> None:
        provider, authenticator, connection = admitted(Identity(VIEWER, revocable=False))
        provider.error = Unauthenticated()
        lapsed = asyncio.create_task(authenticator.lapsed(connection))
        await steps()
        authenticator.signed_out(EVERYBODY)
        await steps()
        assert not lapsed.done()
        assert provider.rechecks == []
        lapsed.cancel()

    asyncio.run(work())


def test_a_connection_is_checked_every_minute_and_right_after_its_expiry() -> None:
    def delay(seconds: float | None) -> float:
        expires_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        return authenticators._recheck_delay(Identity(VIEWER, expires_at))

    assert (RECHECK_SECONDS, delay(None), delay(3600), delay(-5)) == (60.0, 60.0, 60.0, 0.01)
    assert 20 < delay(30) <= 30.01
