"""The memory of assistants: what Claude stores and reads, and what its viewer can list, change, export and delete."""

import asyncio
import json
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from client import Api, Json
from conftest import EMBEDDED
from hypothesis import given, settings
from hypothesis import strategies as st
from people import MODE, PASSWORD, register, signed
from rows import Rows, empty_file, with_database
from running import tertulia
from test_assistants import write
from test_guests import enter, sign_in

from tertulia.assistants.catalog import AssistantCatalog
from tertulia.assistants.definition import AssistantError
from tertulia.claude.models import Model
from tertulia.db import memories, tool_calls
from tertulia.db.database import Database
from tertulia.db.tables import Conversation
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.generation.contribution import AssistantContribution, select_tools
from tertulia.tools.base import ToolContext, ToolError
from tertulia.tools.memory import MemoryTool
from tertulia.tools.memory_files import MAX_FILE_BYTES, MAX_FILES, path_problem
from tertulia.tools.registry import ToolRegistry

pytestmark = pytest.mark.both

MEMORIES = """query ($assistant: ID) { viewer { memories(assistantId: $assistant, first: 100) { edges { node {
  id assistantId assistant { id memory } path content sizeBytes createdAt updatedAt } } } } }"""
UPDATE = """mutation ($input: UpdateMemoryInput!) { result: updateMemory(input: $input) {
  __typename ... on MemoryPayload { memory { content sizeBytes updatedAt } } ... on InvalidInput { field } ... on Error { message } } }"""
DELETE = "mutation ($id: ID!) { result: deleteMemory(id: $id) { __typename ... on DeletedMemory { deletedId } ... on NotFound { id } } }"
EDITED = "The memory file has been edited. Here is the snippet showing the change (with line numbers):"
ROOT = "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items:"


def assistants(folder: Path) -> str:
    files = {"helper": "---\nmemory: true\n---\nHelp.\n", "other": "---\nmemory: true\n---\nHelp too.\n"}
    return str(write(folder / "assistants", **files, plain="---\nname: Plain\n---\nHelp.\n"))


@pytest.fixture(scope="module")
def shared(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server with accounts, whose assistants have a memory. Each test has its own account."""
    folder = tmp_path_factory.mktemp("memories")
    more = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    plans = folder / "plans.toml"
    plans.write_text('[guest]\nmessages = "100/day"\n')
    with tertulia(folder, **more, **MODE, assistants=assistants(folder), plans=str(plans), guests=True) as address:
        yield address


@pytest.fixture
def api(shared: str, request: pytest.FixtureRequest) -> Generator[Api]:
    name = f"user{abs(hash(request.node.nodeid))}"
    with signed(shared, register(shared, name)) as client:
        yield client


def command(*commands: Json) -> str:
    return "\n".join(f"/simulate call memory {json.dumps(values)}" for values in commands)


def run(api: Api, *commands: Json, **more: Any) -> list[str]:
    """Send a message that makes Claude call the memory tool, and return the results."""
    sent = api.send(command(*commands), **({"assistantId": "helper"} | more))
    assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    answer = api.messages(sent["conversation"]["id"])[-1]["content"]
    return [block["output"] for block in answer if block["__typename"] == "ToolResultBlock"]


def create(path: str, text: str) -> Json:
    return {"command": "create", "path": path, "file_text": text}


def view(path: str = "/memories", **more: Any) -> Json:
    return {"command": "view", "path": path} | more


def stored(api: Api, assistant: str | None = None) -> list[Json]:
    edges = api.ask(MEMORIES, assistant=assistant)["viewer"]["memories"]["edges"]
    return [edge["node"] for edge in edges]


def paths(api: Api) -> list[str]:
    return sorted(memory["path"] for memory in stored(api))


def test_claude_remembers_across_conversations(api: Api) -> None:
    api.answer("/simulate remember The user likes tea.", assistantId="helper")
    assert (
        "The user likes tea." in api.answer("/simulate recall", assistantId="helper")["generation"]["message"]["text"]
    )
    (memory,) = stored(api)
    assert (memory["path"], memory["content"]) == ("/memories/the-user-likes-tea.md", "The user likes tea.\n")
    assert (memory["assistantId"], memory["assistant"]) == ("helper", {"id": "helper", "memory": True})


def test_an_assistant_has_its_own_memory_and_only_if_its_file_turns_it_on(api: Api) -> None:
    run(api, create("/memories/a.md", "A"))
    assert run(api, view(), assistantId="other") == [f"{ROOT}\n0B\t/memories"]
    assert [memory["path"] for memory in stored(api, "helper")] == ["/memories/a.md"]
    assert stored(api, "other") == stored(api, "\0") == []
    assert run(api, view(), assistantId="plain") == []
    assert "no memory" in api.answer("/simulate recall", assistantId="plain")["generation"]["message"]["text"]


def test_a_temporary_conversation_neither_reads_nor_writes_memories(api: Api) -> None:
    run(api, create("/memories/a.md", "secret"))
    created = api.ask("""mutation { createConversation(input: {temporary: true, assistantId: "helper"}) {
        ... on ConversationPayload { conversation { id } } } }""")["createConversation"]
    sent = api.send(command(view(), create("/memories/b.md", "B")), conversationId=created["conversation"]["id"])
    assert "secret" not in api.follow(sent["generation"]["id"])[-1]["generation"]["message"]["text"]
    assert paths(api) == ["/memories/a.md"]


def test_memory_commands_have_the_results_that_the_api_documents(api: Api) -> None:
    lines = "one\ntwo\nthree\nfour\n"
    assert run(api, create("/memories/notes/a.md", lines)) == ["File created successfully at: /memories/notes/a.md"]
    assert run(api, view()) == [f"{ROOT}\n19B\t/memories\n19B\t/memories/notes/\n19B\t/memories/notes/a.md"]
    assert run(api, view("/memories/notes/a.md", view_range=[2, 3])) == [
        "Here's the content of /memories/notes/a.md with line numbers:\n     2\ttwo\n     3\tthree"
    ]
    replace = {"command": "str_replace", "path": "/memories/notes/a.md", "old_str": "two", "new_str": "2"}
    assert run(api, replace) == [f"{EDITED}\n     1\tone\n     2\t2\n     3\tthree\n     4\tfour"]
    insert = {"command": "insert", "path": "/memories/notes/a.md", "insert_line": 0, "insert_text": "zero"}
    assert run(api, insert) == ["The file /memories/notes/a.md has been edited."]
    assert stored(api)[0]["content"] == "zero\none\n2\nthree\nfour\n"
    moved = {"command": "rename", "old_path": "/memories/notes", "new_path": "/memories/old"}
    assert run(api, moved) == ["Successfully renamed /memories/notes to /memories/old"]
    assert paths(api) == ["/memories/old/a.md"]
    assert run(api, {"command": "delete", "path": "/memories/old"}) == ["Successfully deleted /memories/old"]
    assert stored(api) == []


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (create("/memories/a.md", "new"), "File /memories/a.md already exists"),
        (create("/memories/a.md/b", "x"), "The path /memories/a.md is a file, not a directory."),
        (create("/memories/../x", "x"), "Path /memories/../x would escape /memories directory"),
        (create("/etc/passwd", "x"), "Path must start with /memories, got: /etc/passwd"),
        (create("/memories", "x"), "File /memories already exists"),
        (create("/memories/.x", "x"), "The name '.x' in the path must have 1 to 100 printable characters"),
        (create("/memories/a\\..\\b", "x"), "The name 'a\\\\..\\\\b' in the path must have"),
        (create("/memories/a//b", "x"), "The name '' in the path must have"),
        (create("/memories/" + "a/" * 9 + "b", "x"), "A path must have at most 8 levels below /memories."),
        (create("/memories/b", "x" * (MAX_FILE_BYTES + 1)), "The content of /memories/b must have at most 65,536 bytes"),
        (view("/memories/b"), "The path /memories/b does not exist. Please provide a valid path."),
        ({"command": "delete", "path": "/memories"}, "Cannot delete the /memories directory itself"),
        ({"command": "delete", "path": "/memories/b"}, "The path /memories/b does not exist"),
        ({"command": "rename", "old_path": "/memories/b", "new_path": "/memories/c"}, "The path /memories/b does not"),
        ({"command": "rename", "old_path": "/memories/a.md", "new_path": "/memories"}, "The destination /memories alr"),
        ({"command": "rename", "old_path": "/memories", "new_path": "/memories/x"}, "Cannot rename the /memories dir"),
        ({"command": "rename", "old_path": "/memories/d", "new_path": "/memories/d/x"}, "The destination /memories/d/x"),
        ({"command": "str_replace", "path": "/memories/d", "old_str": "a", "new_str": ""}, "The path /memories/d is no"),
        ({"command": "str_replace", "path": "/memories/a.md", "old_str": "no", "new_str": ""}, "No replacement was perf"),
        ({"command": "str_replace", "path": "/memories/a.md", "old_str": "l", "new_str": ""}, "No replacement was perf"),
        ({"command": "insert", "path": "/memories/a.md", "insert_line": 9, "insert_text": ""}, "Invalid `insert_line`"),
        ({"command": "insert", "path": "/memories/a.md"}, "Invalid arguments for the tool memory: insert_line: Field"),
        ({"command": "find", "path": "/memories"}, "Invalid arguments for the tool memory: command: Input tag 'find'"),
    ],
)  # fmt: skip
@pytest.mark.embedded
def test_a_command_that_cannot_be_carried_out_changes_nothing(tmp_path: Path, values: Json, error: str) -> None:
    async def test(database: Database) -> None:
        memory = await Memory.of(database)
        await memory.run(create("/memories/a.md", "All\nthe lines.\n"))
        await memory.run(create("/memories/d/e", "E"))
        before = await memory.contents()
        with pytest.raises(ToolError) as raised:
            await memory.run(values)
        assert str(raised.value).startswith(error)
        assert await memory.contents() == before

    with_database(tmp_path, test)


@dataclass
class Memory:
    """The memory of an assistant in a database, and a generation whose calls can be run."""

    database: Database
    owner: UUID
    conversation: UUID
    generation: UUID

    @classmethod
    async def of(cls, database: Database) -> "Memory":
        async with database.write() as session:
            rows = Rows(session)
            owner = await rows.user()
            conversation = await rows.conversation(owner)
            return cls(database, owner, conversation, await rows.generation(conversation))

    async def run(self, values: Json, tool_use_id: str | None = None) -> str:
        """Run a command as the call of a tool, which is recorded first if it is new."""
        id = tool_use_id or f"toolu_{json.dumps(values)}"
        async with self.database.write() as session:
            if await tool_calls.get(session, self.generation, id) is None:
                session.add(
                    ToolCall(
                        owner_id=self.owner,
                        conversation_id=self.conversation,
                        generation_id=self.generation,
                        tool_use_id=id,
                        name="memory",
                        status=CallStatus.RUNNING,
                    )
                )
        context = ToolContext(self.owner, "ada", self.conversation, self.generation, id)
        result = await MemoryTool(self.database, "helper").call(values, context)
        return str(result.parts[0])

    async def contents(self) -> dict[str, str]:
        async with self.database.read() as session:
            return {memory.path: memory.content for memory in await memories.all_of(session, self.owner)}


@pytest.mark.embedded
def test_a_call_that_is_repeated_after_a_crash_changes_nothing_and_has_the_same_result(tmp_path: Path) -> None:
    append = {"command": "insert", "path": "/memories/a.md", "insert_line": 0, "insert_text": "first"}

    async def test(database: Database) -> None:
        memory = await Memory.of(database)
        await memory.run(create("/memories/a.md", "last\n"))
        results = [await memory.run(append, "toolu_1") for _ in range(2)]
        assert results == ["The file /memories/a.md has been edited."] * 2
        assert await memory.contents() == {"/memories/a.md": "first\nlast\n"}
        async with database.write() as session:
            await tool_calls.settle(session, memory.generation, {"toolu_1": CallStatus.SUCCEEDED})
        with pytest.raises(ToolError, match="ended already"):
            await memory.run(append, "toolu_1")
        assert await memory.contents() == {"/memories/a.md": "first\nlast\n"}

    with_database(tmp_path, test)


@pytest.mark.embedded
def test_files_and_their_total_size_are_limited(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        memory = await Memory.of(database)
        for number in range(16):
            await memory.run(create(f"/memories/large{number}", "x" * MAX_FILE_BYTES))
        with pytest.raises(ToolError, match="all files would have 1,048,577 bytes"):
            await memory.run(create("/memories/one-more", "x"))
        for number in range(16, MAX_FILES):
            await memory.run(create(f"/memories/empty{number}", ""))
        with pytest.raises(ToolError, match="the memory has 100 files already"):
            await memory.run(create("/memories/one-more", ""))

    with_database(tmp_path, test)


def test_answers_that_write_at_the_same_time_lose_nothing(api: Api) -> None:
    run(api, create("/memories/list.md", ""))
    lines = [f"line {number}" for number in range(6)]

    def insert(line: str) -> None:
        values = {"command": "insert", "path": "/memories/list.md", "insert_line": 0, "insert_text": line}
        assert run(api, values, values | {"insert_text": f"{line} again"}) != []

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(insert, lines))
    content = stored(api)[0]["content"].splitlines()
    assert sorted(content) == sorted([*lines, *(f"{line} again" for line in lines)])


def test_the_viewer_changes_and_deletes_memories(api: Api) -> None:
    run(api, create("/memories/a.md", "old"))
    (memory,) = stored(api)
    changed = api.ask(UPDATE, input={"id": memory["id"], "content": "ñew", "expectedUpdatedAt": memory["updatedAt"]})
    assert changed["result"]["memory"] == {"content": "ñew", "sizeBytes": 4} | {
        "updatedAt": stored(api)[0]["updatedAt"]
    }
    late = {"id": memory["id"], "content": "late", "expectedUpdatedAt": memory["updatedAt"]}
    assert api.ask(UPDATE, input=late)["result"]["field"] == "expectedUpdatedAt"
    large = {"id": memory["id"], "content": "é" * (MAX_FILE_BYTES // 2 + 1)}
    refused = api.ask(UPDATE, input=large)["result"]
    assert (refused["field"], refused["message"]) == (
        "content",
        "`content` must have at most 65,536 bytes, not 65,538.",
    )
    replace = {"command": "str_replace", "path": "/memories/a.md", "old_str": "old", "new_str": "x"}
    assert run(api, replace) == [
        "No replacement was performed, old_str `old` did not appear verbatim in /memories/a.md."
    ]
    assert stored(api)[0]["content"] == "ñew"
    assert api.ask(DELETE, id=memory["id"])["result"] == {"__typename": "DeletedMemory", "deletedId": memory["id"]}
    assert api.ask(DELETE, id=memory["id"])["result"]["__typename"] == "NotFound"
    assert stored(api) == []


def test_memories_are_exported_and_imported_without_replacing_files(shared: str, api: Api) -> None:
    run(api, create("/memories/a.md", "A\n"), create("/memories/b.md", "B 😀"))
    before = {(memory["path"], memory["content"], memory["updatedAt"]) for memory in stored(api)}
    export = api.http.get("/export").content
    assert b"# /memories/a.md\n\n_Memory of helper" in api.http.get("/export?format=markdown").content
    with signed(shared, register(shared, f"heir{abs(hash(export))}")) as heir:
        run(heir, create("/memories/a.md", "mine"))
        imported = heir.http.post("/import", files={"file": ("export", export)}).json()
        assert (imported["memories"], len(imported["conversation_ids"])) == (1, 1)
        assert {memory["path"]: memory["content"] for memory in stored(heir)} == {
            "/memories/a.md": "mine",
            "/memories/b.md": "B 😀",
        }
        for memory in stored(heir):
            heir.ask(DELETE, id=memory["id"])
        heir.http.post("/import", files={"file": ("export", export)})
        assert {(memory["path"], memory["content"], memory["updatedAt"]) for memory in stored(heir)} == before
    path = json.dumps("/memories/b.md").encode()
    escaping = export.replace(path, json.dumps("/memories/../b").encode())
    refused = api.http.post("/import", files={"file": ("export", escaping)}).json()
    assert "path: Path /memories/../b would escape /memories directory" in str(refused)


def test_what_a_guest_adds_to_a_full_memory_can_be_read_exported_and_imported(shared: str, api: Api) -> None:
    tokens, deep = enter(shared), "/memories" + "/x" * 7
    with signed(shared, tokens) as guest:
        run(guest, *(create(f"{deep}/{number}", "of the guest") for number in range(60)))
    run(api, *(create(f"/memories/{number}", "own") for number in range(60)))
    name = api.ask("{ viewer { name } }")["viewer"]["name"]
    with signed(shared, sign_in(shared, name, tokens)) as account:
        moved = sorted(memory["path"] for memory in stored(account) if memory["content"] == "of the guest")
        assert "of the guest" in run(account, {"command": "view", "path": moved[0]})[-1]
        export = account.http.get("/export").content
    with signed(shared, register(shared, f"next{abs(hash(export))}")) as next_account:
        imported = next_account.http.post("/import", files={"file": ("export", export)}).json()
        assert imported["memories"] == 100, imported


def test_an_accounts_memories_are_deleted_with_it_and_a_guests_are_moved_to_it(shared: str, api: Api) -> None:
    tokens = enter(shared)
    with signed(shared, tokens) as guest:
        run(guest, create("/memories/a.md", "of the guest"))
        run(guest, create("/memories/a.md", "of the guest"), assistantId="other")
    run(api, create("/memories/a.md", "own"))
    name = api.ask("{ viewer { name } }")["viewer"]["name"]
    with signed(shared, sign_in(shared, name, tokens)) as account:
        moved = {(memory["assistantId"], memory["path"]): memory["content"] for memory in stored(account)}
    folder = next(path.rsplit("/", 1)[0] for _, path in moved if path.startswith("/memories/guest-"))
    assert moved == {
        ("helper", "/memories/a.md"): "own",
        ("helper", f"{folder}/a.md"): "of the guest",
        ("other", "/memories/a.md"): "of the guest",
    }
    ids = [memory["id"] for memory in stored(api)]
    assert api.http.request("DELETE", "/auth/user", data={"password": PASSWORD}).is_success
    with signed(shared, register(shared, name)) as again:
        assert stored(again) == []
        assert again.ask(DELETE, id=ids[0])["result"]["__typename"] == "NotFound"


@pytest.mark.embedded
def test_an_assistant_with_a_memory_needs_the_name_of_its_tool(tmp_path: Path) -> None:
    folder = Path(assistants(tmp_path))
    AssistantCatalog(folder, tool_names=lambda: ["who"]).load()
    with pytest.raises(
        AssistantError, match=r"helper\.md: `memory` must be false, because the server has another tool"
    ):
        AssistantCatalog(folder, tool_names=lambda: ["memory"]).load()


NAMES = st.sampled_from(["a", "b", "a/b", "a/b/c", "b/", "/a", "..", "a/../b", ".x", "é", "", "a\\b", "\0"])
PATHS = st.builds("/memories/{}".format, NAMES) | st.sampled_from(["/memories", "/memory", "/", ""])
TEXTS = st.sampled_from(["", "one", "two\n", "one\ntwo\none", "\ud800\0", "x" * 40_000])
COMMANDS = st.one_of(
    st.fixed_dictionaries({"command": st.just("view"), "path": PATHS}, optional={"view_range": st.lists(st.integers(-2, 9))}),
    st.fixed_dictionaries({"command": st.just("create"), "path": PATHS, "file_text": TEXTS}),
    st.fixed_dictionaries({"command": st.just("str_replace"), "path": PATHS, "old_str": TEXTS, "new_str": TEXTS}),
    st.fixed_dictionaries({"command": st.just("insert"), "path": PATHS, "insert_line": st.integers(-1, 4), "insert_text": TEXTS}),
    st.fixed_dictionaries({"command": st.just("delete"), "path": PATHS}),
    st.fixed_dictionaries({"command": st.just("rename"), "old_path": PATHS, "new_path": PATHS}),
    st.dictionaries(st.sampled_from(["command", "path", "file_text"]), st.none() | st.integers() | TEXTS),
)  # fmt: skip


@pytest.mark.embedded
def test_no_commands_break_the_rules_of_paths_and_sizes(tmp_path: Path) -> None:
    database = Database(empty_file(tmp_path))

    @settings(max_examples=15, deadline=None)
    @given(st.lists(COMMANDS, min_size=5, max_size=12))
    def check(commands: list[Json]) -> None:
        runner.run(run_all(commands))

    async def run_all(commands: list[Json]) -> None:
        memory = await Memory.of(database)
        for values in commands:
            with suppress(ToolError):
                await memory.run(values, f"toolu_{uuid4().hex}")
        async with database.read() as session:
            files = await memories.all_of(session, memory.owner)
        stored_paths = {file.path for file in files}
        assert [file.path for file in files if path_problem(file.path) or file.path == "/memories"] == []
        assert all(file.size_bytes == len(file.content.encode()) <= MAX_FILE_BYTES for file in files)
        assert not any(other.startswith(f"{path}/") for path in stored_paths for other in stored_paths)

    with asyncio.Runner() as runner:
        check()
        runner.run(database.close())


@pytest.mark.embedded
@pytest.mark.parametrize("off_by", ["nothing", "the plan", "a temporary conversation", "a client tool"])
def test_the_plan_a_temporary_conversation_and_a_client_tool_switch_memory_off(off_by: str) -> None:
    is_offered = off_by == "nothing"
    tool = MemoryTool(cast("Any", None), "helper")
    registry = ToolRegistry(memory_of=lambda _: tool, approval_patterns=["mem*"])
    declared = {"name": "memory", "description": "D", "input_schema": {"type": "object"}}
    conversation = Conversation(
        owner_id=uuid4(),
        model="m",
        assistant="helper",
        temporary=off_by == "a temporary conversation",
        tools={"client": [declared] if off_by == "a client tool" else []},
    )
    contribution = AssistantContribution("", "", (), conversation_tools=True, memory=True)
    model = Model("m", "M", default=True, simulated=False)
    selection = select_tools(registry, conversation, model, contribution, lambda _: off_by != "the plan")
    assert (tool in selection.running.values()) == is_offered
    assert ({"type": "memory_20250818", "name": "memory"} in selection.definitions) == is_offered
    assert selection.requires_approval == ({"memory"} if is_offered else set())


@pytest.mark.embedded
def test_a_contribution_of_an_earlier_version_has_no_memory() -> None:
    stored_before = {"static": "a", "variable": "", "tools": [], "conversation_tools": False}
    contribution = AssistantContribution.from_json(stored_before)
    assert (contribution.memory, contribution.to_json()) == (False, stored_before)
    assert AssistantContribution.from_json(contribution.to_json() | {"memory": True}).memory
