"""Fixtures: real servers, made once where tests leave no trace in one another."""

from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from client import Api
from running import tertulia
from scripted import Reply, ScriptedClaude, scripted

hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=True
)
hypothesis.settings.load_profile("tests")

SECRET = "sk-ant-scripted"


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """A server with the simulated Claude, shared by all tests of a process: each uses conversations of its own."""
    with tertulia(tmp_path_factory.mktemp("shared")) as address, Api(address) as client:
        yield client


@pytest.fixture
def fresh(tmp_path: Path) -> Generator[Api]:
    """A server of the test's own, with an empty database."""
    with tertulia(tmp_path) as address, Api(address) as client:
        yield client


class Stage:
    """A Claude that says what the test wants, and a server that asks it."""

    def __init__(self, claude: ScriptedClaude, api: Api) -> None:
        self.claude = claude
        self.api = api


Staged = Callable[..., Stage]


@pytest.fixture
def staged(tmp_path: Path) -> Generator[Staged]:
    """Make a server that asks a scripted Claude."""
    with ExitStack() as stack:

        def make(*replies: Reply, **more: Any) -> Stage:
            claude = stack.enter_context(scripted(*replies))
            keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
            address = stack.enter_context(tertulia(tmp_path, **(keyed | more)))
            return Stage(claude, stack.enter_context(Api(address)))

        yield make
