"""Settings of clouds: what is missing, or is not offered, stops the start, and `tertulia doctor` asks each cloud."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from providers import CLOUDS, HAIKU, OPUS, Bedrock, Cloud, Foundry, Mantle, Vertex, cloud_at
from running import FixedSettings
from scripted import scripted
from test_command import run_here
from test_providers import Setenv, setenv

from tertulia.claude.providers import PLATFORMS
from tertulia.extras import MODULES
from tertulia.server.environment import WrongSetting
from tertulia.server.model_settings import check_model_settings
from tertulia.server.settings import Settings
from tertulia.simulator.app import create_simulator

__all__ = ["setenv"]

AWS = {"AWS_REGION": "eu-west-1"}
GOOGLE = {"CLOUD_ML_REGION": "global", "GOOGLE_CLOUD_PROJECT": "p"}
BEDROCK = {"TERTULIA_PROVIDER": "bedrock", "TERTULIA_DEFAULT_MODEL": "global.anthropic.claude-opus-4-6-v1", **AWS}


def refusal(folder: Path, **settings: str) -> str:
    """Return the line with which a start is refused."""
    served = run_here(folder, "serve", **settings)
    assert served.exit_code == 2, served.output
    return served.stderr.strip()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"TERTULIA_PROVIDER": "azure"}, "TERTULIA_PROVIDER: got 'azure'; must be 'anthropic', 'aws', 'bedrock',"),
        ({"TERTULIA_PROVIDER": "aws"}, "TERTULIA_PROVIDER: got 'aws'; Claude Platform on AWS needs AWS_REGION or AWS_DEFAULT_REGION."),
        ({"TERTULIA_PROVIDER": "aws", **AWS}, "TERTULIA_PROVIDER: got 'aws'; Claude Platform on AWS needs ANTHROPIC_AWS_WORKSPACE_ID."),
        ({"TERTULIA_PROVIDER": "vertex"}, "TERTULIA_PROVIDER: got 'vertex'; Vertex AI needs CLOUD_ML_REGION."),
        ({"TERTULIA_PROVIDER": "vertex", "CLOUD_ML_REGION": "eu"}, "needs ANTHROPIC_VERTEX_PROJECT_ID or GOOGLE_CLOUD_PROJECT."),
        ({"TERTULIA_PROVIDER": "google-cloud"}, "needs ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID or ANTHROPIC_GOOGLE_CLOUD_BASE_URL."),
        ({"TERTULIA_PROVIDER": "foundry"}, "needs ANTHROPIC_FOUNDRY_RESOURCE or ANTHROPIC_FOUNDRY_BASE_URL."),
        ({"TERTULIA_PROVIDER": "bedrock"}, "TERTULIA_DEFAULT_MODEL: is required with TERTULIA_PROVIDER=bedrock, such as global."),
        ({"TERTULIA_PROVIDER": "bedrock-mantle", **AWS}, "TERTULIA_DEFAULT_MODEL: is required with TERTULIA_PROVIDER=bedrock-mantle"),
        ({**BEDROCK, "TERTULIA_TOOLS": "web_search"}, "TERTULIA_TOOLS: got 'web_search', which Amazon Bedrock does not offer."),
        ({**GOOGLE, "TERTULIA_PROVIDER": "vertex", "TERTULIA_TOOLS": "code_execution"}, "TERTULIA_TOOLS: got 'code_execution', which Vertex AI"),
        ({"TERTULIA_FALLBACK_MODELS": "vertex:claude-opus-5"}, "TERTULIA_FALLBACK_MODELS: got 'vertex:claude-opus-5'; Vertex AI needs CLOUD_ML_REGION."),
        ({**BEDROCK, "TERTULIA_FALLBACK_MODELS": "anthropic:claude-opus-5"}, "Claude's API needs ANTHROPIC_API_KEY."),
    ],
)  # fmt: skip
def test_a_cloud_that_lacks_something_stops_the_start(tmp_path: Path, settings: dict[str, str], line: str) -> None:
    assert line in refusal(tmp_path, **settings)


@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.provider)
def test_a_cloud_without_its_extra_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Cloud]
) -> None:
    platform = next(platform for name, platform in PLATFORMS.items() if name == kind.provider)
    assert platform.extra is not None
    monkeypatch.setitem(sys.modules, MODULES[platform.extra], None)
    line = f'{platform.title} needs the extra "{platform.extra}": pip install "tertulia[{platform.extra}]"'
    assert refusal(tmp_path, TERTULIA_PROVIDER=kind.provider) == f"TERTULIA_PROVIDER: {line}"
    fallback = f"{kind.provider}:x"
    assert refusal(tmp_path, TERTULIA_FALLBACK_MODELS=fallback) == f"TERTULIA_FALLBACK_MODELS: {line}"


def test_a_tool_that_one_of_the_models_can_use_is_accepted(tmp_path: Path) -> None:
    both = f"{BEDROCK['TERTULIA_DEFAULT_MODEL']},vertex:{OPUS}"
    search = {"TERTULIA_MODELS": both, "TERTULIA_TOOLS": "web_search", "DATABASE_URL": "sqlite+aiosqlite:///x.db"}
    done = run_here(tmp_path, "migrate", **BEDROCK, **GOOGLE, **search)
    assert done.exit_code == 0, done.output


def test_the_variables_of_clouds_can_be_in_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv
) -> None:
    lines = ["TERTULIA_PROVIDER=aws", "AWS_REGION=eu-west-1", "ANTHROPIC_AWS_WORKSPACE_ID=w", "ANTHROPIC_AWS_API_KEY=k"]
    (tmp_path / ".env").write_text("\n".join(lines))
    done = run_here(tmp_path, "migrate")
    assert (done.exit_code, done.stderr) == (0, "Database: sqlite+aiosqlite:///tertulia.db\n")


@pytest.mark.parametrize("provider", ["bedrock", "bedrock-mantle", "foundry"])
def test_a_cloud_that_names_models_differently_has_no_default_title_model(provider: Any) -> None:
    assert Settings(provider=provider).title_model == ""
    assert Settings(provider=provider, title_model="x").title_model == "x"
    assert Settings().title_model == HAIKU


OFFERS = {
    "bedrock": "; without web_search, web_fetch, code_execution, a list of models, the Files API",
    "bedrock-mantle": "; without web_search, web_fetch, code_execution, a list of models, the Files API",
    "aws": "",
    "vertex": "; without web_fetch, code_execution, a list of models, the Files API",
    "google-cloud": "",
    "foundry": "; without a list of models",
}


@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.provider)
def test_doctor_asks_each_cloud_and_reports_what_it_does_not_offer(
    tmp_path: Path, setenv: Setenv, kind: type[Cloud]
) -> None:
    variables: dict[str, str] = {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}
    with cloud_at(kind, create_simulator(pace=0), tmp_path, variables.__setitem__) as cloud:
        settings = {
            "TERTULIA_PROVIDER": cloud.provider,
            "TERTULIA_DEFAULT_MODEL": cloud.model,
            "TERTULIA_TITLE_MODEL": "",
        }
        done = run_here(tmp_path, "doctor", **settings, **variables)
        claude = [line for line in done.output.splitlines() if cloud.model in line and "answered" in line]
        assert len(claude) == 1, done.output
        assert claude[0].startswith("ok     ")
        assert claude[0].partition(" s")[2] == OFFERS[cloud.provider]
        assert ("listed" in done.output) is (PLATFORMS_BY_NAME[cloud.provider].lists_models)
        done = run_here(tmp_path, "doctor", **{**settings, "TERTULIA_DEFAULT_MODEL": "claude-none"}, **variables)
        assert done.exit_code == 1
        wrong = [line for line in done.output.splitlines() if line.startswith("wrong")]
        if kind is Bedrock:
            assert wrong == ["wrong  Amazon Bedrock: claude-none: The provided model identifier is invalid."]
        else:
            title = PLATFORMS_BY_NAME[cloud.provider].title
            assert f"TERTULIA_DEFAULT_MODEL: got 'claude-none', but {title} has no such model" in wrong[0]


PLATFORMS_BY_NAME = {provider.value: platform for provider, platform in PLATFORMS.items()}


def start_refusal(**settings: Any) -> str:
    """Return the line with which the checks of a start refuse the settings."""
    with pytest.raises(WrongSetting) as raised:
        asyncio.run(check_model_settings(FixedSettings(**settings)))
    return str(raised.value)


@pytest.mark.parametrize("kind", [Mantle, Vertex, Foundry], ids=lambda kind: kind.provider)
def test_a_model_that_a_cloud_does_not_have_stops_the_start(tmp_path: Path, setenv: Setenv, kind: type[Cloud]) -> None:
    with cloud_at(kind, create_simulator(pace=0), tmp_path, setenv) as cloud:
        settings = {"provider": cloud.provider, "default_model": "claude-none", "title_model": ""}
        assert start_refusal(**settings).startswith("TERTULIA_DEFAULT_MODEL: got 'claude-none', but ")


def test_a_model_of_a_second_provider_is_checked(tmp_path: Path, setenv: Setenv) -> None:
    with cloud_at(Vertex, create_simulator(pace=0), tmp_path, setenv), scripted() as claude:
        keyed = {"anthropic_api_key": "sk-ant-test", "anthropic_base_url": claude.address}
        line = start_refusal(**keyed, fallback_models=("vertex:claude-none",))
    assert line.startswith("TERTULIA_FALLBACK_MODELS: got 'vertex:claude-none', but Vertex AI has no such model")


def test_a_provider_that_only_an_assistant_names_is_checked(tmp_path: Path, setenv: Setenv) -> None:
    (tmp_path / "default.md").write_text("---\nname: Ada\nfallbacks: ['vertex:claude-opus-5-5']\n---\nHello.\n")
    line = start_refusal(assistants=str(tmp_path))
    assert line.endswith("got 'vertex:claude-opus-5-5'; Vertex AI needs CLOUD_ML_REGION.")
    assert "default.md" in line


def test_a_region_that_no_profile_names_stops_the_start(tmp_path: Path, setenv: Setenv) -> None:
    setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    line = start_refusal(provider="bedrock", default_model="x")
    assert line.startswith("TERTULIA_PROVIDER: No AWS region was provided.")
