"""Statements of the documentation that state a value of the code, or list what the code has, are true and complete."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from fences import FILES, ROOT
from graphql import build_schema
from typer.core import TyperGroup
from typer.main import get_command

from tertulia.attachments import generated_files, media, pictures
from tertulia.attachments.documents import archives, conversion, passages, sheets
from tertulia.billing.budget import SEARCHES
from tertulia.claude import rate_limits, request_options
from tertulia.claude.continuation import MOST_REPEATED
from tertulia.claude.errors import ErrorCode, GenerationError
from tertulia.claude.providers import Provider
from tertulia.cli.main import app
from tertulia.cli.terminal.commands import BY_NAME
from tertulia.db import changes, names, outbox, paging, read_limit
from tertulia.db.database import POOL
from tertulia.db.migrate import LOCK_PATIENCE
from tertulia.generation.loop import JOIN_SECONDS
from tertulia.generation.manager import CHECKPOINT_SECONDS
from tertulia.generation.state import Ending
from tertulia.hooks import MAX_DOCUMENT_CHARACTERS, MAX_DOCUMENTS
from tertulia.json import MAX_DEPTH, MAX_VALUE_DEPTH
from tertulia.resolvers import app_data, feedback, send
from tertulia.resolvers import credentials as personal_tokens
from tertulia.resolvers.attachments import MAX_ATTACHED
from tertulia.resolvers.replay import SnapshotReason
from tertulia.resolvers.sharing import VIEWS_SECONDS
from tertulia.sandbox.worker import MAX_MEMORY
from tertulia.schema import cost, documents, shape, variables
from tertulia.server import app as server_app
from tertulia.server import run, running_server, services
from tertulia.server.auth import authenticator, jwt, passwords, provider_routes, sessions, throttle
from tertulia.server.http import answer_html, graphql_request, rest, shares, streams, websocket
from tertulia.server.http.agui import routes as agui_routes
from tertulia.server.http.agui import run_input
from tertulia.server.http.aisdk import routes as aisdk_routes
from tertulia.server.outbox import delivery, webhook_config, webhooks
from tertulia.server.plan_file import KEYS
from tertulia.server.runtime.http_protocol import HttpProtocol
from tertulia.server.settings import Settings, variable_name
from tertulia.server.telemetry.tracing import FLUSH_SECONDS
from tertulia.simulator.breaks import BREAKS
from tertulia.simulator.phrases import HELP
from tertulia.simulator.scenarios import SCENARIOS
from tertulia.streams.memory import KEPT_BYTES, LIFE_AFTER_END
from tertulia.streams.redis.scripts import PARTITIONS
from tertulia.tools import memory_files, registry
from tertulia.tools.mcp.oauth.sessions import IDLE_SECONDS
from tertulia.transfer import archives as import_archives
from tertulia.transfer import parser as import_parser

MEGABYTE = 1024 * 1024
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
PERIODS = {60: "a minute", 3600: "an hour", 86_400: "a day", 604_800: "a week"}


def word(number: float) -> str:
    """Return a number as a page writes it in words; digits otherwise, which no page has."""
    return WORDS[int(number)] if number in range(len(WORDS)) else str(number)


def period(seconds: float) -> str:
    return PERIODS.get(int(seconds), str(seconds))


DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
FACTS = {
    "limits.md": (
        f"| {personal_tokens.MAX_TOKENS} | `InvalidInput` |",
        f"| {generated_files.MAX_FILES} files, {generated_files.MAX_BYTES // MEGABYTE} MB each |",
        (
            f"| {memory_files.MAX_FILES} files, {memory_files.MAX_FILE_BYTES:,} bytes each, "
            f"{memory_files.MAX_BYTES:,} bytes together |"
        ),
        (
            f"{sessions.TRIES_OF_ADDRESS.amount} attempts a minute for an address; with an identity provider, also "
            f"{provider_routes.REFRESHES_OF_ADDRESS.amount} refreshes"
        ),
        f"at most {rate_limits.MAX_DELAY:.0f} seconds, so that they do not fail with `RATE_LIMITED`",
        f"| {HttpProtocol.HEADER_SECONDS:.0f} seconds, {HttpProtocol.HEADER_BYTES:,} bytes | 408, 431 |",
        (
            f"| {HttpProtocol.BODY_SILENCE_SECONDS:.0f} seconds without data; after {HttpProtocol.BODY_GRACE_SECONDS:.0f} "
            f"seconds, an average of {HttpProtocol.BODY_BYTES_PER_SECOND} bytes a second"
        ),
        f"| {HttpProtocol.UNREAD_SECONDS:.0f} seconds | the connection is closed |",
        f"| {run.KEEP_ALIVE_SECONDS} seconds | the connection is closed |",
        f"`TERTULIA_CONNECTION_INIT_SECONDS`, {DEFAULTS['connection_init_seconds']:.0f} | 4408 |",
        f"At most {MAX_VALUE_DEPTH} levels in a value and {MAX_DEPTH} in a document",
        f"| bytes of a request or a socket's message | {graphql_request.MAX_BODY:,} |",
        f"| tokens | {documents.MAX_TOKENS:,} |",
        f"| depth, in fields | {shape.MAX_DEPTH} |",
        f"| fields, counted each time their fragment is spread | {shape.MAX_FIELDS:,} |",
        f"| aliases | {shape.MAX_ALIASES} |",
        f"| directives, in total and in one position | {shape.MAX_DIRECTIVES}, {shape.MAX_DIRECTIVES_OF_NODE} |",
        f"| the same unaliased field in one selection | {shape.MAX_REPEATS} |",
        f"put long texts into variables | {documents.LONGEST_DOCUMENT:,} |",
        f"counted each time the fragment around them is spread | {shape.MAX_FRAGMENTS:,} |",
        f"| fragment definitions | {shape.MAX_FRAGMENT_DEFINITIONS} |",
        f"| operations | {shape.MAX_OPERATIONS} |",
        f"| nesting of fields and fragments | {shape.MAX_NESTING} |",
        f"and of fragments, in one selection | {shape.MAX_COMPARISONS:,} |",
        f"except those of JSON | {variables.MAX_VALUES:,} |",
        f"and of the messages read for it | {read_limit.MAX_CHARACTERS:,} |",
        f"is at most {cost.MAX_COST:,}. A field costs 1.",
        f"({paging.DEFAULT_PAGE} without either), by the number of `ids`, or by {cost.UNBOUNDED_LIST_SIZE} for any",
        f"A mutation costs {cost.MUTATION_COST} more, a search {cost.SEARCH_COST}.",
        f"costs at most {cost.WHOLE_INTROSPECTION_COST:,}, however many",
        f"Parsed documents of at most {documents.LONGEST_CACHED:,} characters are cached",
    ),
    "errors.md": (
        f"413 for a body of more than {graphql_request.MAX_BODY:,} bytes",
        f"| 1009 | A message has more than {run.MAX_MESSAGE:,} bytes |",
        f"| 1013 | The client read nothing for {websocket.STALLED_SECONDS:.0f} seconds,",
        f"by default {DEFAULTS['connection_init_seconds']:.0f} |",
    ),
    "auth.md": (
        f"It is valid for {word(jwt.ACCESS_LIFETIME.seconds / 60)} minutes",
        f"It expires after {jwt.REFRESH_LIFETIME.days} days without use",
        f"For {word(sessions.REFRESH_GRACE.seconds / 60)} minute, and until its successor is used",
        f"Names consist of 1 to {names.LONGEST} letters",
        f"Passwords have {passwords.MIN_PASSWORD} to {passwords.MAX_PASSWORD:,} characters",
        f"| {word(throttle.FREE_FAILURES)} wrong passwords for a name from one address |",
        f"cleared {throttle.FORGOTTEN_AFTER / 60:.0f} minutes after the last failure",
        f"more than {throttle.FREE_FAILURES_FROM_ANYWHERE} wrong passwords",
        f"| {sessions.TRIES_OF_ADDRESS.amount} attempts in a minute",
        f"| {provider_routes.REFRESHES_OF_ADDRESS.amount} refreshes and revocations in a minute",
        f"/{throttle.IPV6_NETWORK} network of IPv6",
        f"can have {sessions.GUESTS_OF_ADDRESS.amount} new guests in an hour",
        f"`TERTULIA_GUEST_DAYS`, {DEFAULTS['guest_days']:.0f} by default",
        f"revoke their own, at most {personal_tokens.MAX_TOKENS}",
    ),
    "attachments.md": (
        f"more than {media.MAX_IMAGE_BYTES / MEGABYTE} MB or {media.MAX_SIDE} x {media.MAX_SIDE} pixels",
        f"at most {pictures.CONVERTED_SIDE} x {pictures.CONVERTED_SIDE} pixels in sRGB",
        f"about {passages.LENGTH:,} characters",
        f"| a file | {media.MAX_BYTES // MEGABYTE} MB |",
        (
            f"| {media.MAX_DOCUMENT_BYTES // MEGABYTE} MB, {media.MAX_PAGES} pages ({media.MAX_PAGES_SMALL} for models with a "
            f"context window of {media.SMALL_WINDOW:,} tokens or less) |"
        ),
        f"| an image | {pictures.MAX_PIXELS:,} pixels",
        f"| a TIFF with several pages | {pictures.MAX_TIFF_PAGES} pages |",
        (
            f"{passages.MAX_CHARACTERS:,} characters in {passages.MAX_UNITS:,} paragraphs, rows or lines and "
            f"{conversion.MAX_PASSAGES:,} passages"
        ),
        f"| a spreadsheet | {sheets.MAX_CELLS:,} cells |",
        (
            f"| {archives.MAX_ENTRIES:,} parts, {archives.MAX_UNPACKED // MEGABYTE} MB after unpacking, without its pictures; "
            f"{archives.MAX_WORKBOOK // MEGABYTE} MB for a spreadsheet |"
        ),
        (
            f"| {media.MAX_IMAGES} ({media.MAX_IMAGES_SMALL}), of at most {media.MAX_SIDE_OF_MANY} x {media.MAX_SIDE_OF_MANY} "
            f"pixels if there are more than {media.MANY_IMAGES} |"
        ),
        f"| attachments of a message | {MAX_ATTACHED} |",
        f"| attachments of a conversation | {media.MAX_DOCUMENT_BYTES // MEGABYTE} MB together",
        f"{media.DECODE_SECONDS:.0f} seconds of processor time and {MAX_MEMORY // 1024**3} GB of memory",
    ),
    "ag-ui.md": (
        f"A body has at most {agui_routes.MAX_BODY:,} bytes",
        f"most {run_input.MAX_MESSAGES:,} messages",
    ),
    "endpoints.md": (
        (
            f"a file: {import_archives.MAX_FILE // MEGABYTE} MB, {import_parser.MAX_CONVERSATIONS:,} conversations; an archive "
            f"may unpack to {import_archives.MAX_RATIO} times its size"
        ),
        (
            f"a conversation: {import_parser.MAX_MESSAGES:,} messages; in Claude's data export "
            f"{import_archives.MAX_CONVERSATION // MEGABYTE} MB"
        ),
        f"a line: {import_parser.MAX_LINE // MEGABYTE} MB, or {import_parser.MAX_ATTACHMENT_LINE // MEGABYTE} MB for an",
        f"{import_archives.MAX_VALUES:,} values",
        f"after {streams.HEARTBEAT_SECONDS:.0f} seconds of silence",
        f"A body has at most {aisdk_routes.MAX_BODY:,} bytes",
    ),
    "streaming.md": (
        f"{LIFE_AFTER_END / 60:.0f} minutes after the end of the generation",
        f"use more than {KEPT_BYTES // 10**6} MB of memory",
        f"at most {MOST_REPEATED} characters, which are held back for up to {word(JOIN_SECONDS)} seconds",
        f"up to {word(DEFAULTS['continue_attempts'])} times within {DEFAULTS['continue_seconds'] / 60:.0f} minutes",
        f"a heartbeat after {streams.HEARTBEAT_SECONDS:.0f} seconds of silence",
        f"pings a WebSocket every {websocket.SocketHandler.ping_seconds:.0f} seconds",
        f"reads nothing for {streams.STALLED_SECONDS:.0f} seconds",
        f"One socket carries up to {DEFAULTS['max_subscriptions_per_socket']} operations",
        f"resumes after a change for {changes.KEPT.days * 24} hours",
    ),
    "concepts.md": (
        f"at most {word(send.MAX_QUEUE)} wait",
        f"at most {word(send.MAX_CONCURRENT_BRANCHES)} in total",
        f"at most {paging.MAX_PAGE} items on a page",
    ),
    "context.md": (
        f"at most {app_data.MAX_CONTEXT:,} bytes in UTF-8",
        (
            f"at most {app_data.MAX_METADATA:,} bytes of JSON, {app_data.MAX_METADATA_DEPTH} levels, and "
            f"{app_data.MAX_METADATA_ENTRIES} keys and list items on all levels together. A key has 1 to "
            f"{app_data.MAX_METADATA_KEY} characters"
        ),
        f"The id has 1 to {app_data.MAX_EXTERNAL_ID} characters",
    ),
    "feedback.md": (
        (
            f"at most {feedback.MAX_COMMENT:,} characters. An answer has at most {feedback.MAX_TAGS} tags of at most "
            f"{feedback.MAX_TAG} characters"
        ),
    ),
    "retrieval.md": (f"{MAX_DOCUMENTS} documents with {MAX_DOCUMENT_CHARACTERS:,} characters",),
    "sharing.md": (
        f"{shares.MESSAGES_ON_PAGE} messages at a time",
        f"up to {answer_html.MAX_CHARACTERS:,} characters of a page",
        f"stored every {VIEWS_SECONDS:.0f} seconds",
        f"by default {DEFAULTS['share_limit'].partition('/')[0]} a minute",
        f"deletes expired links every {services.SWEEP_SECONDS / 60:.0f} minutes",
    ),
    "assistants.md": (
        (
            f"{memory_files.MAX_FILES} files, {memory_files.MAX_FILE_BYTES:,} bytes in a file, {memory_files.MAX_BYTES:,} bytes "
            "together"
        ),
        f"the number of tokens, {request_options.MIN_TASK_BUDGET:,} or more",
    ),
    "tools.md": (
        (
            f"more than {DEFAULTS['tool_search_percent']:.0f} % of the model's context window (`TERTULIA_TOOL_SEARCH_PERCENT`) and "
            f"more than {registry.LEAST_DEFERRED_TOKENS:,} tokens"
        ),
        f"more than about {registry.TOKENS_TO_WARN:,} tokens",
        (
            f"At most {generated_files.MAX_FILES} files of an answer are stored, with at most "
            f"{generated_files.MAX_BYTES // MEGABYTE} MB each"
        ),
        f"Sessions end after {word(IDLE_SECONDS / 60)} minutes without a call",
    ),
    "webhooks.md": (
        f"respond with 2xx within {webhooks.TIMEOUT:.0f} seconds",
        f"again when {webhooks.TIMEOUT + delivery.CLAIM_MARGIN:.0f} seconds have passed",
        f"grows up to {period(delivery.LONGEST_DELAY)}",
        f"After {period(outbox.DELIVERED_FOR.total_seconds())} the event has failed",
        f"waits up to {delivery.CLOSE_SECONDS:.0f} seconds",
        f"Events are deleted {period(outbox.KEPT.total_seconds())} after",
    ),
    "operating.md": (
        f"checked every {word(services.PROBE_SECONDS)} seconds",
        f"The server checks every {word(services.SWEEP_SECONDS / 60)} minutes",
        f"at most {server_app.LONGEST_REQUEST_ID} printable ASCII characters",
        f"up to {word(FLUSH_SECONDS)} seconds when a process stops",
    ),
    "deploying.md": (
        f"at most {POOL + 1} connections. Set `max_connections` higher than {POOL + 1} times",
        f"plus {run.DRAIN_SECONDS + running_server.FINAL_EVENTS_SECONDS:.0f} seconds, in which",
        f"after less than {run.KEEP_ALIVE_SECONDS} seconds",
        f"more than {streams.HEARTBEAT_SECONDS:.0f} seconds, the interval of Tertulia's pings and heartbeats",
        f"`TERTULIA_LEASE_SECONDS`, {DEFAULTS['lease_seconds']:.0f} by default",
        f"client_max_body_size {import_archives.MAX_FILE // MEGABYTE + 8}m;",
    ),
    "backup.md": (
        f"a migration waits {word(LOCK_PATIENCE)} seconds",
        f"at most {word(CHECKPOINT_SECONDS)} second of each answer",
    ),
    "scaling.md": (
        f"divided into {word(PARTITIONS)} partitions",
        f"above {POOL + 1} for each process",
    ),
    "embedding.md": (f"at least once {period(authenticator.RECHECK_SECONDS)}",),
    "cost.md": (f"{word(SEARCHES)} web searches",),
    "page.md": (
        "speaks English, Spanish, German, French, Brazilian Portuguese, Japanese, Simplified Chinese and Arabic",
    ),
}
"""The values that a page states."""


def prose(name: str | Path) -> str:
    """Return a page on one line, so that line breaks do not matter."""
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())


@pytest.mark.parametrize("page", FACTS)
def test_a_page_states_the_values_of_the_code(page: str) -> None:
    text = prose(page)
    assert [fact for fact in FACTS[page] if fact not in text] == []


ELSEWHERE = {
    "limits.md": (
        "integers of any size, up to 4,300 digits", "±(2^53 - 1)", "`9007199254740993` as `9007199254740992`", "U+0000",
        "`1e400`", "refused with 400, an import with 422", "unpaired surrogates", "U+FFFD", "U+2028, U+2029, U+0085",
        "A disabled route returns 404",
    ),
    "attachments.md": ("415 if its type is not accepted, and 422 otherwise",),
}  # fmt: skip
"""Numbers of Python, Unicode and HTTP, which other tests observe."""


@pytest.mark.parametrize("page", ELSEWHERE)
def test_every_number_on_a_page_of_limits_is_compared_with_the_code(page: str) -> None:
    text = prose(page)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for fact in (*FACTS[page], *ELSEWHERE[page]):
        text = text.replace(fact, "")
    # Statuses and close codes in the last column, and figures in examples of places and of addresses.
    text = re.sub(r"\| [^|0-9]*(?:\b(?:402|408|413|422|429|431|1009|1013|4408)\b[^|0-9]*)+\|", "|", text)
    text = re.sub(r"`[^`]*`|“[^”]*”|IPv[46]", "", text)
    assert re.findall(r"[^ ]* ?[^ ]* ?\d[\d,]* ?[^ ]*", text) == []


# ---- tables that list what the code has ------------------------------------------------------


def cells(page: str, pattern: str = r"`([^`]+)`", column: int = 0, begins: str = "", ends: str = "\0") -> list[str]:
    """Return what matches in a column of a page's tables, between two texts of the page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(begins)[2].partition(ends)[0] if begins else ""
    text = text or (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [found for row in rows if len(row) > column for found in re.findall(pattern, row[column])]


def test_the_commands_are_complete() -> None:
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    groups = {name: set(getattr(one, "commands", ())) for name, one in command.commands.items()}
    rows = re.findall(r"^\| (`tertulia .*?) \| (.*) \|$", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)
    table = {name: cell for names, cell in rows for name in re.findall(r"`tertulia ([a-z-]+)`", names)}
    assert set(table) == set(groups)
    for name, subcommands in groups.items():
        assert subcommands == set(re.findall(r"`([a-z]+)`", table[name])) & subcommands, name


def test_every_command_and_option_of_tertulia_exists() -> None:
    command = get_command(app)
    text = "\n".join(file.read_text(encoding="utf-8") for file in FILES if "decisions" not in file.parts)
    spans = [
        *re.findall(r"`(tertulia [^`]+)`", text),
        *re.findall(r"^.*?\btertulia ([a-z].*)$", blocks(text), re.MULTILINE),
    ]
    for span in spans:
        words = span.removeprefix("tertulia ").partition(" #")[0].partition(" |")[0].split()
        one = getattr(command, "commands", {}).get(words[0])
        if one is None:
            continue
        if len(words) > 1:
            one = getattr(one, "commands", {}).get(words[1], one)
        known = {option for parameter in one.params for option in (*parameter.opts, *parameter.secondary_opts)}
        named = {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > len("--")}
        assert named <= known | {"--help"}, f"tertulia {' '.join(words)}"


def blocks(text: str) -> str:
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


def test_the_alerts_and_their_severities_are_complete() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yaml").read_text())
    defined = {rule["alert"]: rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}
    text = (ROOT / "docs" / "operating.md").read_text()
    stated: dict[str, str] = {}
    for names_cell, severities in re.findall(r"^\| (`Tertulia.*?) \| .* \| ([a-z, ]+) \|$", text, re.MULTILINE):
        alerts, severity = re.findall(r"`(\w+)`", names_cell), severities.split(", ")
        stated |= dict(zip(alerts, severity * len(alerts) if len(severity) == 1 else severity, strict=False))
    assert stated == defined


def test_the_extras_are_complete() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(cells("embedding.md", begins="| extra |", ends="\n\n")) == set(project["optional-dependencies"])


def test_the_scenarios_of_the_simulator_are_complete() -> None:
    defined = set(SCENARIOS) | BREAKS
    assert set(cells("simulator.md", r"`/simulate ([a-z-]+)")) == defined | {"help"}
    assert set(re.findall(r"`([a-z-]+)(?: [^`]*)?`", HELP)) - {""} >= defined


def test_the_commands_of_the_terminal_are_complete() -> None:
    assert set(cells("terminal.md", r"`(/[a-z]+)", begins="## Commands")) >= set(BY_NAME) - {"/detach"}
    assert "`/detach`" in prose("terminal.md")


def test_the_events_of_webhooks_are_complete() -> None:
    assert set(cells("webhooks.md", r"`([a-z]+\.[a-z_]+)`", begins="## Events")) == set(webhook_config.EVENTS)


def test_the_ends_of_answers_in_traces_and_the_beginnings_of_streams_in_metrics_are_complete() -> None:
    ends = re.findall(r"`([a-z_]+)`", re.findall(r"`tertulia\.generation\.end`: ([^|]*)", prose("operating.md"))[0])
    of_tasks = {"completed", "failed", "awaiting_tool_results"}
    assert set(ends) == of_tasks | {ending.name.lower() for ending in Ending}
    beginnings = re.findall(
        r"`([a-z_]+)`", re.findall(r"`tertulia_follows_total\{how\}` \| ([^|]*)", prose("operating.md"))[0]
    )
    assert set(beginnings) == {"snapshot", "resumed"} | set(SnapshotReason)


def test_the_shortcuts_of_the_page_are_complete() -> None:
    source = (ROOT / "web" / "app" / "src" / "shortcuts.ts").read_text().partition("SHORTCUTS")[2].partition("};")[0]
    names = {"arrowup": "↑", "arrowdown": "↓", "escape": "Esc"}
    defined = set[str]()
    for key, more in re.findall(r'\{ key: "([^"]+)"([^}]*)\}', source):
        held = [
            name for name, word in (("Ctrl", "command"), ("Alt", "alt"), ("Shift", "shift")) if f"{word}: true" in more
        ]
        defined.add("+".join([*held, names.get(key) or key.upper()]))
    assert set(cells("page.md", begins="## Keyboard shortcuts", ends="On a Mac")) == defined


def test_the_providers_are_complete() -> None:
    stated = set(cells("providers.md", r"^ ?`([a-z-]+)`", begins="| `TERTULIA_PROVIDER` |", ends="\n\n"))
    assert stated == {provider.value for provider in Provider}


def test_the_errors_of_signing_in_are_those_of_the_code() -> None:
    folder = ROOT / "src" / "tertulia" / "server" / "auth"
    source = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    stated = set(cells("auth.md", column=1, begins="| status | `error` |", ends="\n\n"))
    assert {code for code in stated if f'"{code}"' not in source} == set()
    assert set(re.findall(r'(?:error_response\(\d+, |GrantRefused\(|BadGrant\()\s*"([a-z_]+)"', source)) <= stated


def test_the_keys_of_plans_and_their_settings_are_complete() -> None:
    assert set(cells("plans.md", r"^ ?`([a-z_]+)`", begins="## Keys")) == set(KEYS)


def test_the_defaults_of_the_limits_of_tools_are_those_of_the_settings() -> None:
    rows = re.findall(r"^\| `(TERTULIA_\w+)` \| `(\d+)` \|", (ROOT / "docs" / "tools.md").read_text(), re.MULTILINE)
    settings = {variable_name(name): default for name, default in DEFAULTS.items()}
    assert rows
    assert {name: float(value) for name, value in rows} == {name: float(settings[name]) for name, _ in rows}


def test_failed_answers_are_retryable_as_documented() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| .* \|(?: (yes|no))? \|$", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE
    )
    stated = {name: value == "yes" for name, value in rows if name in ErrorCode.__members__}
    assert stated == {code.name: GenerationError(code, "").retryable for code in ErrorCode}


def test_every_error_of_the_api_has_a_remedy() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    remedies = set[str]()
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        header, _, *rows = (line.strip("| ").split(" | ") for line in table.splitlines())
        if "what to do" in header:
            column = header.index("what to do")
            remedies |= {row[0].strip("`") for row in rows if len(row) > column and row[column].strip()}
    source = "\n".join(
        file.read_text() for name in ("schema", "src/tertulia/server") for file in (ROOT / name).rglob("*.py")
    )
    codes = re.findall(r'(?:"code": |code=|(?:Refused|problem)\(\s*\d+, |envelope\(\s*)"([A-Z_]+)"', source)
    types = {
        name for name, one in SCHEMA.type_map.items() if "Error" in {i.name for i in getattr(one, "interfaces", ())}
    }
    assert {"SEND_REFUSED", "TOOL_RESULTS_REQUIRED", "NotFound"} <= {*codes, *types}
    assert {*codes, *types, *ErrorCode.__members__} - remedies == set()


def test_the_statuses_of_failed_answers_on_rest_are_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text().partition("## REST errors")[2]
    rows = re.findall(r"^\| ([\d, ]+) \| (.*) \|$", page, re.MULTILINE)
    for code, status in rest.STATUS.items():
        assert any(str(status) in statuses.split(", ") and f"`{code.name}`" in cell for statuses, cell in rows), code


def test_every_documented_code_of_an_error_exists() -> None:
    folders = ("schema", "resolvers", "src/tertulia/server", "src/tertulia/claude", "src/tertulia/storage.py")
    files = [
        file for name in folders for file in ((ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else (ROOT / name,))
    ]
    texts = {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    stated = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", (ROOT / "docs" / "errors.md").read_text()))
    values = {value for enum in SCHEMA.type_map.values() for value in getattr(enum, "values", ())}
    assert {code for code in stated if not code.startswith("TERTULIA_")} - texts - values == set()


# ---- names -----------------------------------------------------------------------------------

SCHEMA = build_schema((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8"))
FOLDERS = "src|tests|docs|deploy|examples|web|schema|resolvers|db|bench|requirements"
OF_OTHERS = {"Viewer.id", "Viewer.claims", "JSON.parse"}
"""Attributes in Python and functions of JavaScript."""
MADE = {"bench/results/TIME.json", "docs/.doctrees"}
"""Files that programs make."""
PAGES = [file for file in FILES if not {"examples", "packages", "decisions"} & set(file.parts)]


def test_every_named_file_field_and_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    prose_of_all = "\n".join(without_blocks(file) for file in PAGES)
    spans = set(re.findall(r"`([^`]+)`", prose_of_all)) - OF_OTHERS
    files = {span for span in spans if re.fullmatch(rf"(?:{FOLDERS})/[\w./-]+", span)} - MADE
    fields = {tuple(span.split(".")) for span in spans if re.fullmatch(r"[A-Z]\w+\.\w+", span)}
    modules = {name.replace(".", "/") for span in spans for name in re.findall(r"^python -m (bench[\w.]*)", span)}
    assert {file for file in files if not (ROOT / file).exists()} == set()
    known = {name: getattr(found, "fields", {}) for name, found in SCHEMA.type_map.items()}
    assert {(name, field) for name, field in fields if name in known and field not in known[name]} == set()
    assert {target for span in spans for target in re.findall(r"^make ([a-z-]+)", span)} <= targets
    assert {one for one in modules if not list(ROOT.glob(f"{one}.py")) + list(ROOT.glob(f"{one}/__main__.py"))} == set()


def test_every_link_to_a_section_leads_to_a_heading() -> None:
    headings = {file.resolve(): set(map(anchor, heading_lines(file))) for file in (*FILES, ROOT / "CHANGELOG.md")}
    missing = [
        f"{file.name}: {link}"
        for file in FILES
        for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+#[^)\s]+|#[^)\s]+)\)", file.read_text(encoding="utf-8"))
        if (target := (file.parent / link.partition("#")[0]).resolve() if link[0] != "#" else file.resolve())
        in headings
        and link.partition("#")[2] not in headings[target]
    ]
    assert missing == []


def without_blocks(file: Path) -> str:
    return re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def heading_lines(file: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", without_blocks(file), re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the site write it."""
    if own := re.search(r"\{ #([\w-]+) \}", heading):
        return own[1]
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_the_page_speaks_the_documented_number_of_languages() -> None:
    catalogs = list((ROOT / "web" / "app" / "src" / "messages").glob("??.ts"))
    for page in ("../README.md", "errors.md"):
        assert f"{word(len(catalogs))} languages" in prose(page)
