"""The keys in Redis, the scripts that change those of a generation, and the entries of its stream.

A process writes the new events of all its answers as one entry of its *journal*, a separate stream, with one line for
each answer. At the latest a second later it stores them in the stream of the answer too. So Redis processes a few
commands for each batch and not for each answer. A reader follows both: the stream, and the journal of the process that
is named in the newest entry of the stream.

On a Redis Cluster, generations are divided into partitions, whose keys have the same hash tag, and are therefore on one
node. So a process reads any number of generations with one blocking command, and one connection, for each partition.

A script runs atomically, and refuses a writer whose lease has ended: Redis may have been unavailable or frozen between
the time at which a command was sent and the time at which it runs.

The first entry of a stream is a marker that earlier versions cannot read. While both versions serve, they neither
overlook the events in the journal nor continue an answer without them: they read the database. The marker is removed
with the last event, and before an answer waits for results of tools.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from itertools import count
from typing import Any
from uuid import UUID

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tertulia.streams.codec import decode
from tertulia.streams.events import GenerationEvent
from tertulia.streams.stream import Stream

UNREADABLE = (ValueError, KeyError, TypeError, IndexError)
"""The errors of `extend` for an entry that this version of the server cannot read."""
REPLACED, LATE, MISSING, CHANGED = -1, -2, -3, -4
"""The results of a script that has written nothing: another process writes streams, the lease has ended, the journal's
newest entry is not the expected one, or another process has written the stream."""
LIFE_WHILE_WRITTEN = 2 * 3600
"""The seconds for which Redis keeps a stream after the last write. They exceed the default wait for tool results."""
FORMAT = b"2"
"""The version of the format, in the marker."""

_IN_TIME = f"""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if deadline ~= '0' and now >= tonumber(deadline) then return {{{LATE}, now}} end
"""
_NUMBER = """
local function newest(key)
  local tail = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if not tail[1] then return 0, {} end
  return tonumber(string.match(tail[1][1], '^%d+')), tail[1][2]
end
"""
TAKE = f"""
local deadline = ARGV[3]
{_IN_TIME}
{_NUMBER}
local last, fields = newest(KEYS[1])
local writer, stored = '', 0
for i = 1, #fields, 2 do
  if fields[i] == 'p' then writer = fields[i + 1] end
  if fields[i] == 'j' then stored = tonumber(fields[i + 1]) end
end
if writer ~= ARGV[4] then return {{{CHANGED}, now, writer}} end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
if writer ~= '' then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[3], string.format('%d-0', stored + 1), '+')) do
    local lines = entry[2][2]
    local _, begin = string.find(lines, '\\n' .. ARGV[5] .. ' ', 1, true)
    if begin then
      local line = string.sub(lines, begin + 1, (string.find(lines, '\\n', begin + 1, true) or 0) - 1)
      local last_of_line, events = string.match(line, '^(%d+) (.*)$')
      if tonumber(last_of_line) > last then
        last = tonumber(last_of_line)
        redis.call('XADD', KEYS[1], last_of_line .. '-0', 'e', events)
      end
    end
  end
end
return {{0, now, writer}}
"""
"""Makes the process ARGV[1] the only one that can append, for ARGV[2] seconds, and adds what only the journal has to
the stream. ARGV[3] is the end of its lease in milliseconds of Redis's clock; 0 if it does not end. ARGV[4] is the
process that has written the stream, and KEYS[3] its journal; if it is empty, the stream needs no journal."""
WRITE = f"""
local deadline = ARGV[2]
{_IN_TIME}
{_NUMBER}
local answers, stored = tonumber(ARGV[8]), tonumber(ARGV[9])
local function argument(answer, number) return ARGV[9 + 5 * (answer - 1) + number] end
local holders = redis.call('MGET', unpack(KEYS, 2, answers + 1))
local refused = {{{REPLACED}, now}}
for i = 1, answers do
  local opens = i <= stored and string.find(argument(i, 5), 'o', 1, true)
  if holders[i] and holders[i] ~= ARGV[1] and not opens then table.insert(refused, i) end
end
if #refused > 2 then return refused end
local number = newest(KEYS[1])
if number ~= tonumber(ARGV[3]) then return {{{MISSING}, now, number}} end
if ARGV[5] ~= '' then
  number = tonumber(ARGV[4])
  redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[6], ARGV[4] .. '-0', 'j', ARGV[5])
  if ARGV[7] ~= '' then redis.call('EXPIRE', KEYS[1], ARGV[7]) end
end
local function store(i)
  local stream, flags = KEYS[answers + 1 + i], argument(i, 5)
  if string.find(flags, 'o', 1, true) then
    redis.call('DEL', stream)
    redis.call('XADD', stream, '0-1', 'v', '{FORMAT.decode()}')
  end
  local last = newest(stream)
  if last < tonumber(argument(i, 1)) then return last end
  if tonumber(argument(i, 2)) > last then
    redis.call('XADD', stream, argument(i, 2) .. '-0', 'e', argument(i, 3), 'p', ARGV[1], 'j', number)
  end
  if string.find(flags, 'p', 1, true) then redis.call('XDEL', stream, '0-1') end
  if argument(i, 4) ~= '' then
    redis.call('SET', KEYS[1 + i], ARGV[1], 'EX', argument(i, 4))
    redis.call('EXPIRE', stream, argument(i, 4))
  end
  return tonumber(argument(i, 2))
end
local results = {{0, now}}
for i = 1, answers do
  if i > stored then
    if not holders[i] then redis.call('SET', KEYS[1 + i], ARGV[1], 'EX', {LIFE_WHILE_WRITTEN}) end
  else
    local stored_it, result = pcall(store, i)
    table.insert(results, stored_it and result or type(result) == 'table' and result.err or result)
  end
end
return results
"""
"""Writes the new events of ARGV[8] answers of the process ARGV[1], and stores those of the first ARGV[9] in their
streams.

KEYS[1] is the journal. Then follow the holder of each answer, and the stream of each answer that is stored. ARGV[2] is
the end of the lease that ends first, as in TAKE. ARGV[3] is the number of the newest entry that the journal must have,
ARGV[4] that of the new one, ARGV[5] its lines, ARGV[6] how many entries are kept, and ARGV[7] for how many seconds; if
it is empty, the journal's life is not extended. For each stored answer follow: the event after which the stored events
begin, the number of the last one, the events, the new life of the keys in seconds if it changes, and the flags `o` if
they replace the stream, and `p` if the marker is removed.

Returns 0, Redis's time and, for each stored answer, the last number in its stream or an error. A number that is less
than expected means that events before these are missing in Redis. With REPLACED, it returns which answers another
process writes; with MISSING, the newest entry of the journal.
"""
CLOCK = "return redis.call('TIME')"
"""Returns the seconds and microseconds of the clock of the node that has KEYS[1]."""
WRITE_SHA = sha1(WRITE.encode(), usedforsecurity=False).hexdigest()


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


def journal_key(process: str, tag: str | None = None) -> str:
    """Return the key of the journal of a process."""
    return f"tertulia:journal:{process}" if tag is None else f"tertulia:{{{tag}}}:journal:{process}"


def _prefix(generation_id: UUID, tag: str | None) -> str:
    return f"tertulia:{{{generation_id}}}" if tag is None else f"tertulia:{{{tag}}}:{generation_id}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The process that stored an entry of a stream. Later events are in its journal after the entry `number`."""

    process: str
    number: int


def extend(stream: Stream, entries: Sequence[Any]) -> Origin | None:
    """Append the events in entries of a Redis stream. Raise one of `UNREADABLE` for an invalid entry.

    Returns:
        The origin of the newest entry; None if there is none, or if another version has written it without a journal.
    """
    origin = None
    for _, fields in entries:
        if b"v" in fields:
            if fields[b"v"] != FORMAT:
                raise ValueError(f"The format {fields[b'v']!r} is unknown.")
            continue
        origin = origin_of(fields)
        _append(stream, decode(stream.generation_id, fields[b"e"]))
    stream.show(stream.last)
    return origin


def origin_of(fields: Any) -> Origin | None:
    """Return the origin of an entry of a stream."""
    return Origin(fields[b"p"].decode(), int(fields[b"j"])) if b"p" in fields else None


def extend_by_line(stream: Stream, line: bytes) -> bool:
    """Append the events of a line of a journal. Return False if the stream lacks events before them."""
    events = decode(stream.generation_id, line)
    if events[0].sequence > stream.last + 1:
        return False
    _append(stream, events)
    stream.show(stream.last)
    return True


def _append(stream: Stream, events: Sequence[GenerationEvent]) -> None:
    for event in events:
        # An entry may overlap with those before it.
        if event.sequence > stream.last:
            stream.append(event)


def journal_line(name: bytes, last: int, events: bytes) -> bytes:
    """Return the line of an answer in an entry of a journal.

    Args:
        name: The id of the generation, as text.
        last: The number of the last event.
        events: The encoded events.
    """
    return b"\n%b %d %b" % (name, last, events)


def journal_lines(fields: Any) -> list[tuple[bytes, int, bytes]]:
    """Return the id, the last number and the encoded events of each answer in an entry of a journal."""
    lines = [line.split(b" ", 2) for line in fields[b"j"].split(b"\n")[1:]]
    return [(generation_id, int(last), events) for generation_id, last, events in lines]
