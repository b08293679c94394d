"""Models, requests and prices of the clouds, without a server."""

from decimal import Decimal
from typing import Any

import pytest

from tertulia.billing.prices import TABLE, Prices
from tertulia.claude.errors import StreamError
from tertulia.claude.known_models import KNOWN_MODELS
from tertulia.claude.models import Models
from tertulia.claude.provider_requests import adapted
from tertulia.claude.providers import ModelName, Provider, canonical_name, model_name

Json = dict[str, Any]
OPUS = "claude-opus-4-6"
WEATHER = {"name": "weather", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20260318", "name": "web_search", "allowed_callers": ["direct"]}
CODE = {"type": "code_execution_20260521", "name": "code_execution"}
QUESTION: Json = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
CITATION = {"type": "web_search_result_location", "encrypted_index": "x"}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic.claude-opus-5-5", "claude-opus-5-5"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("my-deployment", "my-deployment"),
    ],
)
def test_the_name_of_a_model_at_each_provider_shows_anthropics_name(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


def test_an_id_names_another_provider_before_a_colon() -> None:
    profile = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert model_name(profile, Provider.BEDROCK) == ModelName(Provider.BEDROCK, profile)
    assert model_name(f"bedrock:{profile}", Provider.ANTHROPIC) == ModelName(Provider.BEDROCK, profile)
    assert model_name("google-cloud:x", Provider.BEDROCK) == ModelName(Provider.GOOGLE_CLOUD, "x")
    for other in ("arn:aws:bedrock:x", "bedrock:", ":x", "unknown:x"):
        assert model_name(other, Provider.VERTEX) == ModelName(Provider.VERTEX, other)


def models(provider: Provider) -> Models:
    nobody: Any = None
    return Models(nobody, default="x", allowed=(), simulated=False, provider=provider)


def test_a_model_without_a_list_has_the_known_capabilities_of_anthropics_model() -> None:
    model = models(Provider.BEDROCK).known("eu.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert (model.max_input_tokens, model.max_output_tokens, model.compacts) == (200_000, 64_000, False)
    assert model.thinking == frozenset({"enabled", "disabled"})
    assert (model.display_name, model.provider, model.server_tools) == (
        "Claude Haiku 4.5",
        Provider.BEDROCK,
        frozenset(),
    )


def test_an_unknown_model_has_unknown_capabilities() -> None:
    model = models(Provider.FOUNDRY).known("my-deployment")
    assert (model.id, model.display_name, model.max_input_tokens, model.thinking) == ("my-deployment",) * 2 + (
        None,
        None,
    )


def test_each_known_model_has_a_price() -> None:
    assert KNOWN_MODELS.keys() <= TABLE.keys()


@pytest.mark.parametrize(
    ("provider", "model", "region", "factor"),
    [
        (Provider.BEDROCK, f"global.anthropic.{OPUS}-v1", None, "1"),
        (Provider.BEDROCK, f"eu.anthropic.{OPUS}-v1", None, "1.1"),
        (Provider.BEDROCK, f"anthropic.{OPUS}-v1", None, "1.1"),
        (Provider.ANTHROPIC, f"bedrock:anthropic.{OPUS}-v1", None, "1.1"),
        (Provider.BEDROCK_MANTLE, f"anthropic.{OPUS}", None, "1.1"),
        (Provider.VERTEX, OPUS, "global", "1"),
        (Provider.VERTEX, OPUS, "eu", "1.1"),
        (Provider.AWS, OPUS, None, "1"),
        (Provider.GOOGLE_CLOUD, OPUS, "eu", "1"),
        (Provider.FOUNDRY, OPUS, None, "1"),
        (Provider.BEDROCK, "anthropic:claude-opus-4-6", None, "1"),
    ],
)
def test_a_model_in_a_region_costs_a_tenth_more(
    monkeypatch: pytest.MonkeyPatch, provider: Provider, model: str, region: str | None, factor: str
) -> None:
    if region is not None:
        monkeypatch.setenv("CLOUD_ML_REGION", region)
    price = Prices({}, provider).of(model)
    assert price == TABLE[OPUS].times(Decimal(factor))


def test_the_operators_price_of_a_clouds_model_applies_as_it_is() -> None:
    own = Prices({"eu.anthropic.x": {"input": 1, "output": 2}}, Provider.BEDROCK).of("eu.anthropic.x")
    assert own is not None
    assert (own.input, own.output) == (Decimal(1), Decimal(2))


def test_anthropic_is_sent_the_request_as_it_is() -> None:
    request = {"model": "anthropic:m", "messages": [QUESTION], "tools": [SEARCH], "cache_control": {}, "container": "c"}
    assert adapted(request, model_name("anthropic:m", Provider.BEDROCK)) == {**request, "model": "m"}


def test_bedrock_is_sent_neither_claudes_own_tools_nor_their_results() -> None:
    answer = {
        "role": "assistant",
        "content": [
            {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "1", "content": []},
            {"type": "text", "text": "It rains.", "citations": [CITATION]},
            {"type": "tool_use", "id": "2", "name": "weather", "input": {}},
        ],
    }
    request = {
        "model": "m", "messages": [QUESTION, answer, QUESTION], "tools": [WEATHER, SEARCH, CODE],
        "tool_choice": {"type": "auto"}, "container": "c",
    }  # fmt: skip
    sent = adapted(request, ModelName(Provider.BEDROCK, "m"))
    assert sent["messages"][1]["content"] == [{"type": "text", "text": "It rains."}, answer["content"][-1]]
    assert (sent["tools"], sent["tool_choice"], "container" in sent) == ([WEATHER], {"type": "auto"}, False)
    search = {"type": "tool", "name": "web_search"}
    assert "tool_choice" not in adapted({**request, "tool_choice": search}, ModelName(Provider.BEDROCK, "m"))
    alone = adapted({**request, "tools": [SEARCH]}, ModelName(Provider.BEDROCK, "m"))
    assert not alone.keys() & {"tools", "tool_choice"}
    assert request["tools"] == [WEATHER, SEARCH, CODE]


def test_a_request_that_must_stay_in_a_region_is_not_sent_to_a_cloud_that_has_no_such_parameter() -> None:
    request = {"model": "m", "messages": [QUESTION], "inference_geo": "us"}
    with pytest.raises(StreamError, match=r"Amazon Bedrock does not support `inference_geo`"):
        adapted(request, ModelName(Provider.BEDROCK, "m"))
    assert adapted(request, ModelName(Provider.AWS, "m")) == request


def test_a_turn_of_claudes_own_tools_alone_is_left_out() -> None:
    call = {"type": "server_tool_use", "id": "1", "name": "code_execution", "input": {}}
    result = {"type": "code_execution_tool_result", "tool_use_id": "1", "content": {}}
    request = {"model": "m", "messages": [QUESTION, {"role": "assistant", "content": [call, result]}, QUESTION]}
    assert adapted(request, ModelName(Provider.VERTEX, "m"))["messages"] == [QUESTION, QUESTION]


def test_vertex_is_sent_the_version_of_the_search_that_it_has() -> None:
    limited = {**SEARCH, "allowed_domains": ["example.com"], "max_uses": 2}
    request = {"model": "m", "messages": [QUESTION], "tools": [WEATHER, limited, CODE]}
    sent = adapted(request, ModelName(Provider.VERTEX, "m"))
    earlier = {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["example.com"], "max_uses": 2}
    assert sent["tools"] == [WEATHER, earlier]


@pytest.mark.parametrize("provider", [Provider.BEDROCK, Provider.BEDROCK_MANTLE, Provider.VERTEX, Provider.FOUNDRY])
def test_a_cloud_is_sent_only_the_betas_that_it_has(provider: Provider) -> None:
    request = {
        "model": "m", "messages": [QUESTION], "betas": ["compact-2026-01-12", "server-side-fallback-2026-07-01"],
        "fallbacks": [{"model": "x"}], "fallback_credit_token": {"token": "x"}, "context_management": {"edits": []},
        "thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}},
        "speed": "fast", "service_tier": "auto", "diagnostics": {}, "output_config": {"task_budget": {"total": 1}},
    }  # fmt: skip
    assert adapted(request, ModelName(provider, "m")) == {
        "model": "m", "messages": [QUESTION], "betas": ["compact-2026-01-12"], "context_management": {"edits": []},
        "thinking": {"type": "adaptive"},
    }  # fmt: skip
    assert "betas" not in adapted({**request, "betas": ["other"]}, ModelName(provider, "m"))
    effort = {"output_config": {"effort": "low", "task_budget": {"total": 1}}}
    assert adapted(request | effort, ModelName(provider, "m"))["output_config"] == {"effort": "low"}
    assert adapted(request, ModelName(Provider.AWS, "m")) == request


def test_bedrock_is_sent_an_explicit_breakpoint_of_the_cache() -> None:
    control = {"type": "ephemeral"}
    request = {"model": "m", "messages": [QUESTION, QUESTION], "cache_control": control}
    sent = adapted(request, ModelName(Provider.BEDROCK, "m"))
    assert sent["messages"] == [QUESTION, {"role": "user", "content": [{**QUESTION["content"][0], "cache_control": control}]}]  # fmt: skip
    assert "cache_control" not in sent
    assert adapted(request, ModelName(Provider.BEDROCK_MANTLE, "m"))["cache_control"] == control
