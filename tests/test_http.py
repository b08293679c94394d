"""Conformance to the GraphQL-over-HTTP specification, tested with real requests."""

import gzip
import json
import socket
from typing import Any

import httpx2
import pytest
from client import WAIT, Api
from graphql import parse

RESPONSE = "application/graphql-response+json"
JSON = "application/json"
QUERY = {"query": "{ viewer { name } }"}
WRONG_OBJECTS: list[Any] = ["text", 5, [], True]
WRONG_TEXTS: list[Any] = [5, {}, [], False]
ANSWER = {"data": {"viewer": {"name": "local"}}}


def post(api: Api, body: Any, *, accept: str | None = RESPONSE, content_type: str | None = JSON) -> httpx2.Response:
    headers = {"accept": accept or "", "content-type": content_type or ""}
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return api.http.post("/graphql", content=content, headers={name: value for name, value in headers.items() if value})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (RESPONSE, RESPONSE),
        (JSON, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (None, JSON),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
        (f"{JSON}, {RESPONSE};q=0.9", JSON),
        (f"{RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", JSON),
        (f"text/event-stream;q=0.1, {RESPONSE}", RESPONSE),
        # The header of every query of urql 5.
        (f"{RESPONSE}, {JSON};q=0.9, text/event-stream, multipart/mixed", RESPONSE),
        ("text/html;q=0.1, */*", JSON),
    ],
)
def test_the_response_has_the_media_type_that_the_client_prefers(api: Api, accept: str | None, expected: str) -> None:
    response = post(api, QUERY, accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{expected}; charset=utf-8"
    assert response.json() == ANSWER


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml", f"{JSON};q=0"])
def test_a_request_that_accepts_no_supported_media_type_is_406(api: Api, accept: str) -> None:
    response = post(api, QUERY, accept=accept)
    assert response.status_code == 406
    assert "Accept" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json",
     "application/jsonp", "application/json; charset=utf-16", "application/graphql"],
)  # fmt: skip
def test_media_types_that_a_form_of_another_site_can_send_are_415(api: Api, content_type: str | None) -> None:
    response = post(api, QUERY, content_type=content_type)
    assert response.status_code == 415
    assert "Content-Type" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", 'application/json;charset="UTF-8"', "Application/JSON"]
)
def test_json_in_utf8_is_accepted(api: Api, content_type: str) -> None:
    assert post(api, QUERY, content_type=content_type).json() == ANSWER


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"text", b"5", b"null", b'"x"', b"true", b"[]", b"[{}]", b"{}", b"\xff\xfe", b'{"query": "\xff"}',
     b"[" * 50_000, b'{"query":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b"NaN", b'{"query": null}', b'{"query": 5}',
     b'{"query": ["{ viewer { name } }"]}', b'{"query": ""}', b'{"query": "  "}'],
)  # fmt: skip
@pytest.mark.parametrize("accept", [RESPONSE, JSON])
def test_an_invalid_body_is_400_with_a_reason(api: Api, body: bytes, accept: str) -> None:
    response = post(api, body, accept=accept)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith(accept)
    assert response.json()["errors"][0]["message"]
    assert "data" not in response.json()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("variables", value) for value in WRONG_OBJECTS],
        *[("extensions", value) for value in WRONG_OBJECTS],
        *[("operationName", value) for value in WRONG_TEXTS],
    ],
)
def test_a_parameter_of_a_wrong_type_is_400_and_is_named(api: Api, name: str, value: Any) -> None:
    response = post(api, {**QUERY, name: value})
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].lstrip("`").startswith(name)


@pytest.mark.parametrize("name", ["variables", "extensions", "operationName"])
def test_a_parameter_may_be_null(api: Api, name: str) -> None:
    assert post(api, {**QUERY, name: None}).json() == ANSWER


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"query": "{ viewer {"}, "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED", "nothing"),
        ({"query": "{ viewer }"}, "GRAPHQL_VALIDATION_FAILED", "viewer"),
        ({"query": "query A { viewer { name } } query B { viewer { name } }"}, "BAD_USER_INPUT", "operationName"),
        ({"query": "query A { viewer { name } }", "operationName": "B"}, "BAD_USER_INPUT", "operationName"),
        ({"query": "fragment F on Viewer { name }"}, "BAD_USER_INPUT", "operation"),
        ({"query": "query ($id: ID!) { conversation(id: $id) { id } }"}, "BAD_USER_INPUT", "$id"),
        ({"query": "query ($id: ID!) { conversation(id: $id) { id } }", "variables": {"id": []}}, "BAD_USER_INPUT", "$id"),
        ({"query": "{" + " a {" * 300 + "}" * 301}, "GRAPHQL_PARSE_FAILED", ""),
        ({"query": "{ " + "viewer { name } " * 20_000 + "}"}, "GRAPHQL_PARSE_FAILED", "tokens"),
        ({"query": 'subscription { generationEvents(generationId: "x") { sequence } }'}, "BAD_USER_INPUT", "WebSocket"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_executed_has_its_code_and_no_data(api: Api, body: Any, code: str, says: str) -> None:
    for accept, status in ((RESPONSE, 400), (JSON, 200)):
        response = post(api, body, accept=accept)
        assert response.status_code == status
        assert "data" not in response.json()
        error = response.json()["errors"][0]
        assert error["extensions"]["code"] == code
        assert says in error["message"]


def test_the_named_one_of_several_operations_is_run(api: Api) -> None:
    query = "query A { viewer { name } } query B { viewer { id } }"
    assert "id" in post(api, {"query": query, "operationName": "B"}).json()["data"]["viewer"]


def test_an_empty_list_of_ids_is_answered_with_an_empty_list(api: Api) -> None:
    response = post(api, {"query": "{ viewer { name } nodes(ids: []) { id } }"})
    assert response.json() == {"data": {"viewer": {"name": "local"}, "nodes": []}}


def test_an_invalid_argument_is_named(api: Api) -> None:
    response = post(api, {"query": "{ conversations(first: -1) { edges { cursor } } viewer { name } }"})
    assert response.status_code == 200
    assert response.json()["errors"][0]["message"].lstrip("`").startswith("first")
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


def test_a_batch_is_refused(api: Api) -> None:
    assert post(api, [QUERY, QUERY]).status_code == 400


def test_a_body_that_is_too_large_is_413(api: Api) -> None:
    response = post(api, {"query": "{ viewer { name } }", "variables": {"x": "y" * 2_100_000}})
    assert response.status_code == 413


def test_a_query_is_answered_over_get(api: Api) -> None:
    parameters = {
        "query": "query A($id: ID!) { conversation(id: $id) { id } }",
        "variables": '{"id": "x"}',
        "operationName": "A",
    }
    assert api.http.get("/graphql", params=parameters).json() == {"data": {"conversation": None}}


@pytest.mark.parametrize("accept", [RESPONSE, JSON])
def test_a_mutation_over_get_is_405(api: Api, accept: str) -> None:
    query = 'mutation { createConversation(input: { title: "by GET" }) { __typename } }'
    response = api.http.get("/graphql", params={"query": query}, headers={"accept": accept})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    titles = '{ conversations(first: 100, filter: { titleContains: "by GET" }) { edges { cursor } } }'
    assert api.ask(titles)["conversations"]["edges"] == []


@pytest.mark.parametrize(
    "parameters", [{}, {"query": ""}, {"query": "{ viewer { name } }", "variables": "{"}, {"variables": "{}"}]
)
def test_an_invalid_get_request_is_400(api: Api, parameters: dict[str, str]) -> None:
    assert api.http.get("/graphql", params=parameters, headers={"accept": RESPONSE}).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_other_methods_are_405_and_the_allowed_ones_are_named(api: Api, method: str) -> None:
    response = api.http.request(method, "/graphql", json=QUERY)
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]


def test_text_with_half_a_surrogate_pair_is_refused_and_the_field_is_named(api: Api) -> None:
    body = '{"query": "mutation ($t: String!) { sendMessage(input: {text: $t}) { ... on InvalidInput { field } } }", '
    response = post(api, body + '"variables": {"t": "broken \\ud83d"}}')
    assert response.json() == {"data": {"sendMessage": {"field": "text"}}}


@pytest.mark.parametrize("padding", ["", "#" * 20_000], ids=["short", "too long to cache"])
def test_a_short_document_is_parsed_once_and_a_long_one_for_each_request(
    api: Api, monkeypatch: pytest.MonkeyPatch, padding: str
) -> None:
    parsed: list[str] = []

    def counting(query: str, **options: Any) -> Any:
        parsed.append(query)
        return parse(query, **options)

    monkeypatch.setattr("tertulia.schema.documents.parse", counting)
    query = f"query OnlyOfThisTest {{ viewer {{ name }} }}{padding}"
    for _ in range(5):
        assert post(api, {"query": query}).json() == ANSWER
    assert parsed == [query] * (5 if padding else 1)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_a_foreign_host_name_is_refused(api: Api, host: str) -> None:
    for path in ("/", "/graphql", "/export", "/readyz"):
        refused = api.http.get(path, headers={"host": host})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN_HOST")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:8000", "127.0.0.1", "app.localhost"])
def test_each_local_host_name_is_accepted(api: Api, host: str) -> None:
    assert api.http.get("/readyz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/docs", "/readyz", "/export", "/openapi.json", "/nowhere", "/assets/web/chat.js"]
)
def test_every_response_has_security_headers(api: Api, path: str) -> None:
    headers = api.http.get(path, headers={"accept": "text/html"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy or ("script-src 'self'" in policy and "unsafe-eval" not in policy)
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/graphql", "/chat", "/ai-sdk", "/ag-ui", "/attachments", "/import"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "nonsense"])
def test_a_compressed_body_is_refused_and_the_encoding_is_named(api: Api, path: str, encoding: str) -> None:
    body = gzip.compress(json.dumps(QUERY).encode())
    refused = api.http.post(path, content=body, headers={"content-type": JSON, "content-encoding": encoding})
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "identity"
    assert "Content-Encoding" in refused.text
    assert encoding in refused.text


def test_the_content_encoding_identity_is_accepted(api: Api) -> None:
    headers = {"content-type": JSON, "content-encoding": "identity"}
    assert api.http.post("/graphql", content=json.dumps(QUERY), headers=headers).json() == ANSWER


def test_a_client_of_http_1_0_gets_unchunked_bodies_that_end_with_the_connection(api: Api) -> None:
    generation = api.send("Hello")["generation"]["id"]
    api.follow(generation)
    followed = f'subscription {{ generationEvents(generationId: "{generation}", after: 0) {{ sequence }} }}'
    for path, accept, body, ends in [
        ("/graphql", "text/event-stream", {"query": followed}, b"event: complete\ndata:\n\n"),
        ("/graphql", "multipart/mixed", {"query": followed}, b"--graphql--\r\n"),
        ("/chat/stream", "*/*", {"message": "Hello"}, b"}\n\n"),
        ("/chat", "*/*", {"message": "Hello"}, b"}"),
        ("/graphql", JSON, QUERY, json.dumps(ANSWER, separators=(",", ":")).encode()),
        ("/export", "*/*", None, b"}\n"),
        ("/healthz", "*/*", None, b"}"),
    ]:
        head, _, received = old_request(api.address, path, accept, body).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower()
        assert received.endswith(ends)


def old_request(address: str, path: str, accept: str, body: Any) -> bytes:
    """Send a request as HTTP/1.0, and return all bytes up to the end of the connection."""
    host, _, port = address.removeprefix("http://").partition(":")
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\n"
    head += f"Content-Type: {JSON}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection((host, int(port)), WAIT) as connection:
        connection.sendall(head.encode() + content)
        return b"".join(iter(lambda: connection.recv(65536), b""))
