"""Servers start fast because large libraries are imported only when they are used."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from running import prepare_database, read_until
from scripted import scripted

import tertulia

LAZY = {
    "PIL": "images are decoded in a separate process",
    "aiohttp": "Claude is asked over HTTP",
    "alembic": "there is something to migrate",
    "anthropic": "a message is sent, or after the start",
    "argon2": "TERTULIA_AUTH is password",
    "asyncpg": "DATABASE_URL names PostgreSQL",
    "azure": "TERTULIA_PROVIDER is foundry",
    "boto3": "TERTULIA_PROVIDER is a service on AWS",
    "botocore": "TERTULIA_PROVIDER is a service on AWS",
    "cryptography": "TERTULIA_AUTH is password or oidc",
    "google.auth": "TERTULIA_PROVIDER is a service on Google Cloud",
    "gql": "`tertulia chat` runs",
    "httpx2": "Claude is asked over HTTP",
    "jsonschema_rs": "schemas are checked in a separate process",
    "jwt": "TERTULIA_AUTH is password or oidc",
    "limits": "a rate is limited",
    "mcp": "TERTULIA_MCP_CONFIG is set",
    "obstore": "TERTULIA_ATTACHMENTS names an object store",
    "opentelemetry.exporter": "OTEL_EXPORTER_OTLP_ENDPOINT is set",
    "opentelemetry.sdk": "OTEL_EXPORTER_OTLP_ENDPOINT is set",
    "prompt_toolkit": "`tertulia chat` runs",
    "pygments": "a terminal needs colors",
    "pypdfium2": "documents are opened in a separate process",
    "redis": "REDIS_URL is set",
    "regex": "a text is not ASCII",
    "rich": "a terminal needs colors",
    "tertulia.conformance": "`tertulia conformance` runs",
    "tertulia.simulator": "there is no ANTHROPIC_API_KEY",
    "tertulia.transfer.exporter": "a user exports conversations",
    "tertulia.transfer.importer": "a user imports conversations",
}
"""Modules that a start does not need, and when they are needed."""

SERVE = """
import os, sys
from tertulia.claude.client import Claude
from tertulia.cli import main
from tertulia.server import run

async def do_nothing(_claude):
    pass

def print_modules(*_text, **_options):
    os.write(1, " ".join(sorted(sys.modules)).encode() + b"\\n")

Claude.preload = do_nothing
run.print = print_modules
sys.argv = ["tertulia", "serve", "--port", "0"]
main.main()
"""
"""Serves, and prints the names of the imported modules instead of the server's address."""


def unneeded(folder: Path, *needed: str, **more: str) -> dict[str, str]:
    """Start a server on a migrated database, and return those modules of LAZY that it imported, with their reasons."""
    settings_of = {"TERTULIA_TITLE_MODEL": "", "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}", **more}
    prepare_database(settings_of["DATABASE_URL"])
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], cwd=folder, env=environment | settings_of, stdout=subprocess.PIPE, text=True
    )
    try:
        modules = set(read_until(process, "\n").split())
    finally:
        process.kill()
        process.communicate()
    return {name: reason for name, reason in LAZY.items() if name in modules and name not in needed}


def test_a_server_with_the_simulated_claude_imports_no_unneeded_libraries(tmp_path: Path) -> None:
    assert unneeded(tmp_path, "tertulia.simulator", "jsonschema_rs") == {}, "each is only needed when the reason holds"


def test_a_server_with_a_key_checks_its_models_without_importing_the_sdk(tmp_path: Path) -> None:
    with scripted() as claude:
        key = {"ANTHROPIC_API_KEY": "sk-ant-test", "ANTHROPIC_BASE_URL": claude.address}
        assert unneeded(tmp_path, "aiohttp", "httpx2", **key) == {}, "each is only needed when the reason holds"


def test_no_module_imports_a_submodule_of_the_sdk() -> None:
    # Python locks a module before its parent package. A thread that imports a submodule of the SDK and another one that
    # imports the SDK at the same time would wait for each other.
    offenders = [
        f"{file.name}: {name}"
        for file in Path(tertulia.__file__).parent.rglob("*.py")
        for name in imported(ast.parse(file.read_text(encoding="utf-8")))
        if name.startswith("anthropic.")
    ]
    assert not offenders, f"write `import anthropic`: {offenders}"


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported at run time: all except those under `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield from imported(node)
