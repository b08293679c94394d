"""The walk over all failpoints: an error at a step affects only the item that is processed.

At each step four items get an error whenever they reach it: a TypeError, a KeyError, a MemoryError and a database
error. Steps of new loops are included automatically; their test fails if the workload does not reach them.

`make test` walks one step of each part of the server, and `make chaos` walks all.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any
from uuid import uuid4

import forking
import pytest
from client import TERMINAL, Api, Json, sleep_between_polls, wait_until
from running import running, tertulia
from scripted import START, begin, delta, end, finish, model, says, sse, uses
from servers import Servers
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tertulia import failpoints, isolation
from tertulia.generation import continuation, manager

ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: TypeError("struck"),
    lambda: KeyError("struck"),
    lambda: MemoryError("struck"),
    lambda: OperationalError("struck", {}, Exception("struck")),
)
for module in walk_packages([str(forking.CODE / "tertulia")], "tertulia."):
    # Modules declare failpoints when they are imported, and some are imported only when they are used.
    if not module.name.endswith("__main__") and "migrations" not in module.name:
        import_module(module.name)
ONCE = ("end.save_failure",)
"""Steps at which an item gets its error only once: an end that can never be saved is retried forever."""
STEPS = sorted(name for name in failpoints.declared() if not name.startswith("test."))
REACHED_THROUGH = {
    "end.parts": "end.save",
    "end.save_failure": "end.save",
    "end.given_up": "end",
}
"""Steps that are reached only after an error at another step."""
AT_START = ("changes.", "end.given_up", "models.", "removal.", "retention", "search.", "takeover")
"""Steps that a server reaches for the work that it finds when it starts. The other walks share a running server."""
FAMILIES = {step.partition(".")[0]: step for step in reversed(STEPS)}
"""For each part of the server, its first step. `make chaos` walks all the other ones."""
ITEMS = 5
"""Messages of each kind. Four get an error, and one must not be affected."""
MAX_NODES = 100
WAIT = 60.0
UNFINISHED = ("QUEUED", "RUNNING")
STATES = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Generation { id status } } }"


def walked_at(steps: Iterable[str]) -> list[Any]:
    """Return steps as parameters. Those that are not the first ones of their part run in `make chaos`."""
    return [pytest.param(step, marks=() if step in FAMILIES.values() else pytest.mark.chaos) for step in steps]


class Strikes:
    """Raises an error for each of the first four items at a step, every time that they reach it."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.reached = 0
        self.struck: dict[str, Callable[[], Exception]] = {}

    def __call__(self, item: Any) -> None:
        self.reached += 1
        # A step without an item raises each of the errors once.
        key = f"{item if item is not None else self.reached}"
        is_new = key not in self.struck and len(self.struck) < len(ERRORS)
        if is_new:
            self.struck[key] = ERRORS[len(self.struck)]
        if key in self.struck and (is_new or self.step not in ONCE):
            error = self.struck[key]()
            raise error

    def spared(self, id: str) -> bool:
        return not any(key.startswith(id) for key in self.struck)


@dataclass
class Served:
    """Clients of the servers of several walks, and the ids of all generations that these have started."""

    api: Api
    reader: Api
    sent: list[str] = field(default_factory=list[str])


@contextmanager
def armed(step: str) -> Generator[list[Strikes]]:
    """Raise errors at a step, and at the step through which it is reached."""
    with ExitStack() as stack:
        strikes = [Strikes(name) for name in (step, REACHED_THROUGH.get(step)) if name is not None]
        for one in strikes:
            stack.enter_context(failpoints.armed(one.step, one))
        yield strikes


async def messages(request: Request) -> Response:
    """Answer with a tool call and then with text.

    For the message `wait`, call a tool that requires approval, and for the message `more`, break off.
    """
    asked = await request.json()
    if not asked.get("stream"):
        usage = {"input_tokens": 1, "output_tokens": 1}
        content = [{"type": "text", "text": "A title"}]
        return JSONResponse({"type": "message", "content": content, "stop_reason": "end_turn", "usage": usage})
    last = asked["messages"][-1]["content"][-1]
    if last["type"] == "tool_result":
        return Response(b"".join(map(sse, says("done").pieces)), media_type="text/event-stream")
    if last["text"] == "wait":
        return Response(b"".join(map(sse, uses(("pay", {"amount": 1})).pieces)), media_type="text/event-stream")
    if last["text"] == "more":
        begun = [START, begin(0, type="text", text=""), delta(0, "text_delta", text="word ")]
        return Response(b"".join(map(sse, begun)), media_type="text/event-stream")
    return StreamingResponse(slowly(), media_type="text/event-stream")


async def slowly() -> AsyncIterator[bytes]:
    yield sse(START) + sse(begin(0, type="text", text=""))
    for _ in range(8):
        yield sse(delta(0, "text_delta", text="word "))
        await asyncio.sleep(0.05)
    call = begin(1, type="tool_use", id=f"toolu_{uuid4().hex}", name="who", input={})
    yield b"".join(map(sse, [finish(0), call, finish(1), *end("tool_use")]))


async def models(_request: Request) -> Response:
    listed = [model("claude-opus-5-5"), model("claude-haiku-5-5")]
    return JSONResponse({"data": listed, "has_more": False, "first_id": None, "last_id": None})


@pytest.fixture(scope="module")
def claude() -> Generator[dict[str, Any]]:
    routes = [Route("/v1/messages", messages, methods=["POST"]), Route("/v1/models", models)]
    with running(Starlette(routes=routes), lifespan="off") as address:
        yield {
            "anthropic_api_key": "sk-ant-walk",
            "anthropic_base_url": address,
            "tools": ("some_tools",),
            "title_model": "claude-haiku-5-5",
            "lease_seconds": 3.0,
        }


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory, claude: dict[str, Any]) -> Path:
    """A database with answers of a lost process, old temporary conversations, and files that no attachment uses."""
    folder = tmp_path_factory.mktemp("seeds")
    with tertulia(folder, **(claude | {"tools": (), "title_model": ""})) as address, Api(address) as api:
        interrupted = [api.send("left") for _ in range(ITEMS)]
        old = [api.send("old", temporary=True) for _ in range(ITEMS)]
        for sent in (*interrupted, *old):
            ended(api, [sent["generation"]["id"]])
    with closing(sqlite3.connect(folder / "tertulia.db")) as connection, connection as database:
        for sent in interrupted:
            set_lost = f"status = 'running', holder = '{uuid4().hex}', lease_until = '2026-01-01', finished_at = NULL"
            database.execute(f"UPDATE generations SET {set_lost} WHERE id = '{_hex(sent['generation']['id'])}'")
        for sent in old:
            where = f"id = '{_hex(sent['conversation']['id'])}'"
            database.execute(f"UPDATE conversations SET updated_at = '2026-01-01' WHERE {where}")
        for _ in range(ITEMS):
            database.execute(f"INSERT INTO blobs (id, created_at) VALUES ('{uuid4().hex}', '2026-01-01')")
        database.commit()
        # Only the database file is copied, so it must contain the changes.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "tertulia.db"


def _hex(id: str) -> str:
    return id.replace("-", "")


def ended(api: Api, ids: list[str]) -> dict[str, str]:
    """Wait until all generations have ended or wait for their client, and return their statuses."""
    until = time.monotonic() + WAIT
    while True:
        statuses = {one["id"]: one["status"] for one in api.ask(STATES, ids=ids)["nodes"]}
        if not any(status in UNFINISHED for status in statuses.values()):
            return statuses
        assert time.monotonic() < until, statuses
        sleep_between_polls(0.1)


def workload(api: Api, reader: Api) -> dict[str, list[str]]:
    """Send messages that reach all steps, follow some answers, and return the generations by their expected status."""

    def queue(sent: Json) -> Json:
        return api.send("more", conversationId=sent["conversation"]["id"], whenBusy="QUEUE")

    def follow(sent: Json) -> list[Json]:
        return reader.follow(sent["generation"]["id"])

    with ThreadPoolExecutor(ITEMS) as pool:
        first = list(pool.map(api.send, ["talk"] * ITEMS))
        second = list(pool.map(queue, first))
        waiting = list(pool.map(api.send, ["wait"] * ITEMS))
        for events in pool.map(follow, first):
            assert events[-1]["__typename"] in TERMINAL
    return {
        "COMPLETED": [sent["generation"]["id"] for sent in (*first, *second)],
        "AWAITING_TOOL_RESULTS": [sent["generation"]["id"] for sent in waiting],
    }


def assert_others_unaffected(api: Api, strikes: list[Strikes], sent: dict[str, list[str]]) -> None:
    """Assert that each answer ends, and that answers without an error have the expected status."""
    for expected, ids in sent.items():
        for id, status in ended(api, ids).items():
            if all(strike.spared(id) for strike in strikes):
                assert status == expected, (id, strikes[0].struck)
    for id in sent["AWAITING_TOOL_RESULTS"]:
        assert api.stop(id)["generation"]["status"] in {"STOPPED", "FAILED"}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, claude: dict[str, Any]) -> Generator[Served]:
    with walked(tmp_path_factory.mktemp("embedded"), claude, replicas=1) as served:
        yield served


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory, claude: dict[str, Any], servers: Servers) -> Generator[Served]:
    # Shorter leases would lapse on a busy machine, and the other replica would take over healthy answers.
    settings = claude | servers.settings() | {"lease_seconds": 10.0}
    with walked(tmp_path_factory.mktemp("joined"), settings, replicas=2) as served:
        yield served


@pytest.fixture(scope="module", autouse=True)
def frequent_checkpoints_without_delays() -> Generator[None]:
    # An interval is read when a server starts, and most servers here start before the first test.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manager, "CHECKPOINT_SECONDS", 0.2)
        patched.setattr(continuation, "FIRST_DELAY", 0.0)
        yield


@contextmanager
def walked(folder: Path, settings: dict[str, Any], replicas: int) -> Generator[Served]:
    """Serve replicas to several walks. A server that starts after them must find all answers ended."""
    with ExitStack() as stack:
        addresses = [stack.enter_context(tertulia(folder, **settings)) for _ in range(replicas)]
        api, reader = (stack.enter_context(Api(address)) for address in (addresses[0], addresses[-1]))
        yield (served := Served(api, reader))
    with tertulia(folder, **settings) as address, Api(address) as api:
        assert api.http.get("/readyz").status_code == 200
        for start in range(0, len(served.sent), MAX_NODES):
            statuses = ended(api, served.sent[start : start + MAX_NODES])
            assert set(statuses.values()) <= {"COMPLETED", "STOPPED", "FAILED"}
        again = api.send("talk")["generation"]["id"]
        assert ended(api, [again]) == {again: "COMPLETED"}


@pytest.mark.usefixtures("sweeps")
@pytest.mark.parametrize("step", walked_at(step for step in STEPS if step.startswith(AT_START)))
def test_an_error_at_a_step_of_the_start_affects_only_its_item(
    step: str, tmp_path: Path, claude: dict[str, Any], seeds: Path
) -> None:
    (tmp_path / "tertulia.db").write_bytes(seeds.read_bytes())
    with armed(step) as strikes, walked(tmp_path, claude, replicas=1) as served:
        walk(step, strikes, served)


@pytest.mark.parametrize("step", walked_at(step for step in STEPS if not step.startswith((*AT_START, "redis."))))
def test_an_error_at_a_step_affects_only_its_item(step: str, embedded: Served) -> None:
    with armed(step) as strikes:
        walk(step, strikes, embedded)


@pytest.mark.parametrize("step", walked_at(step for step in STEPS if step.startswith("redis.")))
def test_an_error_at_a_redis_step_affects_only_its_item(step: str, joined: Served) -> None:
    with armed(step) as strikes:
        walk(step, strikes, joined)


def walk(step: str, strikes: list[Strikes], served: Served) -> None:
    """Send messages while errors are raised at a step, and assert that only their items are affected."""
    api = served.api
    assert api.http.get("/readyz").status_code == 200
    sent = workload(api, served.reader)
    served.sent += [id for ids in sent.values() for id in ids]
    assert_others_unaffected(api, strikes, sent)
    assert api.http.get("/readyz").status_code == 200
    # Background tasks such as retention may reach the step only after the workload.
    wait_until(lambda: all(strike.struck for strike in strikes), f"an item that reaches {step}")
    struck = {key: type(error()).__name__ for key, error in strikes[0].struck.items()}
    print(json.dumps({"step": step, "reached": strikes[0].reached, "struck": struck}))


def test_each_loop_over_many_items_has_a_step() -> None:
    assert {name for name in isolation.loops() if not name.startswith("test.")} <= set(STEPS)
