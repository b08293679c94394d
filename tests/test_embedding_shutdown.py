"""SIGTERM ends an application while the two Tertulias that are embedded in it stream answers."""

import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from client import Api, Json, apply
from embedding_host import PREFIXES, TOKEN, make_app
from running import killed_after, read_until, running
from websockets.exceptions import ConnectionClosed

HOST = Path(__file__).parent / "embedding_host.py"
WORDS = 150
"""Words of an answer. It takes some seconds to write, so that the signal arrives in the middle."""
ENDED = "query ($id: ID!) { generation(id: $id) { status continuations message { text } } }"


@contextmanager
def host(folder: Path, *arguments: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Run the application, and yield its address and process."""
    command = [sys.executable, str(HOST), str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield re.findall(r"http://[\d.:]+", read_until(process, "(Press CTRL+C"))[0], process
        finally:
            if process.poll() is None:
                process.kill()


def output_of_ended(process: subprocess.Popen[str]) -> str:
    """Wait until the application ends after SIGTERM, and return its output."""
    with killed_after(process):
        printed = process.communicate()[0]
    assert process.returncode in (0, -signal.SIGTERM), printed
    return printed


def remaining_events(events: Generator[Json]) -> list[Json]:
    """Return the events until the answer ends or the socket is closed."""
    rest: list[Json] = []
    with suppress(ConnectionClosed):
        rest.extend(event for event in events)
    return rest


@pytest.mark.parametrize("drain", [False, True], ids=["at once", "after a drain"])
def test_sigterm_loses_no_text_that_a_client_has_seen(tmp_path: Path, *, drain: bool) -> None:
    ids: dict[str, str] = {}
    seen: dict[str, list[Json]] = {}
    with host(tmp_path, *(["drain"] if drain else [])) as (address, process), ExitStack() as stack:
        streams: dict[str, Generator[Json]] = {}
        for prefix in PREFIXES:
            api = stack.enter_context(Api(address + prefix, TOKEN))
            ids[prefix] = api.send(f"/simulate long {WORDS}")["generation"]["id"]
            streams[prefix] = stack.enter_context(api.socket()).events(ids[prefix])
        for prefix, events in streams.items():
            seen[prefix] = [next(events)]
            while seen[prefix][-1]["__typename"] != "TextDelta":
                seen[prefix].append(next(events))
        process.send_signal(signal.SIGTERM)
        for prefix, events in streams.items():
            seen[prefix] += remaining_events(events)
        assert "Traceback" not in output_of_ended(process)
    with running(make_app(tmp_path)[0]) as address:
        for prefix in PREFIXES:
            with Api(address + prefix, TOKEN) as api:
                api.follow(ids[prefix])
                check_answer(api.ask(ENDED, id=ids[prefix])["generation"], seen[prefix], is_whole=drain)


def check_answer(generation: Json, seen: list[Json], *, is_whole: bool) -> None:
    """Check the answer after the restart against the events that a client received before it."""
    text = generation["message"]["text"]
    assert text.startswith("".join(apply(seen)))
    assert generation["status"] == "COMPLETED"
    assert len(text.split()) == WORDS
    # Otherwise the answer was continued after the restart.
    assert (seen[-1]["__typename"] == "GenerationCompleted") == is_whole
    assert (generation["continuations"] == 0) == is_whole
