"""DATABASE_URL and REDIS_URL in the forms that hosting providers use: libpq's parameters, TLS, errors in one line."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from client import Api
from postgres_tls import TlsFront, tls_before_postgres
from running import tertulia
from servers import Servers
from test_command import run_here
from test_settings import refusal

from tertulia.db.address import read_address
from tertulia.streams.redis.address import check_redis_address

Url = Callable[..., str]


@pytest.fixture(scope="module")
def front(own_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Generator[TlsFront]:
    """A PostgreSQL server with TLS and a self-signed certificate on localhost."""
    (folder,) = parse_qs(urlsplit(own_servers.postgres_url()).query)["host"]
    with tls_before_postgres(tmp_path_factory.mktemp("tls"), f"{folder}/.s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def url(own_servers: Servers, front: TlsFront) -> Url:
    """Return a function that makes the URL of this module's database through the TLS proxy, with parameters."""
    name = own_servers.settings()["database_url"].partition("?")[0].rpartition("/")[2]

    def make(host: str = "localhost", scheme: str = "postgres", **parameters: str) -> str:
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        return f"{scheme}://postgres:any%40thing@{host}:{front.port}/{name}?{query}"

    return make


@pytest.mark.parametrize("command", [("migrate",), ("doctor",), ("user", "list"), ("export", "nobody")])
def test_every_command_reaches_a_managed_postgresql_through_tls(
    tmp_path: Path, front: TlsFront, url: Url, command: tuple[str, ...]
) -> None:
    before = front.encrypted
    done = run_here(tmp_path, *command, DATABASE_URL=url(sslmode="require"))
    assert front.encrypted > before, done.output
    assert "DATABASE_URL" not in done.output


def test_a_server_accepts_all_parameters_that_managed_hosts_use(tmp_path: Path, front: TlsFront, url: Url) -> None:
    database_url = url(
        sslmode="verify-full",
        sslrootcert=str(front.certificate),
        application_name="chat",
        connect_timeout="10",
        options="-c%20statement_timeout%3D59s",
        target_session_attrs="read-write",
        keepalives="1",
    )
    plain = front.plain
    with tertulia(tmp_path, database_url=database_url) as address, Api(address) as api:
        assert api.answer("Hello")["__typename"] == "GenerationCompleted"
    assert front.plain == plain
    assert b"application_name\x00chat\x00" in front.startup[-1]
    assert b"options\x00-c statement_timeout=59s\x00" in front.startup[-1]


@pytest.mark.parametrize(
    ("mode", "encrypted", "plain"), [("disable", 0, 1), ("allow", 0, 1), ("prefer", 1, 0), ("require", 1, 0)]
)
def test_each_sslmode_has_the_meaning_of_libpq(
    tmp_path: Path, front: TlsFront, url: Url, mode: str, encrypted: int, plain: int
) -> None:
    before = front.encrypted, front.plain
    assert run_here(tmp_path, "user", "list", DATABASE_URL=url(sslmode=mode)).exit_code == 0
    after = front.encrypted - before[0], front.plain - before[1]
    assert (after[0] > 0, after[1] > 0) == (bool(encrypted), bool(plain))


@pytest.mark.parametrize(
    ("host", "parameters"),
    [
        ("localhost", {"sslmode": "verify-full"}),
        ("localhost", {"sslmode": "require", "channel_binding": "require"}),
        ("localhost", {"sslmode": "verify-full", "sslrootcert": "system"}),
        ("127.0.0.2", {"sslmode": "verify-full", "sslrootcert": "CERTIFICATE"}),
    ],
)
def test_a_certificate_that_cannot_be_verified_is_refused(
    tmp_path: Path, front: TlsFront, url: Url, host: str, parameters: dict[str, str]
) -> None:
    filled = {name: value.replace("CERTIFICATE", str(front.certificate)) for name, value in parameters.items()}
    line = refusal(tmp_path, DATABASE_URL=url(host, **filled))
    assert line.startswith("DATABASE_URL: cannot use postgresql+asyncpg://postgres:***@"), line
    assert "thing" not in line


def test_verify_ca_accepts_another_host_name(tmp_path: Path, front: TlsFront, url: Url) -> None:
    database_url = url(sslmode="verify-ca", sslrootcert=str(front.certificate))
    assert run_here(tmp_path, "user", "list", DATABASE_URL=database_url).exit_code == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("postgres://u:hidden@h/db?sslmode=on", "the parameter sslmode must be one of disable, allow, prefer, require"),
        ("postgres://u:hidden@h/db?sslrootcert=/nowhere.pem", "sslrootcert names a file that does not exist"),
        ("postgres://u:hidden@h/db?sslmode=verify-ca", "sslmode=verify-ca requires sslrootcert"),
        ("postgres://u:hidden@h/db?pgbouncer=true", "the parameter pgbouncer is not supported"),
        ("postgres://u:hidden@h/db?sslmode", "parameters after ? must be NAME=VALUE"),
        ("postgres://u:hidden@h/db?sslmode=require&sslmode=disable", "sslmode is set twice"),
        ("postgres://u:hidden@h/db?connect_timeout=soon", "connect_timeout must be a whole number"),
        ("postgres://u:hidden@h/db?target_session_attrs=any-one", "target_session_attrs must be one of any"),
        ("postgres://u:hidden@h/db?channel_binding=yes", "channel_binding must be one of disable"),
        ("postgres://u:hidden@h:70000/db", "the port must be"),
        ("postgres://u:hidden@h:hidden/db", "HOST:PORT is not valid"),
        ("postgres://u:hidden@h", "the NAME of the database is missing"),
        ("postgres://u:hidden@h/", "the NAME of the database is missing"),
        ("postgres://u:hid/den@h", "%2F"),
        ("postgresql+psycopg2://u:hidden@h/db", "the driver must be asyncpg"),
        ("postgresql+psycopg://u:hidden@h/db", "the driver must be asyncpg"),
        ("mysql://u:hidden@h/db", "must be sqlite+aiosqlite:///FILE"),
        ("u:hidden@h/db", "must be sqlite+aiosqlite:///FILE"),
        ("sqlite://tertulia.db", "must be sqlite+aiosqlite:///FILE"),
        ("sqlite:///", "must be sqlite+aiosqlite:///FILE"),
        ("sqlite:///:memory:", "must be sqlite+aiosqlite:///FILE"),
        ("sqlite:///tertulia.db?mode=ro", "no parameters"),
        ("sqlite+pysqlite:///tertulia.db", "the driver must be aiosqlite"),
    ],
)
def test_an_invalid_database_url_is_refused_in_one_line(tmp_path: Path, given: str, says: str) -> None:
    line = refusal(tmp_path, DATABASE_URL=given)
    assert line.startswith("DATABASE_URL: ")
    assert says in line
    assert "hidden" not in line


@pytest.mark.parametrize(
    ("given", "password", "host"),
    [
        ("postgres://u:p%40ss@h/db", "p@ss", "h"),
        ("postgres://u:p@ss@h/db", "p@ss", "h"),
        ("postgres://u:p/a@ss@h:1/db?sslmode=require", "p/a@ss", "h"),
        ("postgres://u:p?q@h/db", "p?q", "h"),
        ("postgres://u:100%@h/db", "100%", "h"),
        ("postgres://u:a:b@[::1]:5432/db", "a:b", "::1"),
        ("postgresql+asyncpg://h/db?user=u&password=x%26y", "x&y", "h"),
    ],
)
def test_a_password_is_read_correctly_if_the_url_is_unambiguous(given: str, password: str, host: str) -> None:
    for address in (read_address(given), read_address(read_address(given).render())):
        assert (address.url.username, address.url.password) == ("u", password)
        assert (address.url.host, address.url.database) == (host, "db")
        assert password not in address.without_password


def test_several_hosts_and_a_socket_folder_are_accepted() -> None:
    several = read_address("postgres://u:p@one,two:5433/db?target_session_attrs=primary")
    assert several.url.query["host"] == ("one:5432", "two:5433")
    for given in ("postgres://u@%2Fvar%2Frun/db", "postgres:///db?host=/var/run"):
        assert read_address(read_address(given).render()).url.query["host"] == "/var/run"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("127.0.0.1:6379", "must be redis://"),
        ("http://h:6379", "must be redis://"),
        ("redis://u:hid#hidden@h:6379/0", "%23"),
        ("redis://u:hid/hidden@h:6379/0", "%2F"),
        ("redis://u:hidden@h:port/0", "must be redis://"),
        ("redis://u:hidden@h:6379/zero", "must be redis://"),
        ("redis://u:hidden@h:6379/0?foo=1", "the parameter foo is not supported"),
        ("redis://u:hidden@h:6379/0?ssl_cert_reqs=none", "ssl_... requires rediss://"),
        ("rediss://u:hidden@h:6379/0?ssl_ca_certs=/nowhere.pem", "ssl_ca_certs names a file that does not exist"),
        ("rediss://u:hidden@h:6379/0?ssl_ca_certs=", "ssl_ca_certs names a file that does not exist"),
        ("redis://u:hidden@h:6379/0?db=x", "the parameter db has an invalid value"),
        ("redis://", "must be redis://"),
        ("unix://?db=0", "must be redis://"),
        ("redis+cluster://u:hidden@", "must be redis+cluster://"),
        ("redis+cluster://u:hidden@h,:1", "must be redis+cluster://"),
        ("redis+cluster://u:hid/hidden@h", "%2F"),
        ("unix+cluster:///run/redis.sock", "must be redis+cluster://"),
        ("redis+cluster://u:hidden@h/1", "has only the database 0"),
        ("redis+cluster://u:hidden@h?db=1", "has only the database 0"),
        ("redis+cluster://u:hidden@h?foo=1", "the parameter foo is not supported"),
        ("redis+cluster://u:hidden@h?retry_on_timeout=1", "retry_on_timeout is not supported for a cluster"),
    ],
)
def test_an_invalid_redis_url_is_refused_in_one_line(tmp_path: Path, given: str, says: str) -> None:
    line = refusal(tmp_path, REDIS_URL=given)
    assert line.startswith("REDIS_URL: ")
    assert says in line
    assert "hidden" not in line


@pytest.mark.parametrize(
    "address",
    [
        "redis://h",
        "redis://h/",
        "redis://h/15",
        "rediss://u:p%23%2F%3F@h:6379/0?ssl_cert_reqs=none",
        f"rediss://h?ssl_ca_certs={__file__}",
        "redis://h/0?client_name=",
        "unix:///run/redis.sock?db=1",
        "redis://[::1]:6379",
        "redis+cluster://h",
        "redis+cluster://u:p@one:7000,two:7001,[::1]:7002/0",
        "rediss+cluster://u:p%2C@h:6379/?ssl_cert_reqs=none&client_name=x",
    ],
)
def test_each_form_of_a_redis_url_is_accepted(address: str) -> None:
    check_redis_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://h:6379",
        "redis://",
        "redis://:6379/0",
        "redis://h:6379/zero",
        "redis://h:6379/0/1",
        "redis://h:6379/0#fragment",
        "redis://h:6379/0?db",
        "unix://",
        "unix:///",
    ],
)
def test_a_redis_url_in_an_unknown_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be redis://"):
        check_redis_address(address)


def test_the_password_in_the_database_url_is_never_shown(tmp_path: Path) -> None:
    for address in ("postgres://u:hidden@127.0.0.1:9/db", "postgres://u@127.0.0.1:9/db?password=hidden"):
        done: Any = run_here(tmp_path, "doctor", DATABASE_URL=address)
        assert (done.exit_code, "hidden" in done.output, "DATABASE_URL: cannot use" in done.output) == (1, False, True)
