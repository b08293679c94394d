"""Fixtures: real servers, shared by tests wherever these do not affect one another."""

import gc
import inspect
import os
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# Imported modules live until the end. Collecting garbage during the imports takes a fifth of their time.
gc.disable()

import compiled_sql
import forking
import httpx2
import hypothesis
import pytest
from client import WAIT, Api
from programs import require
from running import sweeping, tertulia
from scripted import Reply, ScriptedClaude, scripted
from servers import Servers, names_postgres

hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=True
)
hypothesis.settings.load_profile("tests")
compiled_sql.share()

HTTP_TIMEOUT: httpx2.Timeout = inspect.signature(httpx2.get).parameters["timeout"].default
"""The timeout of requests that have no other: 5 seconds, which is too short for a server on a busy machine."""
HTTP_TIMEOUT.read = WAIT

SECRET = "sk-ant-scripted"


ON_BOTH = {
    "test_branches",
    "test_changes",
    "test_conversation",
    "test_faults",
    "test_lists",
    "test_long_conversations",
    "test_protocol",
    "test_retention",
    "test_search",
}
"""Tests of behaviour that must not depend on storage and log. They run on both setups, as do those marked `both`."""
EMBEDDED, JOINED = "sqlite+memory", "postgresql+redis"


LONG = (
    *(
        "test_page",
        "test_deployed",
        "test_examples",
        "test_faults",
        "test_freezes",
        "test_adapters",
        "test_stock_clients",
    ),
    *("test_example_scripts", "test_example_shop", "test_levels", "test_load"),
    *("test_rolling_upgrades", "test_embedding_shutdown", "test_alerts", "test_tool_faults"),
)
"""Files whose tests wait for much of their time. They start first: other tests fill their pauses, and none of them runs
alone at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Restore Ctrl+C, and with several workers import the server once for the commands that all of them start."""
    # A shell starts background processes with SIGINT ignored, and all programs that the tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Each client would load the system's certificate authorities, which takes 50 ms of CPU time. Tests with TLS have
    # their own authority.
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(forking.ROOT / "tests")
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ[forking.SHARED] = forking.address(forking.CODE)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check for the programs and files that a test needs before any fixture is set up."""
    for mark in item.iter_markers("needs"):
        require(*mark.args)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if _suits_its_setup(item)]
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))
    # Imported modules and collected tests live until the end, so the garbage collector need not scan them.
    gc.collect()
    gc.freeze()
    # With Python's own thresholds, a tenth of the CPU time of the tests would go to passes over their objects.
    gc.set_threshold(5_000, 10, 20)
    gc.enable()


def _suits_its_setup(item: pytest.Item) -> bool:
    """Return whether the marks of a test, or of one of its parameters, allow its setup."""
    setup = (
        item.callspec.params.get("setup") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    )
    return setup is None or item.get_closest_marker("joined" if setup == EMBEDDED else "embedded") is None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "setup" in metafunc.fixturenames:
        module = metafunc.definition.path.stem
        both, joined = (metafunc.definition.get_closest_marker(name) is not None for name in ("both", "joined"))
        joined = joined or module == "test_replicas"
        setups = [JOINED] if joined else [EMBEDDED, JOINED][: 1 + (both or module in ON_BOTH)]
        metafunc.parametrize("setup", setups, scope="session")


@pytest.fixture
def slow_tool_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for MCP servers than a server does: on a busy machine, a program can take seconds to start."""
    monkeypatch.setattr("tertulia.tools.mcp.servers.START_SECONDS", WAIT)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    """PostgreSQL and Redis, started at their first use."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def own_servers(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Generator[Servers]:
    """The same on this machine, for tests that need that even if the environment names other servers."""
    if not names_postgres():
        yield servers
        return
    started = Servers(tmp_path_factory.mktemp("own-servers"), own=True)
    yield started
    started.close()


@pytest.fixture
def place(setup: str, request: pytest.FixtureRequest, tmp_path: Path) -> Generator[dict[str, Any]]:
    """Settings for an empty database and log that outlive the servers that a test starts."""
    if setup == EMBEDDED:
        yield {"database_url": f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"}
        return
    servers: Servers = request.getfixturevalue("servers")
    settings = servers.settings()
    yield settings
    servers.release(settings)


@pytest.fixture(scope="session")
def api(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server with the simulated Claude, shared by all tests of a process. Each test uses its own conversations."""
    more = {} if setup == EMBEDDED else request.getfixturevalue("servers").settings()
    with tertulia(tmp_path_factory.mktemp("shared"), sharing=True, **more) as address, Api(address) as client:
        yield client


@pytest.fixture
def fresh(tmp_path: Path, place: dict[str, Any]) -> Generator[Api]:
    """A server for one test, with an empty database."""
    with tertulia(tmp_path, **place) as address, Api(address) as client:
        yield client


@pytest.fixture
def sweeps() -> Generator[None]:
    """Make the servers that a test starts delete expired data at their start."""
    with sweeping():
        yield


class Stage:
    """A scripted Claude and a server that uses it."""

    def __init__(self, claude: ScriptedClaude, api: Api, keyed: dict[str, Any]) -> None:
        self.claude = claude
        self.api = api
        self.keyed = keyed
        """Settings for another server that uses the same Claude."""


Staged = Callable[..., Stage]


@pytest.fixture
def staged(tmp_path: Path, place: dict[str, Any]) -> Generator[Staged]:
    """A function that starts a server with a scripted Claude."""
    with ExitStack() as stack:

        def make(*replies: Reply, **more: Any) -> Stage:
            claude = stack.enter_context(scripted(*replies))
            keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
            address = stack.enter_context(tertulia(tmp_path, **(place | keyed | more)))
            return Stage(claude, stack.enter_context(Api(address)), keyed)

        yield make
