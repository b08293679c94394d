"""Tertulia embedded in another FastAPI application, which has its own users, routes and login."""

import asyncio
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from client import Api, Json, raw_socket
from fastapi import FastAPI
from running import execute, prepare_database, read_until, running, settings
from starlette.requests import HTTPConnection

import tertulia as package
from tertulia import InvalidInput, NotFound, Redactor, Tertulia, TextFilter, TextStream, ToolContext, Viewer, hook
from tertulia.db.tables import Status

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "embedding"
PEOPLE = {"token-of-ada": Viewer("ada@example.com", "Ada"), "token-of-grace": Viewer("grace@example.com", "Grace")}


async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
    """The host's own login: a token in a header or, from a WebSocket, in `connection_init`."""
    sent = connection.headers.get("authorization") or connection.state.connection_init.get("Authorization", "")
    return PEOPLE.get(sent.removeprefix("Bearer "))


def host(
    folder: Path, prefixes: tuple[str, ...] = ("/ai",), hooks: object = None, **more: Any
) -> tuple[FastAPI, list[Tertulia]]:
    """Return an application with its own route and a Tertulia under each prefix."""
    parts: list[Tertulia] = []
    for number, _ in enumerate(prefixes):
        own_folder = folder / str(number)
        own_folder.mkdir()
        configured = settings(own_folder, **more)
        prepare_database(configured.database_url)
        parts.append(Tertulia(configured, authenticate=who_is_asking, hooks=hooks))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with parts[0].lifespan(app):
            if len(parts) == 1:
                yield
                return
            async with parts[1].lifespan(app):
                yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/hello")
    async def hello() -> str:
        return "Hello from the host"

    for prefix, part in zip(prefixes, parts, strict=True):
        app.mount(prefix, part.app)
    return app, parts


@pytest.fixture
def address(tmp_path: Path) -> Generator[str]:
    app, _ = host(tmp_path, ("/ai", "/other/ai"))
    with running(app) as url:
        yield url


@pytest.mark.parametrize("prefix", ["/ai", "/other/ai"])
def test_the_hosts_users_can_chat_under_each_prefix(address: str, prefix: str) -> None:
    with Api(address + prefix, "token-of-ada") as ada, Api(address + prefix, "token-of-grace") as grace:
        sent = ada.send("Hello, my name is Ada")
        assert ada.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
        assert ada.ask("{ viewer { id name } }")["viewer"] == {"id": "ada@example.com", "name": "Ada"}
        assert grace.ask("{ conversations { edges { node { id } } } }")["conversations"]["edges"] == []


def test_two_tertulias_in_one_application_share_nothing(address: str) -> None:
    with Api(f"{address}/ai", "token-of-ada") as one, Api(f"{address}/other/ai", "token-of-ada") as other:
        one.answer("Hello")
        assert other.ask("{ conversations { edges { node { id } } } }")["conversations"]["edges"] == []


def test_the_hosts_own_routes_and_errors_are_unchanged(address: str) -> None:
    assert httpx2.get(f"{address}/hello").json() == "Hello from the host"
    assert httpx2.get(f"{address}/missing").json() == {"detail": "Not Found"}


def test_clients_that_the_host_does_not_authenticate_are_refused_everywhere(address: str) -> None:
    response = httpx2.post(f"{address}/ai/graphql", json={"query": "{ viewer { id } }"})
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert httpx2.post(f"{address}/ai/chat", json={"message": "Hello"}).status_code == 401
    with raw_socket(f"{address}/ai") as socket:
        socket.send('{"type": "connection_init"}')
        with pytest.raises(Exception, match="4403"):
            socket.recv()


def test_the_hosts_users_have_the_limits_of_a_server_with_many_users(address: str) -> None:
    with Api(f"{address}/ai", "token-of-ada") as ada:
        limits = ada.ask("{ viewer { limits { name maximum } } }")["viewer"]["limits"]
        assert {"requests", "sends", "uploads"} <= {limit["name"].lower() for limit in limits}


def test_tools_and_text_filters_get_the_hosts_id_of_the_user_in_answers_that_start_at_once_or_later(
    tmp_path: Path,
) -> None:
    subjects: list[str | None] = []

    class Filters:
        @hook(timeout=1, on_error="refuse")
        def transform_text(self, stream: TextStream) -> TextFilter:
            subjects.append(stream.user_subject)
            return Redactor("x", "x", longest=1)

    app, _ = host(tmp_path, hooks=Filters(), tools=("some_tools:identify",))
    with running(app) as address, Api(f"{address}/ai", "token-of-ada") as ada:
        first = ada.send("/simulate call identify {}")
        conversation = first["conversation"]["id"]
        ada.follow(first["generation"]["id"])
        hanging = ada.send("/simulate hang", conversationId=conversation)
        queued = ada.send("/simulate call identify {}", conversationId=conversation, whenBusy="QUEUE")
        ada.stop(hanging["generation"]["id"])
        ada.follow(queued["generation"]["id"])
        blocks = [block for message in ada.messages(conversation) for block in message["content"]]
    known = [block["output"] for block in blocks if block["__typename"] == "ToolResultBlock"]
    # The same for both, although the row of the user is read only for the second.
    assert known[0] == known[1]
    assert known[0]["subject"] == "ada@example.com"
    assert set(subjects) == {"ada@example.com"}


def test_answers_can_be_sent_followed_and_stopped_from_python(tmp_path: Path) -> None:
    _, (tertulia,) = host(tmp_path, simulator_pace=0.5)

    async def work() -> None:
        async with tertulia.lifespan():
            ada, grace = PEOPLE["token-of-ada"], PEOPLE["token-of-grace"]
            sent = await tertulia.send(ada, "Hello, my name is Ada")
            events = [event async for event in tertulia.follow(ada, sent.generation.id)]
            assert type(events[-1]).__name__ == "GenerationCompleted"
            longer = await tertulia.send(ada, "/simulate long 2000", conversation_id=sent.conversation.id)
            assert (await tertulia.stop(ada, longer.generation.id)).status is Status.STOPPED
            with pytest.raises(InvalidInput, match="text"):
                await tertulia.send(ada, " ")
            with pytest.raises(NotFound, match="no generation"):
                await anext(tertulia.follow(grace, sent.generation.id))

    asyncio.run(work())


def test_messages_from_python_can_name_the_assistant_the_applications_conversation_and_the_context(
    tmp_path: Path,
) -> None:
    assistants = tmp_path / "assistants"
    assistants.mkdir()
    (assistants / "clerk.md").write_text("---\nname: Clerk\n---\nYou sell books.\n")
    _, (tertulia,) = host(tmp_path, assistants=str(assistants))

    async def work() -> None:
        async with tertulia.lifespan():
            ada = PEOPLE["token-of-ada"]
            sent = await tertulia.send(
                ada, "Hello", external_id="order-7", assistant_id="clerk", context={"page": "/orders/7"}
            )
            assert (sent.conversation.external_id, sent.conversation.assistant) == ("order-7", "clerk")
            assert sent.user_message.context == {"page": "/orders/7"}
            async for _ in tertulia.follow(ada, sent.generation.id):
                pass
            again = await tertulia.send(ada, "And now?", external_id="order-7")
            assert again.conversation.id == sent.conversation.id
            with pytest.raises(InvalidInput, match="assistantId"):
                await tertulia.send(ada, "Hello", assistant_id="nobody")

    asyncio.run(work())


def count_letters(text: str, context: ToolContext) -> str:
    """Count the letters of a text."""
    return f"{len(text)} letters for {context.user_subject}"


def test_functions_of_the_application_can_be_tools(tmp_path: Path) -> None:
    app, _ = host(tmp_path, tools=(count_letters,))
    with running(app) as url, Api(f"{url}/ai", "token-of-ada") as ada:
        sent = ada.send('/simulate call count_letters {"text": "four"}')
        ada.follow(sent["generation"]["id"])
        outputs = [
            block["output"]
            for message in ada.messages(sent["conversation"]["id"])
            for block in message["content"]
            if block["__typename"] == "ToolResultBlock"
        ]
        assert outputs == ["4 letters for ada@example.com"]


def test_the_example_signs_a_user_in_with_a_cookie_and_answers(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TERTULIA_", "ANTHROPIC_"))},
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}",
        "TERTULIA_ATTACHMENTS": str(tmp_path / "files"),
    }
    command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(EXAMPLE), "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            line = read_until(process, "(Press CTRL+C")
            address = re.findall(r"http://[\d.:]+", line)[0]
            with Api(f"{address}/ai") as api:
                assert api.post("{ viewer { id } }").status_code == 401
                api.http.cookies = httpx2.get(f"{address}/login/ada").cookies
                sent = api.send("Hello")
                assert sent["userMessage"]["text"] == "Hello"
                assert api.ask("{ viewer { name } }")["viewer"] == {"name": "Ada Lovelace"}
                assert api.ask("{ greeting }") == {"greeting": "Hello, Ada Lovelace!"}
        finally:
            process.send_signal(signal.SIGTERM)
            printed = process.communicate(timeout=120)[0]
            assert process.returncode in (0, -signal.SIGTERM)
    assert "POST /ai/graphql" in printed
    assert "/v1/" not in printed, "requests to the simulated Claude must not be in the host's access log"


def test_the_public_api_is_what_the_package_exports() -> None:
    public = {
        *("BudgetExceeded", "ConversationBusy", "FieldContext", "Image", "InvalidInput", "NotFound", "RateLimited"),
        *("Settings", "Tertulia", "ToolContext", "ToolError", "Viewer", "WrongSetting", "__version__", "tool"),
        *("Answer", "Document", "Redactor", "Refusal", "Send", "SendRefused", "TextFilter", "TextStream", "hook"),
    }
    assert set(package.__all__) == public
    assert {name for name in public if getattr(package, name, None) is None} == set()
    with pytest.raises(AttributeError, match="no attribute 'Question'"):
        getattr(package, "Question")  # noqa: B009 - a type checker knows that there is none


def test_every_name_of_the_public_api_is_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = re.findall(r"^(?:::: tertulia\.|### `)(\w+)", page, re.MULTILINE)
    assert sorted(documented) == sorted(package.__all__)
    for name in set(package.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(package, name)), name


def test_the_hosts_logging_is_not_changed(tmp_path: Path) -> None:
    def state() -> dict[str, Any]:
        loggers = [logging.getLogger(name) for name in (None, *logging.root.manager.loggerDict)]
        others = [one for one in loggers if not one.name.startswith(("tertulia", "alembic"))]
        return {one.name: (one.level, one.propagate, one.disabled, list(one.handlers)) for one in others}

    _, (tertulia,) = host(tmp_path)

    async def work() -> None:
        before = state()
        async with tertulia.lifespan():
            now = state()
            assert {name: now[name] for name in before} == before

    asyncio.run(work())


@pytest.mark.joined
def test_a_stopped_server_leaves_no_connection_open(tmp_path: Path, place: Json) -> None:
    app, _ = host(tmp_path, **place)
    with running(app) as address, Api(f"{address}/ai", "token-of-ada") as ada:
        ada.follow(ada.send("Hello")["generation"]["id"])
        assert connections_to_redis(place) > 0
        assert connections_to_postgres(place) > 0
    assert connections_to_redis(place) == 0
    assert connections_to_postgres(place) == 0


def connections_to_redis(place: Json) -> int:
    with redis.Redis.from_url(place["redis_url"]) as client:
        number = client.connection_pool.connection_kwargs["db"]
        own = client.client_id()
        return sum(1 for one in client.client_list() if one["db"] == str(number) and one["id"] != str(own))


def connections_to_postgres(place: Json) -> int:
    counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"
    return int(execute(place, counted)[0][0])


def test_calls_outside_the_lifespan_fail_with_an_explanation(tmp_path: Path) -> None:
    _, (tertulia,) = host(tmp_path)

    async def enter_and_leave() -> None:
        async with tertulia.lifespan():
            pass

    for _ in range(2):
        with pytest.raises(RuntimeError, match="lifespan"):
            asyncio.run(tertulia.send(PEOPLE["token-of-ada"], "Hello"))
        asyncio.run(enter_and_leave())
