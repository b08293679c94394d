"""Measure PostgreSQL and Redis: their activity during a load, and the stored bytes after it."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis

from bench.measuring import cpu_seconds

Json = dict[str, Any]

COUNTS = """
SELECT d.xact_commit AS pg_commits, d.tup_inserted AS pg_inserts, d.tup_updated AS pg_updates,
    w.wal_bytes AS pg_wal_bytes,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS pg_connections
FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()
"""
TABLES = """
SELECT c.relname AS name, pg_relation_size(c.oid) AS heap, pg_indexes_size(c.oid) AS indexes,
    pg_total_relation_size(c.oid) AS total
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY total DESC
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """PostgreSQL, by its URL, and Redis, by its socket."""

    postgres: str
    redis_socket: Path

    async def counts(self) -> Json:
        """Return the counters of both, and the seconds of CPU time that they have used."""
        connection = await asyncpg.connect(self.postgres)
        try:
            row = dict(await connection.fetchrow(COUNTS))
        finally:
            await connection.close()
        counted = {name: float(value) for name, value in row.items()}
        cpu = await postgres_cpu(self.postgres)
        return {**counted, "pg_cpu": cpu, **await asyncio.to_thread(self._redis_counts)}

    async def sizes(self) -> Json:
        """Return the sizes in bytes of all tables with rows, and of Redis's streams."""
        connection = await asyncpg.connect(self.postgres)
        try:
            await connection.execute("VACUUM FULL")
            tables = [dict(row) for row in await connection.fetch(TABLES)]
            for table in tables:
                table["rows"] = await connection.fetchval(f'SELECT count(*) FROM "{table["name"]}"')
            tokens = await connection.fetchval("SELECT coalesce(sum(output_tokens), 0) FROM generations")
            answers = await connection.fetchval("SELECT count(*) FROM generations")
        finally:
            await connection.close()
        streams = await asyncio.to_thread(self._streams)
        tables = [table for table in tables if table["rows"]]
        return {"answers": answers, "output_tokens": tokens, "tables": tables, **streams}

    def _redis_counts(self) -> Json:
        with redis.Redis(unix_socket_path=str(self.redis_socket)) as client:
            found: Any = client.info()
        return {
            "redis_commands": found["total_commands_processed"],
            "redis_in_bytes": found["total_net_input_bytes"],
            "redis_out_bytes": found["total_net_output_bytes"],
            "redis_cpu": found["used_cpu_sys"] + found["used_cpu_user"],
        }

    def _streams(self) -> Json:
        with redis.Redis(unix_socket_path=str(self.redis_socket)) as client:
            keys: list[Any] = list(client.scan_iter("tertulia:{*}:log", count=1000))
            held = sum(int(str(client.memory_usage(key, samples=0))) for key in keys)
            entries = sum(int(str(client.xlen(key))) for key in keys)
            others = sum(int(str(client.memory_usage(key))) for key in client.scan_iter("tertulia:{*}:holder"))
            memory: Any = client.info("memory")
        used = memory["used_memory"]
        return {
            "streams": len(keys),
            "stream_bytes": held,
            "entries": entries,
            "holder_bytes": others,
            "redis_used": used,
        }


async def postgres_cpu(url: str) -> float:
    """Return the seconds of CPU time that a PostgreSQL server and its running backends have used."""
    connection = await asyncpg.connect(url)
    try:
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        return _family(_parent(backend))
    finally:
        await connection.close()


def difference(after: Json, before: Json, seconds: float) -> Json:
    """Return the rates per second, and the current number of connections."""
    rates = {name: (value - before[name]) / seconds for name, value in after.items()}
    return {**rates, "pg_connections": after["pg_connections"]}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _family(parent: int) -> float:
    """Return the CPU time of a process and of its running children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    total = cpu_seconds(parent)
    for child in children:
        try:
            total += cpu_seconds(int(child))
        except OSError:
            continue  # The child has ended.
    return total
