"""What stands between a request and its execution: known documents, shape, validity, and cost."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import GraphQLError, OperationDefinitionNode
from graphql.execution import get_variable_values

from tertulia.json import Json
from tertulia.schema.cost import MAX_COST, cost_of
from tertulia.schema.documents import MAX_ERRORS, Prepared, Schema, bad_request, find_operation, too_complex
from tertulia.schema.subscription_fast_path import OperationFailed
from tertulia.schema.variables import check_variables

KEPT_CHARACTERS = 4_000_000
"""Of documents that clients have sent to be kept, all together."""
LONGEST_KEPT = 20_000
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A document that may be executed, and the operation of it that is meant."""

    prepared: Prepared
    operation: OperationDefinitionNode


class DocumentPolicy:
    """Admits documents; one for each server, as its settings have it."""

    def __init__(self, schema: Schema, *, introspection: bool = True, trusted: Mapping[str, str] | None = None) -> None:
        """Take the schema; whether clients may read it, and the only documents that are executed, by id, if any."""
        self.schema = schema
        self.closed = not introspection
        self._trusted = dict(trusted) if trusted is not None else None
        self._known = {digest(text): text for text in (trusted or {}).values()}
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._kept_characters = 0

    def document(self, query: object, extensions: object, document_id: object) -> str:
        """Give the text of the document that a request means; raise GraphQLError.

        Sources: Apollo's "Automatic Persisted Queries" for `extensions.persistedQuery`, and the draft of GraphQL over
        HTTP for `documentId`.
        """
        wanted = _hash(extensions)
        if query is None and wanted is None and document_id is None:
            raise bad_request("query: must be a text with a GraphQL document.")
        if query is not None and (not isinstance(query, str) or not query.strip()):
            raise bad_request("query: must be a text with a GraphQL document.")
        if document_id is not None and not isinstance(document_id, str):
            raise bad_request("documentId: must be a text.")
        if query is not None and wanted is not None and digest(query) != wanted:
            raise bad_request("extensions.persistedQuery.sha256Hash: is not that of the query.")
        if self._trusted is not None:
            return self._of_trusted(query, wanted, document_id)
        if query is None:
            return self._of_kept(wanted or str(document_id).removeprefix("sha256:"))
        if wanted is not None:
            self._keep(wanted, query)
        return query

    async def admit(self, query: str, variables: Mapping[str, Any] | None, name: str | None) -> CheckedDocument:
        """Let a document pass; raise GraphQLError or OperationFailed for one that is not executed."""
        prepared = await self.schema.prepare(query, closed=self.closed)
        operation = find_operation(prepared.document, name)
        if prepared.errors:
            raise OperationFailed(prepared.errors)
        given = dict(variables or {})
        check_variables(self.schema.core, operation, given)
        if self.closed:
            # Looked at here too, because execution would name what it takes instead.
            found = get_variable_values(
                self.schema.core,
                operation.variable_definitions or (),
                given,
                max_errors=MAX_ERRORS,
                hide_suggestions=True,
            )
            if isinstance(found, list):
                raise OperationFailed(found)
        cost = cost_of(self.schema.core, prepared.document, operation, given)
        if cost > MAX_COST:
            raise too_complex(f"The operation may give about {cost:,} fields; at most {MAX_COST:,} are taken.")
        return CheckedDocument(prepared, operation)

    def _of_trusted(self, query: str | None, wanted: str | None, document_id: object) -> str:
        trusted = self._trusted or {}
        found = trusted.get(str(document_id or wanted)) or self._known.get(wanted or (digest(query) if query else ""))
        if found is None:
            raise _not_found("This server executes only the documents that it knows.")
        return found

    def _of_kept(self, wanted: str) -> str:
        if wanted not in self._kept:
            # Apollo's clients know it by these words, and send the document with its hash.
            raise _not_found("PersistedQueryNotFound")
        self._kept.move_to_end(wanted)
        return self._kept[wanted]

    def _keep(self, wanted: str, query: str) -> None:
        if len(query) > LONGEST_KEPT or wanted in self._kept:
            return
        self._kept[wanted] = query
        self._kept_characters += len(query)
        while self._kept_characters > KEPT_CHARACTERS:
            _, oldest = self._kept.popitem(last=False)
            self._kept_characters -= len(oldest)


def digest(text: str) -> str:
    """Give a document's SHA-256, as clients write it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _hash(extensions: object) -> str | None:
    found = cast("Json", extensions).get("persistedQuery") if isinstance(extensions, dict) else None
    if found is None:
        return None
    given = cast("Json", found) if isinstance(found, dict) else {}
    if given.get("version") != 1:
        raise bad_request("extensions.persistedQuery: takes {version: 1, sha256Hash}.")
    wanted = given.get("sha256Hash")
    if not isinstance(wanted, str) or not SHA256.fullmatch(wanted.lower()):
        raise bad_request("extensions.persistedQuery.sha256Hash: takes 64 hexadecimal digits.")
    return wanted.lower()


def _not_found(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "PERSISTED_QUERY_NOT_FOUND"})
