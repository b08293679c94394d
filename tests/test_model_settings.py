"""Settings that name models, files and addresses: a wrong value stops the start, or `tertulia doctor` reports it."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from client import Api, wait_until
from running import FixedSettings, running, tertulia
from scripted import model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from test_command import address_in, refused, run, run_here, started

from tertulia.server.model_settings import find_wrong_models
from tertulia.simulator.app import create_simulator

NAMED = ["TERTULIA_DEFAULT_MODEL", "TERTULIA_MODELS", "TERTULIA_TITLE_MODEL"]


@pytest.fixture(scope="module")
def claude() -> Generator[dict[str, str]]:
    """The simulator with its list of models, and the settings to use it."""
    with running(create_simulator(pace=0), lifespan="off") as address:
        yield {"ANTHROPIC_API_KEY": "sk-ant-fine", "ANTHROPIC_BASE_URL": address}


@contextmanager
def gateway(*listed: str, status: int = 200, knows: tuple[str, ...] = ()) -> Generator[dict[str, str]]:
    """Run a gateway that lists some models, or fails to, and also accepts the names in `knows`."""

    def missing(name: str) -> Response:
        return JSONResponse({"type": "error", "error": {"type": "not_found_error", "message": f"model: {name}"}}, 404)

    async def models(_request: Request) -> Response:
        data = [model(name) for name in listed]
        return JSONResponse({"data": data, "has_more": False, "first_id": None, "last_id": None}, status)

    async def one(request: Request) -> Response:
        return missing(request.path_params["name"])

    async def tokens(request: Request) -> Response:
        name = json.loads(await request.body())["model"]
        return JSONResponse({"input_tokens": 1}) if name in knows else missing(name)

    routes = [
        Route("/v1/models", models),
        Route("/v1/models/{name}", one),
        Route("/v1/messages/count_tokens", tokens, methods=["POST"]),
    ]
    with running(Starlette(routes=routes), lifespan="off") as address:
        yield {"ANTHROPIC_API_KEY": "any", "ANTHROPIC_BASE_URL": address}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("known_by", ["the simulated Claude", "Claude"])
def test_a_model_that_does_not_exist_stops_the_start_and_doctor_names_the_setting(
    tmp_path: Path, claude: dict[str, str], name: str, known_by: str
) -> None:
    settings = {**(claude if known_by == "Claude" else {}), name: "claude-opus-5-6"}
    line = refused(run(tmp_path, "serve", "--port", "0", **settings))
    assert line.startswith(f"{name}: got 'claude-opus-5-6'")
    assert "did you mean claude-opus-5-5?" in line
    done = run_here(tmp_path, "doctor", **settings)
    assert (done.exit_code, f"wrong  {name}: got 'claude-opus-5-6'" in done.output) == (1, True)


def test_each_of_several_models_is_checked(tmp_path: Path) -> None:
    done = run_here(tmp_path, "doctor", TERTULIA_MODELS="claude-opus-5-5,gpt-4,claude-none")
    assert ("gpt-4" in done.output, "claude-none" in done.output, "'claude-opus-5-5'" in done.output) == (
        True, True, False,
    )  # fmt: skip


def starts(folder: Path, **settings: str) -> str:
    """Start a server, check that it is healthy, and return its output."""
    with started(folder, "serve", **settings) as (process, printed):
        assert process.poll() is None, printed
        with Api(address_in(printed)) as api:
            assert api.http.get("/healthz").status_code == 200
    return printed


def test_a_server_starts_while_claude_is_unreachable_and_logs_that_models_were_not_checked(tmp_path: Path) -> None:
    settings = {"ANTHROPIC_API_KEY": "any", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    assert "could not be checked" in starts(tmp_path, **settings, TERTULIA_DEFAULT_MODEL="claude-none")


def test_models_that_could_not_be_checked_at_the_start_are_checked_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tertulia.server.model_settings.CHECK_AGAIN", 0.05)
    with gateway("my-model") as gateway_settings:
        settings = {name.lower(): value for name, value in gateway_settings.items()}
        with tertulia(tmp_path, **settings, default_model="claude-none"):
            wait_until(lambda: "TERTULIA_DEFAULT_MODEL: got 'claude-none'" in caplog.text, "the line of the log")


@pytest.mark.parametrize("status", [401, 404, 500, 529])
def test_a_server_starts_with_a_gateway_that_has_no_list_of_models(tmp_path: Path, status: int) -> None:
    with gateway(status=status, knows=("my-model",)) as settings:
        starts(tmp_path, **settings, TERTULIA_DEFAULT_MODEL="my-model")


def test_a_server_starts_with_a_gateway_that_lists_other_names(tmp_path: Path) -> None:
    with gateway("something-else", knows=("my-model",)) as settings:
        starts(tmp_path, **settings, TERTULIA_DEFAULT_MODEL="my-model", TERTULIA_MODELS="my-model")
        line = refused(run(tmp_path, "serve", "--port", "0", **settings, TERTULIA_DEFAULT_MODEL="claude-none"))
    assert line.startswith("TERTULIA_DEFAULT_MODEL: got 'claude-none'")


def test_a_gateway_without_the_default_title_model_causes_only_a_warning() -> None:
    with gateway("my-model") as gateway_settings:
        key, address = gateway_settings["ANTHROPIC_API_KEY"], gateway_settings["ANTHROPIC_BASE_URL"]
        settings = FixedSettings.model_validate(
            {"anthropic_api_key": key, "anthropic_base_url": address, "default_model": "my-model"}
        )
        findings = asyncio.run(find_wrong_models(settings))
    assert (findings.errors, len(findings.warnings)) == ([], 1)
    assert findings.warnings[0].startswith("TERTULIA_TITLE_MODEL: got 'claude-haiku-5-5'")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TERTULIA_CORS_ORIGINS", "app.example.com", "must be origins such as https://app.example.com"),
        ("TERTULIA_CORS_ORIGINS", "https://app.example.com/", "without a path"),
        ("TERTULIA_CORS_ORIGINS", "https://App.example.com", "in lowercase"),
        ("TERTULIA_CORS_ORIGINS", "https://app.example.com:443", "leave out the default port 443"),
        ("TERTULIA_CORS_ORIGINS", "https://a.example,https://b.example:port", "must be origins"),
        ("FORWARDED_ALLOW_IPS", "my-proxy", "must be IP addresses and networks"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.0/33", "must be IP addresses and networks"),
        ("TERTULIA_MCP_CONFIG", "nowhere.json", "nowhere.json"),
        ("TERTULIA_TOOLS", "no_such_module", "no_such_module"),
        ("TERTULIA_PERSISTED_QUERIES", "nowhere.json", "must be a JSON file"),
        ("TERTULIA_PRICES", "nowhere.json", "must be a JSON file"),
        ("TERTULIA_OIDC_ISSUER", "login.example.com", "must be an HTTPS address"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "must be an address"),
    ],
)
def test_an_invalid_setting_is_refused_in_one_line(tmp_path: Path, name: str, value: str, says: str) -> None:
    done: Any = run_here(tmp_path, "migrate", **{name: value})
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert done.output.startswith(name)
    assert says in done.output


def test_the_proxy_setting_in_an_env_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FORWARDED_ALLOW_IPS=my-proxy\n")
    assert refused(run(tmp_path, "migrate")).startswith("FORWARDED_ALLOW_IPS: got 'my-proxy'")


def test_a_file_as_the_folder_of_attachments_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file is no folder")
    line = refused(run(tmp_path, "serve", "--port", "0", TERTULIA_ATTACHMENTS=str(tmp_path / "taken")))
    assert line.startswith("TERTULIA_ATTACHMENTS: ")


def test_doctor_reports_persisted_documents_that_are_invalid_in_the_schema(tmp_path: Path) -> None:
    documents = {"good": "{ viewer { name } }", "old": "{ viewer { nickname } }", "broken": "{ viewer {"}
    (tmp_path / "documents.json").write_text(json.dumps(documents))
    done = run_here(tmp_path, "doctor", TERTULIA_PERSISTED_QUERIES="documents.json")
    reported = [
        name in done.output for name in ("QUERIES: good", "QUERIES: old: Cannot query", "QUERIES: broken: Syntax")
    ]
    assert (done.exit_code, reported) == (1, [False, True, True])


def test_doctor_reports_a_tool_that_requires_approval_and_does_not_exist(tmp_path: Path) -> None:
    done = run_here(tmp_path, "doctor", TERTULIA_TOOLS="web_search", TERTULIA_ASK_FIRST="delete_file,web_*")
    assert (done.exit_code, "TERTULIA_ASK_FIRST: no tool is called delete_file" in done.output) == (1, True)
