"""A proxy in front of Tertulia that breaks one rule of PROTOCOL.md."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import reduce
from itertools import cycle
from typing import Any

import aiohttp
from aiohttp import web

from tertulia.conformance.client import SUBPROTOCOL
from tertulia.conformance.documents import GENERATION

Json = dict[str, Any]
TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")
SEQUENCE = re.compile(r'"sequence":\s*(\d+)')


class Fault:
    """The changes that a proxy makes. By default none."""

    def operation(self, operation: Json) -> Json:
        """Return what is sent to the server instead of a GraphQL request."""
        return operation

    def response(self, operation: Json, response: Json) -> Json:
        """Return what the client receives instead of the response to a query or mutation."""
        return response

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        """Return a function that receives each event of one subscription over WebSocket, and returns those to send."""
        return lambda event: [event]

    def changes(self, change: Json) -> list[Json]:
        """Return what is sent instead of a change of a conversation."""
        return [change]

    def credentials(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the credentials that are sent to the server."""
        return headers

    def line(self, line: str) -> str:
        """Return what the client receives instead of a line of a stream over HTTP, or a message over WebSocket."""
        return line


class DropsAnEvent(Fault):
    """Loses the first text of each resumed stream."""

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        lost: list[Json] = []

        def send(event: Json) -> list[Json]:
            if after and not lost and event["__typename"] == "TextDelta":
                lost.append(event)
                return []
            return [event]

        return send


class RepeatsAnEvent(Fault):
    """Sends each text twice."""

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        return lambda event: [event] * (1 + (event["__typename"] == "TextDelta"))


class Renumbers(Fault):
    """Numbers events 2, 4, 6 and so on, for all readers."""

    def operation(self, operation: Json) -> Json:
        after = operation["variables"].get("after")
        halved = {"after": after // 2} if isinstance(after, int) else {}
        return operation | {"variables": operation["variables"] | halved}

    def response(self, operation: Json, response: Json) -> Json:
        changed: Json = json.loads(self.line(json.dumps(response)))
        return changed

    def line(self, line: str) -> str:
        return SEQUENCE.sub(lambda match: f'"sequence":{2 * int(match[1])}', line)


class ResumesFromTheStart(Fault):
    """Sends all events again to a client that resumes."""

    def operation(self, operation: Json) -> Json:
        resumes = bool(operation["variables"].get("after")) and "generationEvents" in operation["query"]
        return operation | {"variables": operation["variables"] | ({"after": 0} if resumes else {})}


class EndsBeforeTheLastText(Fault):
    """Sends the terminal event before the last text."""

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        held: list[Json] = []

        def send(event: Json) -> list[Json]:
            if after is None:
                return [event]
            if event["__typename"] in TERMINAL:
                return [event, *held]
            if event["__typename"] == "TextDelta" or held:
                released = [*held] if event["__typename"] == "TextDelta" else []
                del held[: len(released)]
                held.append(event)
                return released
            return [event]

        return send


class IgnoresStop(Fault):
    """Returns the state of the generation instead of stopping it."""

    def operation(self, operation: Json) -> Json:
        return operation | {"query": GENERATION} if "stopGeneration" in operation["query"] else operation

    def response(self, operation: Json, response: Json) -> Json:
        if "stopGeneration" not in operation["query"]:
            return response
        state = response["data"]["generation"]
        missing = {"__typename": "NotFound", "message": "No such generation."}
        return {
            "data": {"stopGeneration": {"__typename": "GenerationPayload", "generation": state} if state else missing}
        }


class LosesTheKey(Fault):
    """Treats a message with a known idempotency key as a new one."""

    def operation(self, operation: Json) -> Json:
        sent = operation["variables"].get("input", {})
        without = {name: value for name, value in sent.items() if name != "idempotencyKey"}
        return operation | {"variables": operation["variables"] | ({"input": without} if sent else {})}


class LosesTheReason(Fault):
    """Sends snapshots without their reason to a client that resumes."""

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        snapshot = "" if after is None else "MessageSnapshot"
        return lambda event: [event | ({"reason": None} if event["__typename"] == snapshot else {})]


class GivesAReasonAlways(Fault):
    """Sends the first snapshot as one of expired events."""

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        snapshot = "MessageSnapshot" if after is None else ""
        return lambda event: [event | ({"reason": "EXPIRED"} if event["__typename"] == snapshot else {})]


class CountsCharacters(Fault):
    """Counts offsets in characters in the list of events."""

    def response(self, operation: Json, response: Json) -> Json:
        if "events(" in operation["query"]:
            text = ""
            for edge in response["data"]["generation"]["events"]["edges"]:
                if edge["node"]["__typename"] == "TextDelta":
                    edge["node"]["offset"] = len(text)
                    text += edge["node"]["text"]
        return response


class QueuesAlways(Fault):
    """Lets a message wait although its client did not ask for that."""

    def operation(self, operation: Json) -> Json:
        sent = operation["variables"].get("input", {})
        busy = {"input": {"whenBusy": "QUEUE", **sent}} if "conversationId" in sent else {}
        return operation | {"variables": operation["variables"] | busy}


class AcceptsOtherInput(Fault):
    """Accepts a known idempotency key with another text."""

    def response(self, operation: Json, response: Json) -> Json:
        sent = response["data"].get("sendMessage", {})
        return {"data": {"sendMessage": {"__typename": "SendMessagePayload"}}} if "field" in sent else response


class AcceptsOtherResults(Fault):
    """Accepts a different result for a call."""

    def response(self, operation: Json, response: Json) -> Json:
        submitted = "submitToolResults" in response["data"]
        return {"data": {"submitToolResults": {"__typename": "GenerationPayload"}}} if submitted else response


class NeverSaysComplete(Fault):
    """Ends streams of server-sent events without saying so."""

    def line(self, line: str) -> str:
        return "" if line.startswith("event: complete") else line


class RepeatsChanges(Fault):
    """Sends each change of a conversation twice."""

    def changes(self, change: Json) -> list[Json]:
        return [change, change]


class SavesTheEndLate(Fault):
    """Says once of each generation that it is running although its terminal event was sent."""

    def __init__(self) -> None:
        self._late = set[str]()

    def response(self, operation: Json, response: Json) -> Json:
        found = response["data"].get("generation") or {}
        if found.get("status") == "COMPLETED" and found["id"] not in self._late:
            self._late.add(found["id"])
            return {"data": {"generation": found | {"status": "RUNNING"}}}
        return response


class LosesStoppedTexts(Fault):
    """Shows no text of a generation that was stopped."""

    def response(self, operation: Json, response: Json) -> Json:
        for found in (
            response["data"].get("generation"),
            (response["data"].get("stopGeneration") or {}).get("generation"),
        ):
            if found and found.get("status") == "STOPPED":
                found["message"]["text"] = ""
        return response


class IgnoresWhenBusy(Fault):
    """Does not let messages wait."""

    def operation(self, operation: Json) -> Json:
        sent = operation["variables"].get("input", {})
        without = {name: value for name, value in sent.items() if name != "whenBusy"}
        return operation | {"variables": operation["variables"] | ({"input": without} if sent else {})}


class RefusesRepeatedResults(Fault):
    """Refuses the result of a call that has one, although it is the same."""

    def __init__(self) -> None:
        self._accepted = False

    def response(self, operation: Json, response: Json) -> Json:
        if "submitToolResults" in response["data"] and self._accepted:
            return {"data": {"submitToolResults": {"__typename": "InvalidInput", "message": "It has a result."}}}
        self._accepted = self._accepted or "submitToolResults" in response["data"]
        return response


class MixesUpEventsOverHttp(Fault):
    """Sends the end of a block as its start in streams over HTTP."""

    def line(self, line: str) -> str:
        return line.replace("ContentBlockFinished", "ContentBlockStarted") if line.startswith("data:") else line


class NeverEndsMultipart(Fault):
    """Ends multipart streams without the last boundary."""

    def line(self, line: str) -> str:
        return "" if re.match(r"--\w+--", line) else line


class TakesAllForOneUser(Fault):
    """Serves every client as the same user."""

    def __init__(self, token: str) -> None:
        self._token = token

    def credentials(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}


class Together(Fault):
    """Several faults at the same time."""

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults

    def operation(self, operation: Json) -> Json:
        return reduce(lambda changed, fault: fault.operation(changed), self._faults, operation)

    def response(self, operation: Json, response: Json) -> Json:
        return reduce(lambda changed, fault: fault.response(operation, changed), self._faults, response)

    def events(self, after: int | None) -> Callable[[Json], list[Json]]:
        senders = [fault.events(after) for fault in self._faults]

        def send(event: Json) -> list[Json]:
            return reduce(lambda events, sender: [sent for event in events for sent in sender(event)], senders, [event])

        return send

    def changes(self, change: Json) -> list[Json]:
        return reduce(
            lambda changes, fault: [sent for change in changes for sent in fault.changes(change)],
            self._faults,
            [change],
        )

    def line(self, line: str) -> str:
        return reduce(lambda changed, fault: fault.line(changed), self._faults, line)


class Proxy:
    """Forwards to one or more replicas, in turn."""

    def __init__(self, fault: Fault, *addresses: str) -> None:
        self._fault = fault
        self._addresses = cycle(addresses)

    @asynccontextmanager
    async def serve(self) -> AsyncGenerator[str]:
        """Serve on a free port and yield the address."""
        app = web.Application()
        app.add_routes([web.post("/graphql", self._post), web.get("/graphql", self._socket)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**24) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                await runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        operation = await request.json()
        given = {name: request.headers[name] for name in ("Authorization",) if name in request.headers}
        headers = {"Accept": request.headers["Accept"], **self._fault.credentials(given)}
        url = f"{next(self._addresses)}/graphql"
        async with self._session.post(url, json=self._fault.operation(operation), headers=headers) as response:
            kind = {"content-type": response.headers["content-type"]}
            if "json" in response.content_type:
                changed = self._fault.response(operation, await response.json(content_type=None))
                return web.Response(text=json.dumps(changed), status=response.status, headers=kind)
            stream = web.StreamResponse(status=response.status, headers=kind)
            await stream.prepare(request)
            # A client may leave before the end.
            with suppress(ConnectionError):
                async for line in response.content:
                    await stream.write(self._fault.line(line.decode()).encode())
                await stream.write_eof()
            return stream

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=0, timeout=1)
        await client.prepare(request)
        url = f"{next(self._addresses)}/graphql"
        async with self._session.ws_connect(url, protocols=(SUBPROTOCOL,), max_msg_size=0) as server:
            senders: dict[str, Callable[[Json], list[Json]]] = {}
            upward = asyncio.create_task(self._to_server(client, server, senders))
            with suppress(ConnectionError):
                await self._to_client(client, server, senders)
            upward.cancel()
            await client.close(code=server.close_code or 1000)
        return client

    async def _to_server(self, client: Any, server: Any, senders: dict[str, Callable[[Json], list[Json]]]) -> None:
        async for frame in client:
            try:
                message = json.loads(frame.data)
            except ValueError:
                await server.send_str(frame.data)
                continue
            if message["type"] == "connection_init":
                message["payload"] = self._fault.credentials(message["payload"])
            if message["type"] == "subscribe":
                senders[message["id"]] = self._fault.events(message["payload"]["variables"].get("after"))
                message["payload"] = self._fault.operation(message["payload"])
            await server.send_str(json.dumps(message))
        await server.close()

    async def _to_client(self, client: Any, server: Any, senders: dict[str, Callable[[Json], list[Json]]]) -> None:
        async for frame in server:
            message = json.loads(frame.data)
            data = message["payload"].get("data") if message["type"] == "next" else None
            replacements = [message]
            if data and "generationEvents" in data:
                events = senders[message["id"]](data["generationEvents"])
                replacements = [message | {"payload": {"data": {"generationEvents": event}}} for event in events]
            elif data and "conversationChanges" in data:
                changes = self._fault.changes(data["conversationChanges"])
                replacements = [message | {"payload": {"data": {"conversationChanges": change}}} for change in changes]
            for replacement in replacements:
                await client.send_str(self._fault.line(json.dumps(replacement)))
