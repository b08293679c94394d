"""Small servers that speak the wire of each cloud: its paths, credentials, framing and errors.

Behind each of them is a Messages API server, such as the simulator, so that a test can hold a whole conversation.
"""

import base64
import hashlib
import hmac
import json
import re
import struct
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from running import running
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Json = dict[str, Any]
Environment = dict[str, str]

OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-5-5"
ACCESS_KEY, SECRET_KEY, SESSION_TOKEN = "AKIATEST", "a-secret-of-aws", "a-session-token"
REGION = "eu-west-1"
BEARER_TOKEN = "a-bearer-token-of-aws"
GOOGLE_TOKEN, ENTRA_TOKEN, FOUNDRY_KEY = "a-token-of-google", "a-token-of-entra", "a-key-of-foundry-01"
PROJECT, WORKSPACE = "my-project", "wrkspc_1"
VARIABLES = re.compile(r"^(AWS_|ANTHROPIC_|CLOUD_ML_|GOOGLE_|AZURE_|IDENTITY_)")
SERVER_TOOLS = ("web_search", "web_fetch", "code_execution")


@dataclass
class Call:
    """A request as the cloud received it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        value: Json = json.loads(self.body or b"{}")
        return value


class Refused(Exception):
    """The cloud refuses a request."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


@dataclass
class Forward:
    """A request for the Messages API server behind the cloud."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Cloud:
    """A cloud in front of a Messages API server."""

    provider = ""
    models: ClassVar[dict[str, str]] = {OPUS: OPUS, HAIKU: HAIKU}
    """Anthropic's names of the models that it serves, by its own names."""
    server_tools: tuple[str, ...] = SERVER_TOOLS

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self.refusal: Refused | None = None
        """Refuses the next requests."""

    @property
    def model(self) -> str:
        """The cloud's name of the model that the tests use."""
        return next(iter(self.models))

    def environment(self, address: str, folder: Path) -> Environment:
        """Return the variables that an operator sets."""
        raise NotImplementedError

    def route(self, call: Call) -> Forward:
        """Check a request, and return it as the Messages API server expects it. Raise Refused."""
        raise NotImplementedError

    def frame(self, event: Json) -> bytes:
        """Return an event of a stream in the cloud's framing."""
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    content_type = "text/event-stream"

    def error(self, refused: Refused) -> tuple[Any, dict[str, str]]:
        """Return the body and the headers of an error."""
        return {"type": "error", "error": {"type": refused.kind, "message": refused.message}}, {}

    def anthropic_model(self, name: str) -> str:
        if name not in self.models:
            raise Refused(404, "not_found_error", f"model: {name}")
        return self.models[name]

    def checked(self, body: Json) -> Json:
        for tool in body.get("tools", ()):
            if "input_schema" not in tool and tool["name"] not in self.server_tools:
                raise Refused(400, "invalid_request_error", f"tools: {tool['type']} is not supported")
        return {**body, "model": self.anthropic_model(body.get("model", ""))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["raw_path"].decode()
        call = Call(scope["method"], path, scope["query_string"].decode(), headers, body)
        try:
            if (answer := self.token(call)) is not None:
                await _respond(send, 200, answer, {})
                return
            self.calls.append(call)
            if self.refusal is not None:
                raise self.refusal
            forward = self.route(call)
        except Refused as refused:
            await _respond(send, refused.status, *self.error(refused))
            return
        await self._forward(scope, forward, receive, send)

    def token(self, call: Call) -> Json | None:
        """Return a token for a workload; None for other requests."""
        return None

    async def _forward(self, scope: Scope, forward: Forward, receive: Receive, send: Send) -> None:
        headers = {"content-type": "application/json", "authorization": "Bearer any", **forward.headers}
        headers.setdefault("anthropic-version", "2026-10-21")
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        inner_scope = {**scope, "path": forward.path, "raw_path": forward.path.encode(), "headers": raw}
        is_sent = False

        async def receive_body() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": forward.body, "more_body": False}

        reframer = Reframer(self, send)
        await self.inner(inner_scope, receive_body, reframer.send)


class Reframer:
    """Sends what the Messages API server responds in the framing of a cloud."""

    def __init__(self, cloud: Cloud, send: Send) -> None:
        self._cloud, self._send = cloud, send
        self._start: Message | None = None
        self._is_stream = False
        self._buffer = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self._is_stream = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            self._start = message
            if self._is_stream:
                headers[b"content-type"] = self._cloud.content_type.encode()
                await self._send({**message, "headers": list(headers.items())})
            return
        body: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        if self._is_stream:
            *events, self._buffer = (self._buffer + body).split(b"\n\n")
            framed = b"".join(map(self._framed, events))
            await self._send({"type": "http.response.body", "body": framed, "more_body": more})
            return
        self._buffer += body
        if more or self._start is None:
            return
        status: int = self._start["status"]
        headers_ = {
            name.decode(): value.decode() for name, value in self._start["headers"] if name.lower() != b"content-length"
        }
        answer: Any = json.loads(self._buffer)
        if status >= 400:
            error = answer["error"]
            answer, more_headers = self._cloud.error(Refused(status, error["type"], error["message"]))
            headers_ |= more_headers
        await _respond(self._send, status, answer, headers_)

    def _framed(self, event: bytes) -> bytes:
        data = next(line.removeprefix(b"data: ") for line in event.split(b"\n") if line.startswith(b"data: "))
        try:
            return self._cloud.frame(json.loads(data))
        except ValueError:
            return self._cloud.frame({"type": "broken", "data": data.decode()})


async def _respond(send: Send, status: int, body: Any, headers: dict[str, str]) -> None:
    content = json.dumps(body).encode()
    all_headers = {**headers, "content-type": "application/json", "content-length": str(len(content))}
    raw = [(name.encode(), value.encode()) for name, value in all_headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": content})


# ---- Amazon ----------------------------------------------------------------------------------

AWS_PROFILE = f"""
[profile tertulia]
region = {REGION}
aws_access_key_id = {ACCESS_KEY}
aws_secret_access_key = {SECRET_KEY}
aws_session_token = {SESSION_TOKEN}
"""


def check_signature(call: Call, service: str) -> None:
    """Raise Refused unless the request is signed, or has a bearer token.

    Source: "Signature Version 4" in the AWS IAM user guide.
    """
    if call.headers.get("authorization") == f"Bearer {BEARER_TOKEN}":
        return
    forbidden = Refused(403, "InvalidSignatureException", "The request signature we calculated does not match.")
    given = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=(\w+)",
        call.headers.get("authorization", ""),
    )
    if given is None or call.headers.get("x-amz-security-token") != SESSION_TOKEN:
        raise Refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    key_id, date, region, signed_service, _ = given[1].split("/")
    if (key_id, region, signed_service) != (ACCESS_KEY, REGION, service):
        raise forbidden
    names = given[2].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
    canonical = "\n".join([
        call.method,
        quote(call.path, safe="/~-_."),
        call.query,
        *(f"{name}:{' '.join(call.headers[name].split())}" for name in names),
        "",
        given[2],
        hashlib.sha256(call.body).hexdigest(),
    ])  # fmt: skip
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join((
        "AWS4-HMAC-SHA256", call.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest(),
    ))  # fmt: skip
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), given[3]):
        raise forbidden


def aws_profile(folder: Path) -> Environment:
    """Return the variables that select a profile in a file."""
    file = folder / "aws-config"
    file.write_text(AWS_PROFILE)
    return {"AWS_CONFIG_FILE": str(file), "AWS_PROFILE": "tertulia", "AWS_REGION": REGION}


class Bedrock(Cloud):
    """Amazon Bedrock's `InvokeModel`, with the credentials of a profile."""

    provider = "bedrock"
    models: ClassVar[dict[str, str]] = {f"eu.anthropic.{OPUS}-v1:0": OPUS, f"global.anthropic.{HAIKU}-v1": HAIKU}
    server_tools = ()
    content_type = "application/vnd.amazon.eventstream"
    exceptions: ClassVar[dict[str, str]] = {
        "overloaded_error": "throttlingException",
        "api_error": "internalServerException",
        "timeout_error": "modelTimeoutException",
        "invalid_request_error": "validationException",
    }

    def environment(self, address: str, folder: Path) -> Environment:
        return {**aws_profile(folder), "ANTHROPIC_BEDROCK_BASE_URL": address}

    def route(self, call: Call) -> Forward:
        check_signature(call, "bedrock")
        found = re.fullmatch(r"/model/([^/]+)/(invoke|invoke-with-response-stream)", call.path)
        if found is None:
            raise Refused(404, "UnknownOperationException", "")
        body = call.json
        assert not {"model", "stream"} & body.keys()
        assert body.pop("anthropic_version")
        betas: list[str] = body.pop("anthropic_beta", [])
        check_betas(betas)
        if "cache_control" in body:
            raise Refused(400, "ValidationException", "cache_control: Extra inputs are not permitted")
        body = self.checked({**body, "model": unquote(found[1])})
        body |= {"stream": True} if found[2] != "invoke" else {}
        headers = {"anthropic-beta": ",".join(betas)} if betas else {}
        return Forward("/v1/messages", json.dumps(body).encode(), headers)

    def anthropic_model(self, name: str) -> str:
        if name not in self.models:
            raise Refused(400, "ValidationException", "The provided model identifier is invalid.")
        return self.models[name]

    def frame(self, event: Json) -> bytes:
        if event["type"] == "error":
            kind = self.exceptions[event["error"]["type"]]
            headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
            return event_stream_message(headers, json.dumps({"message": event["error"]["message"]}).encode())
        return chunk(event)

    def error(self, refused: Refused) -> tuple[Any, dict[str, str]]:
        headers = {"x-amzn-errortype": refused.kind, "x-amzn-requestid": "req-amazon"}
        return {"message": refused.message}, headers


def chunk(event: Json) -> bytes:
    """Return the message of an event stream that carries an event."""
    encoded = base64.b64encode(json.dumps(event).encode()).decode()
    payload = json.dumps({"bytes": encoded, "p": "abcdefghijkl"}, separators=(",", ":")).encode()
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return event_stream_message(headers, payload)


def event_stream_message(headers: dict[str, str], payload: bytes) -> bytes:
    """Return a message in the event stream encoding."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack(">I", zlib.crc32(message))


class Mantle(Cloud):
    """The Messages API of Amazon Bedrock, with a bearer token."""

    provider = "bedrock-mantle"
    models: ClassVar[dict[str, str]] = {f"anthropic.{OPUS}": OPUS, f"anthropic.{HAIKU}": HAIKU}
    server_tools = ()

    def environment(self, address: str, folder: Path) -> Environment:
        return {**aws_profile(folder), "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": f"{address}/anthropic"}

    def route(self, call: Call) -> Forward:
        check_signature(call, "bedrock-mantle")
        check_betas(list(betas_of(call).values()))
        if call.path not in ("/anthropic/v1/messages", "/anthropic/v1/messages/count_tokens"):
            raise Refused(404, "not_found_error", "Not found")
        return Forward(
            call.path.removeprefix("/anthropic"), json.dumps(self.checked(call.json)).encode(), betas_of(call)
        )

    def error(self, refused: Refused) -> tuple[Any, dict[str, str]]:
        return super().error(refused)[0], {"x-amzn-requestid": "req-amazon"}


class Aws(Cloud):
    """Claude Platform on AWS: the whole API, with the keys of the environment."""

    provider = "aws"

    def environment(self, address: str, folder: Path) -> Environment:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "AWS_REGION": REGION, "ANTHROPIC_AWS_WORKSPACE_ID": WORKSPACE, "ANTHROPIC_AWS_BASE_URL": address,
        }  # fmt: skip

    def route(self, call: Call) -> Forward:
        check_signature(call, "aws-external-anthropic")
        assert call.headers["anthropic-workspace-id"] == WORKSPACE
        return whole_api(self, call, call.path)


# ---- Google ----------------------------------------------------------------------------------


@cache
def google_key() -> rsa.RSAPrivateKey:
    """Return the key of a service account, made once: that takes a while."""
    return rsa.generate_private_key(65537, 2048)


def service_account(address: str, folder: Path) -> Environment:
    """Return the variable that names the file of a service account, whose tokens this server issues."""
    private_key = google_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account", "project_id": PROJECT, "private_key": private_key.decode(), "private_key_id": "1",
        "client_email": "tertulia@my-project.iam.gserviceaccount.com", "token_uri": f"{address}/token",
    }  # fmt: skip
    file = folder / "service-account.json"
    file.write_text(json.dumps(account))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


class Google(Cloud):
    """A cloud with Google's credentials and errors."""

    def token(self, call: Call) -> Json | None:
        if call.path != "/token":
            return None
        assertion = parse_qs(call.body.decode())["assertion"][0]
        options: Any = {"verify_aud": False}
        claims = jwt.decode(assertion, google_key().public_key(), algorithms=["RS256"], options=options)
        assert "cloud-platform" in claims["scope"]
        return {"access_token": GOOGLE_TOKEN, "expires_in": 3600, "token_type": "Bearer"}

    def check_token(self, call: Call) -> None:
        if call.headers.get("authorization") != f"Bearer {GOOGLE_TOKEN}":
            raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def error(self, refused: Refused) -> tuple[Any, dict[str, str]]:
        if refused.kind.isupper():
            error = {"code": refused.status, "message": refused.message, "status": refused.kind}
            return [{"error": error}], {}
        return super().error(refused)


class Vertex(Google):
    """Vertex AI, with a service account."""

    provider = "vertex"
    models: ClassVar[dict[str, str]] = {OPUS: OPUS, "claude-haiku-5-5@20261001": HAIKU}
    server_tools = ("web_search",)

    def environment(self, address: str, folder: Path) -> Environment:
        return {
            **service_account(address, folder),
            "ANTHROPIC_VERTEX_PROJECT_ID": PROJECT, "CLOUD_ML_REGION": "europe-west1",
            "ANTHROPIC_VERTEX_BASE_URL": f"{address}/v1",
        }  # fmt: skip

    def route(self, call: Call) -> Forward:
        self.check_token(call)
        check_betas(list(betas_of(call).values()))
        place = f"/v1/projects/{PROJECT}/locations/europe-west1/publishers/anthropic/models/"
        name, _, action = call.path.removeprefix(place).rpartition(":")
        body = call.json
        assert body.pop("anthropic_version")
        if name == "count-tokens":
            return Forward("/v1/messages/count_tokens", json.dumps(self.checked(body)).encode())
        assert action == ("streamRawPredict" if body.get("stream") else "rawPredict")
        assert "model" not in body
        for tool in body.get("tools", ()):
            is_search = "input_schema" not in tool and tool["name"] == "web_search"
            if is_search and (tool["type"] != "web_search_20250305" or "allowed_callers" in tool):
                raise Refused(400, "invalid_request_error", "tools.0: Input tag is not supported")
        return Forward(
            "/v1/messages",
            json.dumps(self.checked({**body, "model": name.replace("%40", "@")})).encode(),
            betas_of(call),
        )

    def anthropic_model(self, name: str) -> str:
        if name not in self.models:
            raise Refused(404, "NOT_FOUND", f"Publisher Model `{name}` was not found or your project has no access.")
        return self.models[name]


class GoogleCloud(Google):
    """Claude on Google Cloud: the whole API, with a service account."""

    provider = "google-cloud"
    base = f"/v1/projects/{PROJECT}/locations/global/workspaces/{WORKSPACE}/invoke"

    def environment(self, address: str, folder: Path) -> Environment:
        return {**service_account(address, folder), "ANTHROPIC_GOOGLE_CLOUD_BASE_URL": f"{address}{self.base}"}

    def route(self, call: Call) -> Forward:
        self.check_token(call)
        assert call.path.startswith(self.base)
        return whole_api(self, call, call.path.removeprefix(self.base))


# ---- Microsoft -------------------------------------------------------------------------------


class Foundry(Cloud):
    """Microsoft Foundry, with the managed identity of the machine."""

    provider = "foundry"
    models: ClassVar[dict[str, str]] = {OPUS: OPUS, "my-haiku": HAIKU}

    def environment(self, address: str, folder: Path) -> Environment:
        return {
            "ANTHROPIC_FOUNDRY_BASE_URL": f"{address}/anthropic/",
            "IDENTITY_ENDPOINT": f"{address}/identity", "IDENTITY_HEADER": "the-machine",
        }  # fmt: skip

    def token(self, call: Call) -> Json | None:
        if call.path != "/identity":
            return None
        assert call.headers["x-identity-header"] == "the-machine"
        assert parse_qs(call.query)["resource"] == ["https://ai.azure.com"]
        return {"access_token": ENTRA_TOKEN, "expires_on": "4000000000", "resource": "x", "token_type": "Bearer"}

    def route(self, call: Call) -> Forward:
        has_key = call.headers.get("x-api-key") == FOUNDRY_KEY
        if not has_key and call.headers.get("authorization") != f"Bearer {ENTRA_TOKEN}":
            raise Refused(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
        path = call.path.removeprefix("/anthropic")
        if path == "/v1/models":
            raise Refused(404, "404", "Resource not found")
        return whole_api(self, call, path)

    def anthropic_model(self, name: str) -> str:
        if name not in self.models:
            raise Refused(404, "DeploymentNotFound", f"The API deployment {name} does not exist.")
        return self.models[name]

    def error(self, refused: Refused) -> tuple[Any, dict[str, str]]:
        return {"error": {"code": refused.kind, "message": refused.message}}, {"apim-request-id": "req-azure"}


def check_betas(betas: list[str]) -> None:
    """Raise Refused for a beta that only Anthropic's own services have."""
    for beta in betas:
        if not beta.startswith("compact-"):
            raise Refused(400, "invalid_request_error", f"anthropic_beta: {beta}: invalid beta flag")


def betas_of(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.headers.items() if name == "anthropic-beta"}


def whole_api(cloud: Cloud, call: Call, path: str) -> Forward:
    body = call.body
    if path.startswith("/v1/messages"):
        body = json.dumps(cloud.checked(call.json)).encode()
    headers = {name: value for name, value in call.headers.items() if name in ("anthropic-beta", "content-type")}
    return Forward(urlsplit(path).path, body, headers)


CLOUDS: tuple[type[Cloud], ...] = (Bedrock, Mantle, Aws, Vertex, GoogleCloud, Foundry)


@contextmanager
def cloud_at(kind: type[Cloud], inner: ASGIApp, folder: Path, setenv: Callable[[str, str], None]) -> Generator[Cloud]:
    """Serve a cloud, and set the variables with which an operator uses it."""
    cloud = kind(inner)
    with running(cloud, lifespan="off") as address:
        for name, value in cloud.environment(address, folder).items():
            setenv(name, value)
        yield cloud
