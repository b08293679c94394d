"""The providers of Claude's models: their features, and their names of models.

Sources: the page of each provider under "Claude on cloud platforms" in the Claude API documentation, the table of
platforms in Anthropic's skill `claude-api`, and the clients of the SDK. docs/providers.md shows this to operators.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Provider(StrEnum):
    """A service that runs Claude's models."""

    ANTHROPIC = "anthropic"
    AWS = "aws"
    BEDROCK = "bedrock"
    BEDROCK_MANTLE = "bedrock-mantle"
    VERTEX = "vertex"
    GOOGLE_CLOUD = "google-cloud"
    FOUNDRY = "foundry"


SERVER_TOOLS = ("web_search", "web_fetch", "code_execution")
"""Claude's own tools that this server can offer."""
ALL_TOOLS = frozenset(SERVER_TOOLS)
OF_CLOUDS = frozenset({"compact-2026-01-12", "context-management-2025-06-27"})
"""The betas that all clouds have."""
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True, slots=True)
class Platform:
    """The features of a provider.

    Attributes:
        provider: The provider.
        title: Its name, for people.
        client: The class of the SDK.
        extra: The extra with the client's dependencies; None if it has none.
        example: An id of a model, as the provider writes it.
        required: Groups of environment variables, one of which must be set in each group.
        lists_models: Whether it has the Models API.
        counts_tokens: Whether it counts tokens without a charge.
        stores_files: Whether it has the Files API.
        server_tools: Those of Claude's own tools that it runs.
        betas: The beta features that it has, of those that this server uses; None for all,
            and for the other parameters that only Anthropic's own services have.
        tool_versions: The versions of these tools that it has, where they differ from Anthropic's.
        caches_automatically: Whether it accepts `cache_control` outside of blocks.
        span_name: Its name in traces (`gen_ai.provider.name` of OpenTelemetry's conventions).
    """

    provider: Provider
    title: str
    client: str
    extra: str | None
    example: str
    required: tuple[tuple[str, ...], ...] = ()
    lists_models: bool = True
    counts_tokens: bool = True
    stores_files: bool = True
    server_tools: frozenset[str] = ALL_TOOLS
    betas: frozenset[str] | None = None
    tool_versions: Mapping[str, str] = field(default_factory=dict[str, str])
    caches_automatically: bool = True
    span_name: str = "anthropic"

    def missing_variables(self) -> tuple[str, ...] | None:
        """Return the first group of environment variables of which none is set; None if nothing is missing."""
        return next((names for names in self.required if not any(os.environ.get(name) for name in names)), None)


_PLATFORMS = (
    Platform(Provider.ANTHROPIC, "Claude's API", "AsyncAnthropic", None, "claude-opus-5-5"),
    Platform(
        Provider.AWS,
        "Claude Platform on AWS",
        "AsyncAnthropicAWS",
        "aws",
        "claude-opus-5-5",
        required=(REGIONS, ("ANTHROPIC_AWS_WORKSPACE_ID",)),
    ),
    Platform(
        Provider.BEDROCK,
        "Amazon Bedrock",
        "AsyncAnthropicBedrock",
        "bedrock",
        "global.anthropic.claude-opus-4-6-v1",
        lists_models=False,
        counts_tokens=False,
        stores_files=False,
        server_tools=frozenset(),
        betas=OF_CLOUDS,
        caches_automatically=False,
        span_name="aws.bedrock",
    ),
    Platform(
        Provider.BEDROCK_MANTLE,
        "Amazon Bedrock",
        "AsyncAnthropicBedrockMantle",
        "bedrock",
        "anthropic.claude-opus-5-5",
        required=((*REGIONS, "ANTHROPIC_BEDROCK_MANTLE_BASE_URL"),),
        lists_models=False,
        stores_files=False,
        server_tools=frozenset(),
        betas=OF_CLOUDS,
        span_name="aws.bedrock",
    ),
    Platform(
        Provider.VERTEX,
        "Vertex AI",
        "AsyncAnthropicVertex",
        "vertex",
        "claude-opus-5-5",
        required=(("CLOUD_ML_REGION",), ("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT")),
        lists_models=False,
        stores_files=False,
        server_tools=frozenset({"web_search"}),
        betas=OF_CLOUDS,
        tool_versions={"web_search": "web_search_20250305"},
        span_name="gcp.vertex_ai",
    ),
    Platform(
        Provider.GOOGLE_CLOUD,
        "Claude on Google Cloud",
        "AsyncAnthropicGoogleCloud",
        "google-cloud",
        "claude-opus-5-5",
        required=(("ANTHROPIC_GOOGLE_CLOUD_WORKSPACE_ID", "ANTHROPIC_GOOGLE_CLOUD_BASE_URL"),),
    ),
    Platform(
        Provider.FOUNDRY,
        "Microsoft Foundry",
        "AsyncAnthropicFoundry",
        "foundry",
        "claude-opus-5-5",
        required=(("ANTHROPIC_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_BASE_URL"),),
        lists_models=False,
        betas=OF_CLOUDS,
    ),
)
PLATFORMS = {platform.provider: platform for platform in _PLATFORMS}
_NAMES = frozenset(provider.value for provider in Provider)


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model at a provider. The setting or input writes it as `name`, or `PROVIDER:name` for another provider."""

    provider: Provider
    name: str

    @property
    def platform(self) -> Platform:
        """The features of the model's provider."""
        return PLATFORMS[self.provider]


def model_name(model_id: str, main: Provider) -> ModelName:
    """Return the provider of a model's id and the provider's own name of the model. `main` is that of other ids."""
    prefix, _, name = model_id.partition(":")
    if name and prefix in _NAMES:
        return ModelName(Provider(prefix), name)
    return ModelName(main, model_id)


_GEOGRAPHY = re.compile(r"^(global|us-gov|us|eu|jp|au|apac)\.(?=anthropic\.)")
_VERSION = re.compile(r"(-v\d+(:\d+)?)$")


def canonical_name(name: str) -> str:
    """Return Anthropic's id of a model, as far as a provider's name shows it, without a date.

    Examples: `eu.anthropic.claude-haiku-4-5-20251001-v1:0`, `claude-haiku-4-5@20251001` and `claude-haiku-4-5-20251001`
    are all `claude-haiku-4-5`. An ARN ends with the id of an inference profile or a model.
    """
    name = _GEOGRAPHY.sub("", name.rpartition("/")[2])
    name = _VERSION.sub("", name.removeprefix("anthropic.")).partition("@")[0]
    return re.sub(r"-20\d{6}$", "", name)


def is_regional(model: ModelName) -> bool:
    """Return whether a request to the model is served in a region or a geography, which costs more."""
    match model.provider:
        case Provider.BEDROCK | Provider.BEDROCK_MANTLE:
            return not model.name.rpartition("/")[2].startswith("global.")
        case Provider.VERTEX:
            return os.environ.get("CLOUD_ML_REGION", "global") != "global"
        case _:
            return False
