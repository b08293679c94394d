"""The messages of the `graphql-transport-ws` protocol that clients send, and their validation."""

from typing import Any, cast


class MalformedMessage(Exception):
    """A message that violates the protocol; the reason goes into the close frame."""


def check_message(message: object) -> dict[str, Any]:
    """Return a message of the types that the protocol requires; raise MalformedMessage for any other."""
    if not isinstance(message, dict):
        raise MalformedMessage("The message must be a JSON object")
    fields = cast("dict[str, Any]", message)
    kind = fields.get("type")
    if kind in ("connection_init", "ping", "pong"):
        if not isinstance(fields.get("payload"), dict | None):
            raise MalformedMessage(f"`payload` of {kind} must be an object")
        return {**fields, "payload": fields.get("payload") or {}} if kind == "connection_init" else fields
    if kind not in ("subscribe", "complete"):
        raise MalformedMessage(f"Unknown message type: {str(kind)[:60]}")
    if not isinstance(fields.get("id"), str) or not fields["id"]:
        raise MalformedMessage(f"`id` of {kind} must be a string that is not empty")
    if kind == "subscribe":
        _check_payload(fields.get("payload"))
    return fields


def token_of(payload: dict[str, Any]) -> str | None:
    """Return the payload's `Authorization`, whose name may be in any case. A field `token` is ignored."""
    authorization = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    return authorization if isinstance(authorization, str) else None


def _check_payload(payload: object) -> None:
    if not isinstance(payload, dict):
        raise MalformedMessage("`payload` of subscribe must be an object")
    fields = cast("dict[str, Any]", payload)
    if not isinstance(fields.get("query"), str) and not _names_document(fields):
        raise MalformedMessage("`payload.query` of subscribe must be a string")
    if not isinstance(fields.get("operationName"), str | None):
        raise MalformedMessage("`payload.operationName` of subscribe must be a string")
    for name in ("variables", "extensions"):
        if not isinstance(fields.get(name), dict | None):
            raise MalformedMessage(f"`payload.{name}` of subscribe must be an object")


def _names_document(payload: dict[str, Any]) -> bool:
    """Return whether the payload names a persisted document instead of a query."""
    if payload.get("query") is not None:
        return False
    extensions = payload.get("extensions")
    return "documentId" in payload or (isinstance(extensions, dict) and "persistedQuery" in extensions)


def pong(ping: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a ping, with its payload."""
    return {"type": "pong", "payload": ping["payload"]} if ping.get("payload") is not None else {"type": "pong"}
