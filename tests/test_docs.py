"""Every code block of the documentation works, or a comment says why it is not run; tables in the docs are complete.

Placeholders such as CONVERSATION_ID are replaced by ids of a conversation that is made for the block. A GraphQL block
may name its variables (`# variables: {}`) and the error type that it returns (`# gives: NotFound`).
"""

import configparser
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import forking
import pytest
from client import WAIT, Api, Json
from fences import ALL, FILES, ROOT, Fence
from graphql import (
    FieldNode,
    GraphQLInterfaceType,
    GraphQLUnionType,
    NameNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Visitor,
    build_schema,
    parse,
    print_ast,
    validate,
    visit,
)
from media import pdf
from people import MODE, register, signed
from programs import NEED_ALL, find_program, require
from reference import write_reference
from running import settings, tertulia
from settings_reference import write_page

from tertulia.claude.errors import ErrorCode
from tertulia.cli.account_commands import users, webhooks
from tertulia.cli.main import app
from tertulia.server.hooking import open_hooks
from tertulia.server.settings import OF_CLIENTS, Settings, variable_name
from tertulia.server.telemetry.log_format import TextLines
from tertulia.server.tooling import open_tool_registry

SDL = (ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8")
SCHEMA = build_schema(SDL)
ADDRESS = re.compile(r"(localhost|127\.0\.0\.1):8000")
SHELL, SCRIPTS, PARSED = ("sh",), ("js",), ("json", "toml", "ini")
NOT_HERE = ("nginx", "caddyfile", "dockerfile", "sql", "vue", "tsx", "html", "yaml", "markdown")
"""Languages whose blocks are never run, so that each block needs a comment that says why."""
LANGUAGES = ("graphql", "python", "text", *SHELL, *SCRIPTS, *PARSED, *NOT_HERE)
OF_ACCOUNTS = ("ACCESS_TOKEN", "REFRESH_TOKEN", "/auth/", "tertulia user", "tertulia token")
ELSEWHERE = re.compile(r"\b(apt|apt-get|docker|git|make|npm|npx|pip|uv) |\btertulia (serve|simulator|chat)\b")
LOG = "tertulia.log"
NODE_MODULES = ROOT / "node_modules"


def chosen(*languages: str, run: bool = True) -> list[Fence]:
    """Return the blocks in some languages: those that are run, or all."""
    return [fence for fence in ALL if fence.language in languages and (fence.not_run is None or not run)]


def blocks(*languages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fence", chosen(*languages), ids=str)


# ---- servers and placeholders ----------------------------------------------------------------


@dataclass(frozen=True)
class DocsServer:
    """A server, its folder, and a client of it."""

    api: Api
    folder: Path
    mode: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the command line uses the same storage."""
        named = {variable_name(name): str(value) for name, value in self.mode.items()}
        storage = {"DATABASE_URL": f"sqlite+aiosqlite:///{self.folder / 'tertulia.db'}"}
        return named | storage | {"TERTULIA_ATTACHMENTS": str(self.folder / "files")}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Generator[DocsServer]:
    folder = tmp_path_factory.mktemp("local")
    with (
        logged_to(folder / LOG),
        tertulia(folder, sharing=True, operators_may_read=True) as address,
        Api(address) as api,
    ):
        yield DocsServer(api, folder, {})


@contextmanager
def logged_to(file: Path) -> Generator[None]:
    """Log to a file as `tertulia serve` does to standard error."""
    logger, handler = logging.getLogger("tertulia"), logging.FileHandler(file)
    level = logger.level
    handler.setFormatter(TextLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Generator[DocsServer]:
    folder = tmp_path_factory.mktemp("accounts")
    with tertulia(folder, **MODE) as address, Api(address) as api:
        yield DocsServer(api, folder, MODE)


@pytest.fixture
def server(fence: Fence, request: pytest.FixtureRequest) -> DocsServer:
    """The server that a block needs."""
    chosen_server: DocsServer = request.getfixturevalue(
        "accounts" if any(sign in fence.text for sign in OF_ACCOUNTS) else "local"
    )
    return chosen_server


def filled(text: str, server: DocsServer) -> tuple[str, Api]:
    """Replace the placeholders of a block, and return the text and the client of the user whose ids it now has."""
    api, values = server.api, dict[str, str]()
    if server.mode:
        name = f"ada-{uuid4().hex[:8]}"
        tokens = register(api.address, f"reader-{uuid4().hex[:8]}")
        values = {"ACCESS_TOKEN": tokens["access_token"], "REFRESH_TOKEN": tokens["refresh_token"]}
        text, api = re.sub(r"\bada\b", name, text), signed(api.address, tokens)
    if "ATTACHMENT_ID" in text:
        uploaded = api.http.post("/attachments", files={"file": ("report.pdf", pdf("Sales rose."))})
        values["ATTACHMENT_ID"] = uploaded.json()["id"]
    if "IDEMPOTENCY_KEY" in text:
        values["IDEMPOTENCY_KEY"] = str(uuid4())
    if "TOOL_USE_ID" in text:
        values |= _waiting_generation(api)
    elif re.search(r"\b(CONVERSATION|MESSAGE|ANSWER|GENERATION)_ID\b", text):
        values |= _answered_conversation(api)
    for name, value in values.items():
        text = re.sub(rf"\b{name}\b", value, text)
    return ADDRESS.sub(api.address.removeprefix("http://"), text), api


def _answered_conversation(api: Api) -> dict[str, str]:
    sent = api.send("Hello, my name is Ada")
    api.follow(sent["generation"]["id"])
    return {
        "CONVERSATION_ID": sent["conversation"]["id"],
        "MESSAGE_ID": sent["userMessage"]["id"],
        "ANSWER_ID": sent["generation"]["message"]["id"],
        "GENERATION_ID": sent["generation"]["id"],
    }


def _waiting_generation(api: Api) -> dict[str, str]:
    tool = {"name": "read_page", "description": "Reads the page.", "inputSchema": {"type": "object"}}
    sent = api.send("/simulate call read_page {}", tools={"client": [tool]})
    call = """{ generationEvents(generationId: "%s") { ... on ToolResultsRequired { toolUses { toolUseId } } } }"""
    event = next(event for event in _followed(api, f"subscription {call % sent['generation']['id']}", {}) if event)
    use: str = event["toolUses"][0]["toolUseId"]
    return {"GENERATION_ID": sent["generation"]["id"], "TOOL_USE_ID": use}


# ---- every block has a language --------------------------------------------------------------


def test_every_block_names_its_language_and_a_block_that_is_not_run_says_why() -> None:
    assert [(str(fence), fence.language) for fence in ALL if fence.language not in LANGUAGES] == []
    unexplained = [str(fence) for fence in ALL if fence.not_run is None and fence.language in NOT_HERE]
    assert unexplained == [], "write above these blocks why they are not run: <!-- not run: ... -->"


# ---- GraphQL ---------------------------------------------------------------------------------


def test_every_operation_matches_the_schema() -> None:
    errors = {str(fence): validate(SCHEMA, parse(fence.text)) for fence in chosen("graphql", run=False)}
    assert {where: found for where, found in errors.items() if found} == {}


@blocks("graphql")
def test_every_operation_returns_the_documented_result(fence: Fence, server: DocsServer) -> None:
    text, api = filled(fence.text, server)
    comment = re.search(r"^# variables: (.*)$", text, re.MULTILINE)
    variables: Json = json.loads(comment.group(1)) if comment else {}
    document = visit(parse(text), NamedTypes())
    operations = [definition for definition in document.definitions if isinstance(definition, OperationDefinitionNode)]
    assert len(operations) == 1, "a block is one operation"
    if operations[0].operation is OperationType.SUBSCRIPTION:
        results = list(_followed(api, print_ast(document), variables))
        assert results, "the subscription sent no event"
    else:
        results = [api.ask(print_ast(document), **variables)]
    wanted = fence.comments.get("gives", "").split()
    assert {error for result in results for error in _errors(result)} == set(wanted)


class NamedTypes(Visitor):
    """Adds `__typename` to each selection, so that the test sees errors that a block does not select."""

    def leave_selection_set(self, node: SelectionSetNode, _key: object, parent: Node, *_: object) -> SelectionSetNode:
        if isinstance(parent, OperationDefinitionNode) and parent.operation is OperationType.SUBSCRIPTION:
            return node
        name = FieldNode(name=NameNode(value="__typename"), arguments=(), directives=())
        return SelectionSetNode(selections=(*node.selections, name))


def _errors(result: object) -> Iterator[str]:
    """Yield the error types in a result."""
    interface = SCHEMA.type_map["Error"]
    assert isinstance(interface, GraphQLInterfaceType)
    names = {item.name for item in SCHEMA.get_possible_types(interface)}
    if isinstance(result, dict):
        if result.get("__typename") in names:
            yield result["__typename"]
        result = list(result.values())
    if isinstance(result, list):
        for item in result:
            yield from _errors(item)


def _followed(api: Api, document: str, variables: Json) -> Iterator[Json]:
    """Follow over server-sent events to the end, or to the first change of a list, whose stream never ends."""
    headers = {"accept": "text/event-stream"}
    endless = "conversationChanges" in document
    body = {"query": document, "variables": variables}
    with api.http.stream("POST", "/graphql", json=body, headers=headers, timeout=WAIT) as answer:
        for line in answer.iter_lines():
            if endless and line == ":":
                api.send("Something changes")
            if line.startswith("data: "):
                result = json.loads(line.removeprefix("data: "))
                assert "errors" not in result, result
                (event,) = result["data"].values()
                yield event
                if endless or "toolUses" in event:
                    return


# ---- programs --------------------------------------------------------------------------------


def is_example(fence: Fence) -> bool:
    return ROOT / "examples" in fence.file.parents


@pytest.fixture
def workspace(tmp_path: Path, server: DocsServer, fence: Fence) -> Path:
    """A folder with the files that blocks use, and with an example's own files."""
    if is_example(fence):
        without = shutil.ignore_patterns("node_modules", "package.json")
        shutil.copytree(fence.file.parent, tmp_path, dirs_exist_ok=True, ignore=without)
    (tmp_path / "tertulia.db").symlink_to(server.folder / "tertulia.db")
    if (server.folder / LOG).exists():
        (tmp_path / LOG).symlink_to(server.folder / LOG)
    (tmp_path / "report.pdf").write_bytes(pdf("Sales rose by a fifth."))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    # curl must fail on an error status. The examples' own programs check the response themselves.
    (tmp_path / ".curlrc").write_text("" if is_example(fence) else "fail-with-body\n")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def run(workspace: Path, environment: dict[str, str], *command: str | Path) -> str:
    paths = [str(forking.command()), str(ROOT / ".venv" / "bin"), os.environ["PATH"]]
    variables = {
        "PATH": ":".join(paths),
        "HOME": str(workspace),
        "CURL_HOME": str(workspace),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
    }
    packages = {"PYTHONPATH": str(ROOT / "web" / "packages" / "stream-python")}
    done = subprocess.run(
        command,
        cwd=workspace,
        env=variables | packages | environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_printed(fence: Fence, printed: str) -> None:
    if fence.prints is not None:
        wanted = ".*?".join(re.escape(part) for part in fence.prints.strip().split("…"))
        assert re.fullmatch(wanted, printed.strip(), re.DOTALL), printed


@blocks(*SHELL)
def test_every_command_works(fence: Fence, server: DocsServer, workspace: Path) -> None:
    if "curl " in fence.text:
        require("curl")
    assert not ELSEWHERE.search(fence.text), (
        "blocks that install or serve are not run: say so in a comment above the block"
    )
    text, _ = filled(fence.text, server)
    # The command on PATH forks a process that has already imported the server, which takes seconds.
    text = text.replace(".venv/bin/tertulia ", "tertulia ")
    wanted = fence.comments.get("gives")
    if wanted is not None:
        (workspace / ".curlrc").unlink()
    environment = server.environment
    if is_example(fence):
        # The variables that an example's programs read and its README tells readers to set.
        ids = _answered_conversation(server.api)
        environment = {"TERTULIA_URL": server.api.address, "CONVERSATION": ids["CONVERSATION_ID"]}
        environment["GENERATION"] = ids["GENERATION_ID"]
    printed = run(workspace, environment, "sh", "-euc", text)
    if wanted is not None:
        assert wanted in printed, printed
    for answer in re.finditer(r'\{"(?:data|errors)":', printed) if wanted is None else ():
        result, _ = json.JSONDecoder().raw_decode(printed, answer.start())
        assert "errors" not in result, result
        parts = [part for part in result["data"].values() if isinstance(part, dict)]
        assert [part for part in parts if isinstance(part.get("message"), str)] == [], result
    check_printed(fence, printed)


def test_every_python_program_compiles() -> None:
    for fence in chosen("python", run=False):
        compile(fence.text, str(fence), "exec")


@blocks("python")
def test_every_python_program_works(
    fence: Fence, server: DocsServer, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, _ = filled(fence.text, server)
    if text.startswith("# my_tools.py"):
        (workspace / "my_tools.py").write_text(text)
        monkeypatch.syspath_prepend(workspace)
        monkeypatch.delitem(sys.modules, "my_tools", raising=False)
        toolbox, _ = open_tool_registry(settings(workspace, tools=("my_tools",)))
        assert toolbox.offers() != []
        return
    if text.startswith("# my_hooks.py"):
        (workspace / "my_hooks.py").write_text(text)
        monkeypatch.syspath_prepend(workspace)
        monkeypatch.delitem(sys.modules, "my_hooks", raising=False)
        assert open_hooks(settings(workspace, hooks="my_hooks")).names != []
        return
    (workspace / "block.py").write_text(text)
    check_printed(fence, run(workspace, server.environment, sys.executable, "-W", "error", "block.py"))


SHIM = """
import { WebSocket } from "ws";
// Browsers and newer versions of Node have it built in.
globalThis.WebSocket ??= WebSocket;
"""


@pytest.mark.needs("node", "node_modules")
@blocks(*SCRIPTS)
def test_every_javascript_program_works(fence: Fence, server: DocsServer, workspace: Path) -> None:
    text, _ = filled(fence.text, server)
    (workspace / "shim.js").write_text(SHIM)
    (workspace / "block.js").write_text(text)
    check_printed(fence, run(workspace, server.environment, "node", "--import", "./shim.js", "block.js"))


def test_every_json_toml_and_ini_block_can_be_parsed() -> None:
    for fence in chosen(*PARSED, run=False):
        try:
            if fence.language == "json":
                json.loads(fence.text)
            elif fence.language == "toml":
                tomllib.loads(fence.text)
            else:
                begins = "" if "[" in fence.text else "[settings]\n"
                configparser.ConfigParser(interpolation=None, strict=False).read_string(begins + fence.text)
        except (ValueError, configparser.Error) as error:
            raise AssertionError(str(fence)) from error


def test_every_named_command_exists() -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {"user": users, "webhooks": webhooks}
    known_in = {name: {command.name for command in group.registered_commands} for name, group in groups.items()}
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for fence in chosen(*SHELL, run=False):
        read = subprocess.run(["sh", "-n"], input=fence.text, text=True, capture_output=True, check=False)
        assert read.returncode == 0, f"{fence}: {read.stderr}"
        for name, argument in re.findall(r"\btertulia +([a-z-]+)(?: +([a-z-]+))?", fence.text):
            assert name in known | set(groups), f"{fence}: tertulia {name}"
            assert name not in groups or argument in known_in[name], f"{fence}: tertulia {name} {argument}"
        assert set(re.findall(r"\bmake +([a-z-]+)", fence.text)) <= set(targets), str(fence)
        # In docs/, `npm run` is in an app of the reader.
        if (scripts := re.findall(r"\bnpm run +([a-z:-]+)", fence.text)) and fence.file.parent != ROOT / "docs":
            package = json.loads((fence.file.parent / "package.json").read_text())
            assert set(scripts) <= set(package["scripts"]), str(fence)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("fence", chosen("nginx", run=False), ids=str)
def test_every_nginx_configuration_is_valid(fence: Fence, tmp_path: Path) -> None:
    # Certificate and port depend on the reader's machine.
    listening = fence.text.replace("listen 443 ssl;", f"listen unix:{tmp_path}/socket;")
    (tmp_path / "site.conf").write_text(re.sub(r"ssl_\w+ .*;", "", listening))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    main = f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {places} include site.conf; }}"
    (tmp_path / "nginx.conf").write_text(main)
    command = [str(find_program("nginx")), "-t", "-q", "-p", str(tmp_path), "-c", "nginx.conf"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- the docs are complete and name only what exists -----------------------------------------


def written(*names: str) -> str:
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def test_named_settings_and_linked_files_exist() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        known = {variable_name(field) for field in Settings.model_fields} | {OF_CLIENTS}
        if file.parent.parent.name == "examples":
            programs = [program for program in file.parent.iterdir() if program.suffix in (".py", ".sh", ".ts", ".mjs")]
            known |= {name for program in programs for name in re.findall(r"\bTERTULIA_[A-Z_]+\b", program.read_text())}
        if file.name == "CONTRIBUTING.md":
            known.add(NEED_ALL)
        assert set(re.findall(r"\bTERTULIA_[A-Z_]*[A-Z]\b", text)) - known == set(), file
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        links = re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", prose)
        assert [link for link in links if not (file.parent / link).exists()] == [], file


def test_every_setting_is_documented() -> None:
    table = re.findall(r"^\|(.*?)\|.*\|.*\|$", written("docs/settings.md"), re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)}
    assert named == {variable_name(field) for field in Settings.model_fields}


def test_the_page_of_settings_is_generated_from_their_fields() -> None:
    page = written("docs/settings.md")
    assert page == write_page(page), "run `make settings-reference`"


def test_every_path_is_documented(local: DocsServer, accounts: DocsServer) -> None:
    table = "".join(re.findall(r"^\| (`.*?) \|", written("docs/endpoints.md"), re.MULTILINE))
    served = {path for server in (local, accounts) for path in server.api.http.get("/openapi.json").json()["paths"]}
    pages = {"/", "/graphql", "/docs", "/redoc", "/openapi.json", "/healthz", "/readyz", "/metrics"}
    pages |= {"/admin", "/sandbox", "/diagrams", "/plain"}
    assert {path for path in pages if local.api.http.get(path, headers={"accept": "text/html"}).is_error} == set()
    with_settings = {"/s/TOKEN", "/auth/guest", "/tools/oauth/authorize", "/tools/oauth/callback"}
    with_settings |= {"/auth/provider", "/auth/device", "/auth/backchannel-logout"}
    assert set(re.findall(r"`[A-Z]+ (/[^`]*)`", table)) == served | pages | with_settings


def test_every_error_is_documented() -> None:
    page = written("docs/errors.md")
    interface = SCHEMA.type_map["Error"]
    assert isinstance(interface, GraphQLInterfaceType)
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert {one.name for one in SCHEMA.get_possible_types(interface)} - rows == set()
    assert {code.name for code in ErrorCode} - rows == set()
    assert {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"} - rows == set()
    codes = re.findall(
        r'(?:"code": |code=|(?:Refused|problem)\(\s*\d+, )"([A-Z_]+)"', source("schema", "src/tertulia/server")
    )
    assert "FORBIDDEN_ORIGIN" in codes
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_close_code_of_a_socket_is_documented() -> None:
    page = written("docs/errors.md")
    ours = set(
        re.findall(r"(?:code=|FORBIDDEN = |STALLED = |\"code\": |close\()(\d{4})\b", source("src/tertulia/server"))
    )
    # Codes of Strawberry and uvicorn, which tests/test_websocket.py and tests/test_replicas.py observe.
    theirs = set(re.findall(r"\b(44\d\d|10\d\d)\b", written("tests/test_websocket.py"))) | {"1012", OF_PINGS}
    rows = re.findall(r"^\| ((?:\d{4}(?:, )?)+) \|", page, re.MULTILINE)
    # A handshake that is refused has the status 403, and no close frame.
    assert {code for row in rows for code in row.split(", ")} == (ours | theirs) - BY_CLIENTS - {BEFORE_THE_HANDSHAKE}


OF_PINGS, BEFORE_THE_HANDSHAKE, BY_CLIENTS = "1011", "1008", {"1000", "1001", "1005", "1006"}


def test_every_metric_is_documented(local: DocsServer) -> None:
    page = written("docs/operating.md")
    exposed = set(re.findall(r"^# TYPE (tertulia_\w+)", local.api.http.get("/metrics").text, re.MULTILINE))
    rows = "".join(re.findall(r"^\| (`tertulia_.*?) \|", page, re.MULTILINE))
    assert set(re.findall(r"`(tertulia_\w+)", rows)) == {name for name in exposed if not name.endswith("_created")}


def source(*packages: str) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for name in packages for file in (ROOT / name).rglob("*.py"))


def test_the_reference_names_every_type_field_and_argument() -> None:
    page = write_reference(SDL)
    for name, shown in SCHEMA.type_map.items():
        if name.startswith("__"):
            continue
        assert f"{{ #{name.lower()} }}" in page or f"## {name}\n" in page, name
        for field, given in getattr(shown, "fields", {}).items():
            assert f"`{field}`" in page or f"### {field} " in page, f"{name}.{field}"
            arguments = getattr(given, "args", {})
            assert all(f"`{one}`" in page or f"{field}({one}:)" in page for one in arguments), f"{name}.{field}"
        if isinstance(shown, GraphQLUnionType):
            assert all(f"[`{one.name}`]" in page for one in shown.types)
