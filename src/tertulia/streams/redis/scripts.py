"""The keys of a generation in Redis, the scripts that change them, and the entries of its stream.

A script runs atomically, and refuses a writer whose lease has ended: Redis may have been unavailable or frozen between
the time at which a command was sent and the time at which it runs.
"""

from collections.abc import Sequence
from hashlib import sha1
from typing import Any
from uuid import UUID

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
APPEND_SHA = sha1(APPEND.encode(), usedforsecurity=False).hexdigest()


def stream_key(generation_id: UUID) -> str:
    """Return the key of a generation's stream. The braces keep the generation's keys on one node of a cluster."""
    return f"tertulia:{{{generation_id}}}:log"


def holder_key(generation_id: UUID) -> str:
    """Return the key of the id of the process that may write the stream."""
    return f"tertulia:{{{generation_id}}}:holder"


def extend(stream: Stream, entries: Sequence[Any]) -> None:
    """Append the events in entries of a Redis stream. Raise one of `UNREADABLE` for an invalid entry."""
    for _, fields in entries:
        for event in decode(stream.generation_id, fields[b"e"]):
            # An entry that was sent twice may overlap with the entry before it.
            if event.sequence > stream.last:
                stream.append(event)
    stream.show(stream.last)
