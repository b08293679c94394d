"""Claude at each cloud: conversations over its wire, its errors, and what it does not offer."""

import asyncio
import json
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from client import Api, apply, wait_until
from conftest import SECRET
from media import image
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from providers import (
    BEARER_TOKEN,
    CLOUDS,
    FOUNDRY_KEY,
    HAIKU,
    OPUS,
    REGION,
    VARIABLES,
    Aws,
    Bedrock,
    Cloud,
    Foundry,
    Mantle,
    Refused,
    Vertex,
    cloud_at,
)
from running import tertulia
from scripted import START, Cut, Gate, Reply, ScriptedClaude, says, scripted, text

from tertulia.claude.client import Claude
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.providers import PLATFORMS, Provider
from tertulia.simulator.app import create_simulator

Json = dict[str, Any]
MODELS = "{ models { id displayName provider serverTools maxInputTokens thinking simulated } }"
ANSWER = "query ($id: ID!) { generation(id: $id) { model { id } message { content { __typename ... on TextBlock { text models } } } } }"


@dataclass
class Stage:
    """A server whose provider is a cloud."""

    cloud: Cloud
    api: Api


@contextmanager
def environment_of_nobody() -> Generator[Callable[[str, str], None]]:
    """Remove the variables of all clouds for a while, and yield a function that sets some."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if VARIABLES.match(name)]:
            patch.delenv(name)
        # Without a machine of a cloud, its libraries would look for one.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("NO_GCE_CHECK", "true")
        yield patch.setenv


@pytest.fixture
def setenv() -> Generator[Callable[[str, str], None]]:
    with environment_of_nobody() as setenv:
        yield setenv


@contextmanager
def staged(kind: type[Cloud], inner: Any, folder: Path, **more: Any) -> Generator[Stage]:
    """Serve a cloud in front of `inner`, and a server that uses it."""
    with ExitStack() as stack:
        setenv = stack.enter_context(environment_of_nobody())
        cloud = stack.enter_context(cloud_at(kind, inner, folder, setenv))
        settings = {"provider": cloud.provider, "default_model": cloud.model, **more}
        address = stack.enter_context(tertulia(folder, **settings))
        yield Stage(cloud, stack.enter_context(Api(address)))


Staged = Callable[..., Stage]
Setenv = Callable[[str, str], None]


@pytest.fixture
def at_cloud(tmp_path: Path) -> Generator[Staged]:
    """A function that starts a cloud with scripted replies, and a server that uses it."""
    with ExitStack() as stack:

        def make(kind: type[Cloud], *replies: Reply, **more: Any) -> Stage:
            claude = ScriptedClaude(*replies)
            return stack.enter_context(staged(kind, claude.app(), tmp_path, **more))

        yield make


@pytest.fixture(scope="module", params=CLOUDS, ids=lambda kind: kind.provider)
def simulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Stage]:
    """A server whose provider is a cloud in front of the simulator."""
    kind: type[Cloud] = request.param
    small = list(kind.models)[1]
    more = {"tools": ("some_tools:weather",), "title_model": small, "models": tuple(kind.models)}
    with staged(kind, create_simulator(pace=0), tmp_path_factory.mktemp("cloud"), **more) as stage:
        yield stage


def blocks(api: Api, sent: Json) -> list[Json]:
    content: list[Json] = api.ask(ANSWER, id=sent["generation"]["id"])["generation"]["message"]["content"]
    return content


def test_a_conversation_continues_at_each_cloud(simulated: Stage) -> None:
    api = simulated.api
    first = api.send("My name is Ada.")
    id = first["conversation"]["id"]
    events = api.follow(first["generation"]["id"])
    assert events[-1]["__typename"] == "GenerationCompleted", events[-1]
    assert "Ada" in apply(events)[0]
    assert "Ada" in apply(api.follow(api.send("What is my name?", conversationId=id)["generation"]["id"]))[0]
    assert wait_until(lambda: api.conversation(id)["title"], "a title")
    small = list(simulated.cloud.models)[1]
    assert any(
        small in unquote(call.path) or small in call.body.decode(errors="replace") for call in simulated.cloud.calls
    )


def test_claude_thinks_and_calls_a_tool_at_each_cloud(simulated: Stage) -> None:
    api = simulated.api
    sent = api.send('/simulate thinking\n/simulate call weather {"place": {"city": "Oslo"}}')
    assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    content = blocks(api, sent)
    kinds = [block["__typename"] for block in content]
    assert kinds[:3] == ["ThinkingBlock", "ToolUseBlock", "ToolResultBlock"]
    assert "Oslo" in content[-1]["text"]
    # The signed thinking is sent back, and the cloud accepts it.
    again = api.send("Thanks.", conversationId=sent["conversation"]["id"])
    assert api.follow(again["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"


def test_the_models_of_each_cloud_have_capabilities_and_tools(simulated: Stage) -> None:
    cloud, models = simulated.cloud, simulated.api.ask(MODELS)["models"]
    assert [model["id"] for model in models] == list(cloud.models)
    for model in models:
        assert model["provider"] == cloud.provider.upper().replace("-", "_")
        assert model["serverTools"] == sorted(cloud.server_tools)
        if cloud.models[model["id"]] == model["id"] or not isinstance(cloud, Foundry):
            assert (model["maxInputTokens"], model["thinking"]) == (1_000_000, ["adaptive"])
        assert model["simulated"] is False


@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.provider)
def test_an_answer_that_breaks_off_at_a_cloud_is_continued_and_can_be_stopped(
    at_cloud: Staged, monkeypatch: pytest.MonkeyPatch, kind: type[Cloud]
) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    fault = {"type": "error", "error": {"type": "overloaded_error", "message": "Too many."}}
    gate = Gate()
    stage = at_cloud(
        kind,
        Reply([START, *text("One, ")[:-1], Cut]),
        Reply([START, *text("two, ")[:-1], fault]),
        Reply([START, *text("three, ", gate, "four.")]),
    )
    sent = stage.api.send("Count")
    stage.api.wait_for_text(sent["generation"]["id"], "One, two, three, ")
    stage.api.stop(sent["generation"]["id"])
    gate.open.set()
    events = stage.api.follow(sent["generation"]["id"], after=0)
    assert [event["__typename"] for event in events].count("GenerationContinued") == 2
    assert events[-1]["__typename"] == "GenerationStopped"
    assert apply(events) == ["One, two, three, "]


REFUSALS = {
    "bedrock": Refused(403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
    "bedrock-mantle": Refused(403, "permission_error", "Access to this model is denied."),
    "aws": Refused(403, "permission_error", "Outbound web identity federation is disabled for your account."),
    "vertex": Refused(403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied."),
    "google-cloud": Refused(403, "PERMISSION_DENIED", "The caller does not have permission."),
    "foundry": Refused(403, "PermissionDenied", "The principal lacks the required data action."),
}


@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.provider)
def test_the_reason_of_a_cloud_that_refuses_a_request_is_shown(at_cloud: Staged, kind: type[Cloud]) -> None:
    stage = at_cloud(kind, says("unused"))
    stage.cloud.refusal = REFUSALS[kind.provider]
    event = stage.api.follow(stage.api.send("Hello")["generation"]["id"])[-1]
    error = event["generation"]["error"]
    assert (error["code"], error["message"], error["retryable"]) == (
        "PERMISSION", stage.cloud.refusal.message, False,
    )  # fmt: skip
    expected = {"bedrock": "req-amazon", "bedrock-mantle": "req-amazon", "foundry": "req-azure"}
    assert error["requestId"] == expected.get(kind.provider)


def test_a_damaged_stream_of_bedrock_is_continued(at_cloud: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    stage = at_cloud(Bedrock, Reply([START, *text("One, ")[:-1], {"type": "ping"}, Cut]), says("two."))
    frame, damaged = Bedrock.frame, list[bool]()

    def damage(cloud: Bedrock, event: Json) -> bytes:
        message = frame(cloud, event)
        if event["type"] == "ping" and not damaged:
            damaged.append(True)
            return message[:-6] + b"??" + message[-4:]
        return message

    monkeypatch.setattr(Bedrock, "frame", damage)
    events = stage.api.follow(stage.api.send("Count")["generation"]["id"], after=0)
    assert [event["__typename"] for event in events].count("GenerationContinued") == 1
    assert apply(events) == ["One, two."]


# ---- a second provider -----------------------------------------------------------------------

FAILURES = {
    "overloaded": Reply(status=529, body={"type": "error", "error": {"type": "overloaded_error", "message": "No."}}),
    "rate-limited": Reply(
        status=429,
        body={"type": "error", "error": {"type": "rate_limit_error", "message": "No."}},
        headers={"retry-after": "3600"},
    ),
    "broken": Reply(status=500, body={"type": "error", "error": {"type": "api_error", "message": "No."}}),
    "overloaded in the middle": Reply(
        [START, *text("One, ")[:-1], {"type": "error", "error": {"type": "overloaded_error", "message": "No."}}]
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("kind", [Bedrock, Vertex], ids=lambda kind: kind.provider)
def test_a_second_provider_answers_when_the_first_one_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv, kind: type[Cloud], failure: str
) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    FAILURES[failure].headers.setdefault("x-should-retry", "false")
    behind = ScriptedClaude(says("two."))
    with scripted(FAILURES[failure]) as claude, cloud_at(kind, behind.app(), tmp_path, setenv) as cloud:
        fallback = f"{cloud.provider}:{cloud.model}"
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, "fallback_models": (fallback,)}
        with tertulia(tmp_path, **keyed, tools=("web_fetch", "some_tools:weather")) as address, Api(address) as api:
            sent = api.send("Count")
            events = api.follow(sent["generation"]["id"])
            generation = api.ask(ANSWER, id=sent["generation"]["id"])["generation"]
            days = api.ask("{ viewer { usageByDay { model } } }")["viewer"]["usageByDay"]
    assert events[-1]["__typename"] == "GenerationCompleted", events[-1]
    assert (generation["model"]["id"], {day["model"] for day in days}) == (OPUS, {OPUS, fallback})
    begun = "One, " if failure == "overloaded in the middle" else ""
    assert generation["message"]["content"] == [
        {"__typename": "TextBlock", "text": f"{begun}two.", "models": [fallback]}
    ]  # fmt: skip
    assert [tool["name"] for tool in behind.requests[0]["tools"]] == ["weather"]


def test_a_second_provider_answers_while_the_first_one_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv
) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    with cloud_at(Aws, ScriptedClaude(says("Here.")).app(), tmp_path, setenv):
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": "http://127.0.0.1:9"}
        with tertulia(tmp_path, **keyed, fallback_models=("aws:claude-haiku-5-5",)) as address, Api(address) as api:
            assert apply(api.follow(api.send("Where?")["generation"]["id"])) == ["Here."]


def test_a_rate_limit_without_a_second_provider_ends_the_answer(tmp_path: Path) -> None:
    with scripted(FAILURES["rate-limited"]) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address, "fallback_models": (HAIKU,)}
        with tertulia(tmp_path, **keyed) as address, Api(address) as api:
            event = api.follow(api.send("Hello")["generation"]["id"])[-1]
    assert event["error"]["code"] == "RATE_LIMITED"
    assert len(claude.requests) == 1


def test_a_cloud_without_the_files_api_is_sent_the_bytes_of_an_attachment(tmp_path: Path, setenv: Setenv) -> None:
    behind = ScriptedClaude(says("A picture."))
    with cloud_at(Bedrock, behind.app(), tmp_path, setenv) as cloud:
        settings = {"provider": "bedrock", "default_model": cloud.model}
        with tertulia(tmp_path, **settings) as address, Api(address) as api:
            files = {"file": ("a.png", image(), "image/png")}
            attachment = api.http.post("/attachments", files=files).raise_for_status().json()["id"]
            api.follow(api.send("What is it?", attachmentIds=[attachment])["generation"]["id"])
    assert behind.requests[0]["messages"][0]["content"][0]["source"]["type"] == "base64"


# ---- credentials -----------------------------------------------------------------------------


class Hello:
    """A request of one message."""

    def __init__(self, model: str, text: str = "Hello", **more: Any) -> None:
        self.model, self.text, self.more = model, text, more

    has_begun = False

    async def body(self) -> Json:
        hello = {"role": "user", "content": [{"type": "text", "text": self.text}]}
        return {"model": self.model, "max_tokens": 100, "messages": [hello], **self.more}

    async def body_without_refused(self, error: Exception) -> None:
        return None


def ask(cloud: Cloud, words: str = "Hello", **more: Any) -> list[Json]:
    """Ask a cloud without a server, and return the events of its answer."""

    async def ask() -> list[Json]:
        claude = Claude(provider=Provider(cloud.provider))
        try:
            return [event async for events in claude.stream(Hello(cloud.model, words, **more)) for event in events]
        finally:
            await claude.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("kind", "name", "value", "header"),
    [
        (Bedrock, "AWS_BEARER_TOKEN_BEDROCK", BEARER_TOKEN, "authorization"),
        (Mantle, "AWS_BEARER_TOKEN_BEDROCK", BEARER_TOKEN, "authorization"),
        (Aws, "ANTHROPIC_AWS_API_KEY", BEARER_TOKEN, "authorization"),
        (Foundry, "ANTHROPIC_FOUNDRY_API_KEY", FOUNDRY_KEY, "x-api-key"),
    ],
)
def test_a_key_is_used_instead_of_an_identity(
    tmp_path: Path, setenv: Setenv, kind: type[Cloud], name: str, value: str, header: str
) -> None:
    with cloud_at(kind, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        os.environ.pop("AWS_PROFILE", None)
        setenv(name, value)
        assert ask(cloud)[-1]["type"] == "message_stop"
    assert value in cloud.calls[0].headers[header]


@pytest.mark.parametrize("kind", [Bedrock, Mantle, Aws], ids=lambda kind: kind.provider)
def test_a_large_request_is_signed_as_it_is_sent(tmp_path: Path, setenv: Setenv, kind: type[Cloud]) -> None:
    with cloud_at(kind, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        assert ask(cloud, "wörd " * 100_000)[-1]["type"] == "message_stop"


@pytest.mark.parametrize("kind", CLOUDS, ids=lambda kind: kind.provider)
def test_a_stream_is_requested_with_the_betas_of_a_cloud_and_their_parts_of_the_body(
    tmp_path: Path, setenv: Setenv, kind: type[Cloud]
) -> None:
    compaction = {"edits": [{"type": "compact_20260112"}]}
    beta = "compact-2026-01-12"
    with cloud_at(kind, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        assert ask(cloud, context_management=compaction, betas=[beta])[-1]["type"] == "message_stop"
    call = cloud.calls[0]
    body = json.loads(call.body)
    assert body["context_management"] == compaction
    assert beta in body.get("anthropic_beta", call.headers.get("anthropic-beta", ""))
    assert "betas" not in body
    assert body.get("stream") or "stream" in call.path


@pytest.mark.parametrize(
    "name",
    [
        f"arn:aws:bedrock:{REGION}:123456789012:inference-profile/eu.anthropic.{OPUS}-v1:0",
        f"arn:aws:bedrock:{REGION}:123456789012:application-inference-profile/a1b2+c3",
        "a-name=with@signs",
    ],
)
def test_a_model_of_bedrock_can_have_any_name_such_as_an_arn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv, name: str
) -> None:
    monkeypatch.setattr(Bedrock, "models", {name: OPUS})
    with cloud_at(Bedrock, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        assert ask(cloud)[-1]["type"] == "message_stop"


@pytest.mark.parametrize(("kind", "name"), [(Bedrock, "aws.bedrock"), (Vertex, "gcp.vertex_ai"), (Aws, "anthropic")])
def test_the_span_of_a_request_names_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv, kind: type[Cloud], name: str
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("tertulia.claude.tracing.tracer", provider.get_tracer("test"))
    with cloud_at(kind, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        ask(cloud)
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {})["gen_ai.provider.name"] == name


@pytest.mark.parametrize(("kind", "name"), [(Bedrock, "AWS_PROFILE"), (Vertex, "GOOGLE_APPLICATION_CREDENTIALS")])
def test_credentials_that_cannot_be_used_are_an_error_of_authentication(
    tmp_path: Path, setenv: Setenv, caplog: pytest.LogCaptureFixture, kind: type[Cloud], name: str
) -> None:
    with cloud_at(kind, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        setenv(name, "nobody")
        # The SDK remembers the session of a region.
        setenv("AWS_REGION", "us-west-1")
        with pytest.raises(StreamError) as raised:
            ask(cloud)
    title = PLATFORMS[Provider(cloud.provider)].title
    assert raised.value.error == GenerationError(
        ErrorCode.AUTHENTICATION, f"The credentials or settings for {title} cannot be used."
    )  # fmt: skip
    assert "nobody" in caplog.text


def test_a_region_that_is_missing_is_logged_when_the_sdk_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setenv: Setenv, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tertulia.claude.client.PRELOAD_AFTER", 0)
    setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    asyncio.run(Claude(provider=Provider.BEDROCK).preload())
    assert "Amazon Bedrock: No AWS region was provided." in caplog.text


def test_a_title_that_needs_missing_credentials_is_not_written(tmp_path: Path, setenv: Setenv) -> None:
    async def ask_for_title(cloud: Cloud) -> None:
        claude = Claude(provider=Provider.BEDROCK)
        with pytest.raises(StreamError):
            await claude.ask(await Hello(cloud.model).body(), [])
        await claude.close()

    with cloud_at(Bedrock, ScriptedClaude(says("Hi.")).app(), tmp_path, setenv) as cloud:
        setenv("AWS_PROFILE", "nobody")
        setenv("AWS_REGION", "us-west-2")
        asyncio.run(ask_for_title(cloud))
