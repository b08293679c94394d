"""Which documents are executed: persisted ones, trusted ones, and those whose cost is low enough."""

import asyncio
from typing import Any

import pytest
from graphql import GraphQLError

from tertulia.schema import document_policy
from tertulia.schema.document_policy import DocumentPolicy, digest
from tertulia.schema.root import schema

QUERY = "{ viewer { id } }"
HASH = digest(QUERY)


def persisted(sha256: object = HASH, version: object = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": sha256}}


def code_of(policy: DocumentPolicy, query: object, extensions: object = None, document_id: object = None) -> str:
    """Return the code of the error, or the document."""
    try:
        return policy.document(query, extensions, document_id)
    except GraphQLError as error:
        return str((error.extensions or {})["code"])


def test_a_request_has_a_document_its_hash_or_its_id() -> None:
    policy = DocumentPolicy(schema)
    assert policy.document(QUERY, None, None) == QUERY
    assert policy.document(QUERY, {"other": 1}, "x") == QUERY
    for query, extensions, document_id in (
        (None, None, None), ("", None, None), (" \n", None, None), (5, None, None), ("", persisted(), None),
        (None, None, 5), (QUERY, None, 5), (None, {"persistedQuery": 5}, None), (None, persisted(version=2), None),
        (None, persisted(version=None), None), (None, persisted("x"), None), (None, persisted(5), None),
        (QUERY, persisted("0" * 64), None), (None, persisted(HASH + "0"), None),
    ):  # fmt: skip
        assert code_of(policy, query, extensions, document_id) == "BAD_USER_INPUT"


def test_a_document_that_was_sent_with_its_hash_is_executed_by_its_hash_or_id() -> None:
    policy = DocumentPolicy(schema)
    missing = "PERSISTED_QUERY_NOT_FOUND"
    assert code_of(policy, None, persisted()) == missing
    assert code_of(policy, None, None, f"sha256:{HASH}") == missing
    assert policy.document(QUERY, persisted(HASH.upper()), None) == QUERY
    assert policy.document(None, persisted(), None) == QUERY
    assert policy.document(None, persisted(HASH.upper()), None) == QUERY
    assert policy.document(None, None, f"sha256:{HASH}") == QUERY
    assert policy.document(None, None, HASH) == QUERY
    assert policy.document(None, persisted(), "unknown") == QUERY
    other = "{ limits { name } }"
    assert policy.document(other, None, None) == other
    assert code_of(policy, None, persisted(digest(other))) == missing


def test_the_documents_that_were_used_last_are_kept_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_policy, "PERSISTED_CHARACTERS", 30)
    policy = DocumentPolicy(schema)
    documents = [f"{{ a{number} }}".ljust(10) for number in range(5)]

    def persist(document: str) -> None:
        policy.document(document, persisted(digest(document)), None)

    def kept() -> list[int]:
        return [number for number, document in enumerate(documents) if digest(document) in policy._persisted]

    for document in documents[:3]:
        persist(document)
    persist(documents[0])
    assert kept() == [0, 1, 2]
    policy.document(None, persisted(digest(documents[0])), None)
    persist(documents[3])
    assert kept() == [0, 2, 3]
    persist(documents[4])
    assert kept() == [0, 3, 4]


def test_long_documents_are_executed_and_not_persisted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (document_policy.PERSISTED_CHARACTERS, document_policy.MAX_PERSISTED_LENGTH) == (4_000_000, 20_000)
    for length, is_kept in ((len(QUERY), True), (len(QUERY) - 1, False)):
        monkeypatch.setattr(document_policy, "MAX_PERSISTED_LENGTH", length)
        policy = DocumentPolicy(schema)
        assert policy.document(QUERY, persisted(), None) == QUERY
        assert (code_of(policy, None, persisted()) == QUERY) is is_kept


def test_with_trusted_documents_no_other_is_executed() -> None:
    policy = DocumentPolicy(schema, trusted={"viewer": QUERY})
    missing = "PERSISTED_QUERY_NOT_FOUND"
    assert policy.document(None, None, "viewer") == QUERY
    assert policy.document(QUERY, None, None) == QUERY
    assert policy.document(None, persisted(), None) == QUERY
    assert policy.document(None, persisted("0" * 64), "viewer") == QUERY
    assert code_of(policy, "{ limits { name } }") == missing
    assert code_of(policy, None, None, "other") == missing
    assert code_of(policy, None, persisted("0" * 64)) == missing
    assert code_of(DocumentPolicy(schema, trusted={}), QUERY) == missing


def admit(policy: DocumentPolicy, query: str, variables: dict[str, Any] | None = None, name: str | None = None) -> Any:
    return asyncio.run(policy.admit(query, variables, name))


def test_documents_are_valid_and_of_a_limited_cost() -> None:
    policy = DocumentPolicy(schema)
    assert admit(policy, QUERY).operation.operation.value == "query"
    two = "query a { viewer { id } } query b { viewer { id } }"
    assert admit(policy, two, name="b").operation.name.value == "b"
    for query, name in ((two, None), (two, "c"), ("{ nothing }", None)):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - it is one of two
            admit(policy, query, name=name)
        assert type(raised.value).__name__ in ("GraphQLError", "OperationFailed")


@pytest.mark.parametrize(("limit", "accepted"), [(2, True), (1, False)])
def test_a_cost_up_to_the_limit_is_accepted(limit: int, monkeypatch: pytest.MonkeyPatch, *, accepted: bool) -> None:
    monkeypatch.setattr(document_policy, "MAX_COST", limit)
    if accepted:
        admit(DocumentPolicy(schema), QUERY)
    else:
        with pytest.raises(GraphQLError, match="2"):
            admit(DocumentPolicy(schema), QUERY)


def test_a_server_without_introspection_suggests_no_names() -> None:
    closed = DocumentPolicy(schema, introspection=False)
    assert (closed.closed, DocumentPolicy(schema).closed) == (True, False)
    query = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }"
    with pytest.raises(Exception) as raised:  # noqa: PT011 - its text is what matters
        admit(closed, query, {"input": {"texxt": "Hi."}})
    assert "Did you mean" not in str(getattr(raised.value, "errors", raised.value))
    admit(closed, QUERY, {})
