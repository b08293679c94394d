"""The checks before a request is executed: persisted documents, shape, validity, variables and cost."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import GraphQLError, OperationDefinitionNode, OperationType
from graphql.execution import get_variable_values

from tertulia.json import Json
from tertulia.schema.cost import MAX_COST, cost_of
from tertulia.schema.documents import (
    MAX_ERRORS,
    Prepared,
    Schema,
    bad_request,
    find_operation,
    root_fields,
    selected_fields,
    too_complex,
)
from tertulia.schema.subscription_fast_path import OperationFailed
from tertulia.schema.variables import check_variables

PERSISTED_CHARACTERS = 4_000_000
"""The most characters of all persisted documents together. The least recently used ones are removed first."""
MAX_PERSISTED_LENGTH = 20_000
"""Characters. Longer documents are executed, but not persisted."""
PUBLIC_FIELDS = {"sharedConversation"}
"""The fields of `Query` that clients may read without signing in."""
OTHER = "other"
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that may be executed, and the operation that the request selects."""

    prepared: Prepared
    operation: OperationDefinitionNode


class DocumentPolicy:
    """Decides which documents are executed, according to the server's settings."""

    def __init__(self, schema: Schema, *, introspection: bool = True, trusted: Mapping[str, str] | None = None) -> None:
        """Create a policy.

        Args:
            schema: The schema of all operations.
            introspection: Whether clients may read the schema.
            trusted: The only documents that are executed, by id; None for any.
        """
        self.schema = schema
        self.closed = not introspection
        self._trusted = dict(trusted) if trusted is not None else None
        self._trusted_by_hash = {digest(text): text for text in (trusted or {}).values()}
        self._persisted: OrderedDict[str, str] = OrderedDict()
        self._persisted_characters = 0

    def document(self, query: object, extensions: object, document_id: object) -> str:
        """Return the text of the document that a request selects.

        `extensions.persistedQuery` follows Apollo's "Automatic Persisted Queries", and `documentId` the draft of
        GraphQL over HTTP.

        Args:
            query: The request's `query`.
            extensions: The request's `extensions`.
            document_id: The request's `documentId`.

        Raises:
            GraphQLError: The request is malformed, or the server does not have or not execute the document.
        """
        query_hash = _persisted_query_hash(extensions)
        if query is None and query_hash is None and document_id is None:
            raise bad_request("`query` must be a string with a GraphQL document.")
        if query is not None and (not isinstance(query, str) or not query.strip()):
            raise bad_request("`query` must be a string with a GraphQL document.")
        if document_id is not None and not isinstance(document_id, str):
            raise bad_request("`documentId` must be a string.")
        if query is not None and query_hash is not None and digest(query) != query_hash:
            raise bad_request("`extensions.persistedQuery.sha256Hash` must be the SHA-256 of `query`.")
        if self._trusted is not None:
            return self._trusted_document(query, query_hash, document_id)
        if query is None:
            return self._persisted_document(query_hash or str(document_id).removeprefix("sha256:"))
        if query_hash is not None:
            self._persist(query_hash, query)
        return query

    async def admit(self, query: str, variables: Mapping[str, Any] | None, name: str | None) -> CheckedDocument:
        """Check a document and its variables before they are executed.

        Args:
            query: The text of the document.
            variables: The request's `variables`.
            name: The request's `operationName`.

        Raises:
            GraphQLError: The document or its variables are refused for one reason.
            OperationFailed: The document or its variables have several errors.
        """
        prepared = await self.schema.prepare(query, closed=self.closed)
        operation = find_operation(prepared.document, name)
        if prepared.errors:
            raise OperationFailed(prepared.errors)
        values = dict(variables or {})
        check_variables(self.schema.core, operation, values)
        if self.closed:
            # Coerce the variables here too, because errors of the execution would suggest names of the schema.
            coerced = get_variable_values(
                self.schema.core,
                operation.variable_definitions or (),
                values,
                max_errors=MAX_ERRORS,
                hide_suggestions=True,
            )
            if isinstance(coerced, list):
                raise OperationFailed(coerced)
        cost = self._cost(prepared, operation, values)
        if cost > MAX_COST:
            raise too_complex(
                f"The operation can return about {cost:,} fields, and at most {MAX_COST:,} are allowed. "
                "Request smaller pages or fewer fields."
            )
        return CheckedDocument(prepared, operation)

    def label(self, document: CheckedDocument) -> str:
        """Return a name of an operation for metrics, of which there are few whatever clients send.

        It is the operation's own name if only trusted documents are executed, and else its first field, which the
        schema defines. Without such a field, it is `other`.
        """
        operation = document.operation
        if self._trusted is not None and operation.name is not None:
            return operation.name.value
        return next(selected_fields(operation.selection_set), OTHER)

    def _cost(self, prepared: Prepared, operation: OperationDefinitionNode, values: Mapping[str, Any]) -> int:
        name = operation.name.value if operation.name else None
        cost = prepared.costs.get(name)
        if cost is None:
            counted = cost_of(self.schema.core, prepared.document, operation, values)
            cost = counted.cost
            if not counted.depends_on_variables:
                prepared.costs[name] = cost
        return cost

    def _trusted_document(self, query: str | None, query_hash: str | None, document_id: object) -> str:
        trusted = self._trusted or {}
        text = trusted.get(str(document_id or query_hash)) or self._trusted_by_hash.get(
            query_hash or (digest(query) if query else "")
        )
        if text is None:
            raise _persisted_query_not_found("The document is not one of the documents that this server executes.")
        return text

    def _persisted_document(self, query_hash: str) -> str:
        if query_hash not in self._persisted:
            # Apollo's clients expect this message, and then send the document together with its hash.
            raise _persisted_query_not_found("PersistedQueryNotFound")
        self._persisted.move_to_end(query_hash)
        return self._persisted[query_hash]

    def _persist(self, query_hash: str, query: str) -> None:
        if len(query) > MAX_PERSISTED_LENGTH or query_hash in self._persisted:
            return
        self._persisted[query_hash] = query
        self._persisted_characters += len(query)
        while self._persisted_characters > PERSISTED_CHARACTERS:
            _, oldest = self._persisted.popitem(last=False)
            self._persisted_characters -= len(oldest)


def needs_no_sign_in(document: CheckedDocument) -> bool:
    """Return whether a document has a query, and selects only fields of `PUBLIC_FIELDS`, in all of its operations."""
    fields = set(root_fields(document.prepared.document))
    return document.operation.operation is OperationType.QUERY and fields - {"__typename"} == PUBLIC_FIELDS


def digest(text: str) -> str:
    """Return the SHA-256 of a document in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _persisted_query_hash(extensions: object) -> str | None:
    persisted_query = cast("Json", extensions).get("persistedQuery") if isinstance(extensions, dict) else None
    if persisted_query is None:
        return None
    entry = cast("Json", persisted_query) if isinstance(persisted_query, dict) else {}
    if entry.get("version") != 1:
        raise bad_request("`extensions.persistedQuery` must be an object with `version: 1` and `sha256Hash`.")
    query_hash = entry.get("sha256Hash")
    if not isinstance(query_hash, str) or not SHA256.fullmatch(query_hash.lower()):
        raise bad_request("`extensions.persistedQuery.sha256Hash` must be 64 hexadecimal digits.")
    return query_hash.lower()


def _persisted_query_not_found(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "PERSISTED_QUERY_NOT_FOUND"})
