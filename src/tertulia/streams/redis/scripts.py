"""The keys in Redis, the scripts that change those of a generation, and the entries of its stream.

On a Redis Cluster, generations are divided into partitions, whose keys have the same hash tag, and are therefore on one
node. So a process reads any number of generations with one blocking command, and one connection, for each partition.

A script runs atomically, and refuses a writer whose lease has ended: Redis may have been unavailable or frozen between
the time at which a command was sent and the time at which it runs.
"""

from collections.abc import Sequence
from hashlib import sha1
from itertools import count
from typing import Any
from uuid import UUID

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tertulia.streams.codec import decode
from tertulia.streams.stream import Stream

UNREADABLE = (ValueError, KeyError, TypeError, IndexError)
"""The errors of `extend` for an entry that this version of the server cannot read."""
REPLACED, LATE = -1, -2
"""The results of a script if another process writes the stream, or if the lease has ended."""

_IN_TIME = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] ~= '0' and now >= tonumber(ARGV[3]) then return {{{LATE}, now}} end
"""
TAKE = f"""
{_IN_TIME}
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return {{0, now}}
"""
"""Makes the process ARGV[1] the only one that can append, for ARGV[2] seconds. ARGV[3] is the end of its lease in
milliseconds of Redis's clock; 0 if it does not end."""
APPEND = f"""
{_IN_TIME}
local holder = redis.call('GET', KEYS[2])
if ARGV[7] == '1' then
  redis.call('DEL', KEYS[1])
elseif holder and holder ~= ARGV[1] then
  return {{{REPLACED}, now}}
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
local last = 0
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if tail[1] then last = tonumber(string.match(tail[1][1], '^%d+')) end
if last < tonumber(ARGV[4]) then return {{last, now}} end
if tonumber(ARGV[5]) > last then redis.call('XADD', KEYS[1], ARGV[5] .. '-0', 'e', ARGV[6]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {{tonumber(ARGV[5]), now}}
"""
"""Appends ARGV[6], which are the events after ARGV[4] up to ARGV[5]. If ARGV[7] is 1, they replace the stream. Returns
the last sequence number in the stream, and Redis's time. The number is less than ARGV[5] if events before the batch are
missing in Redis."""
CLOCK = "return redis.call('TIME')"
"""Returns the seconds and microseconds of the clock of the node that has KEYS[1]."""
APPEND_SHA = sha1(APPEND.encode(), usedforsecurity=False).hexdigest()


PARTITIONS = 12
"""The number of partitions on a cluster. Two, three, four, six or twelve nodes hold the same number of them each."""


def partition_tags() -> list[str]:
    """Return the hash tag of each partition on a cluster. Their slots are distributed evenly."""
    tags: dict[int, str] = {}
    for number in count():
        tags.setdefault(key_slot(b"%d" % number) * PARTITIONS // REDIS_CLUSTER_HASH_SLOTS, str(number))
        if len(tags) == PARTITIONS:
            return [tags[partition] for partition in range(PARTITIONS)]
    raise AssertionError


def stream_key(generation_id: UUID, tag: str | None = None) -> str:
    """Return the key of a generation's stream. `tag` is the hash tag of its partition on a cluster."""
    return f"{_prefix(generation_id, tag)}:log"


def holder_key(generation_id: UUID, tag: str | None = None) -> str:
    """Return the key of the id of the process that may write the stream."""
    return f"{_prefix(generation_id, tag)}:holder"


def signals_key(tag: str | None = None) -> str:
    """Return the key of the stream of signals. `tag` is the hash tag of the first partition on a cluster."""
    return "tertulia:signals" if tag is None else f"tertulia:{{{tag}}}:signals"


def wake_key(process: UUID, tag: str | None = None) -> str:
    """Return the key of the stream that wakes the reader of a process."""
    return f"tertulia:wake:{process}" if tag is None else f"tertulia:{{{tag}}}:wake:{process}"


def _prefix(generation_id: UUID, tag: str | None) -> str:
    return f"tertulia:{{{generation_id}}}" if tag is None else f"tertulia:{{{tag}}}:{generation_id}"


def extend(stream: Stream, entries: Sequence[Any]) -> None:
    """Append the events in entries of a Redis stream. Raise one of `UNREADABLE` for an invalid entry."""
    for _, fields in entries:
        for event in decode(stream.generation_id, fields[b"e"]):
            # An entry that was sent twice may overlap with the entry before it.
            if event.sequence > stream.last:
                stream.append(event)
    stream.show(stream.last)
