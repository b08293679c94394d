"""The version before the current database schema and this one, side by side on one PostgreSQL and one Redis."""

import signal
import threading
import time
from pathlib import Path

import forking
import pytest
from client import WAIT, Api, Json, apply, sleep_between_polls, wait_until
from deployed import compose
from faults import Server
from former import HEAD, former_code
from running import execute
from scripted import Gate, says, scripted
from servers import Servers
from test_deployed import PATIENT, deployed, migrate, settings_of_a_replica

VERSION = "SELECT version_num FROM alembic_version"
SEARCH = "query ($words: String!) { searchMessages(query: $words) { edges { node { conversation { id } } } } }"
CHECK_SECONDS = float(compose()["services"]["tertulia-a"]["healthcheck"]["interval"].removesuffix("s"))
"""The minimum time for which `docker compose up --wait` waits for a replica before it replaces the next one."""
ANSWERS = 2
"""The number of answers that are written while a replica is replaced."""


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the version before the current database schema."""
    return former_code(tmp_path_factory.mktemp("former"))


class Follower(threading.Thread):
    """Follows an answer to its end."""

    def __init__(self, api: Api, generation: str) -> None:
        super().__init__(daemon=True)
        self.api, self.generation = api, generation
        self.events: list[Json] = []
        self.start()

    def run(self) -> None:
        self.events = self.api.follow(self.generation, 0)

    def text(self) -> str:
        """Return the final text, after checking that each event arrived once and in order."""
        self.join(WAIT)
        sequences = [event["sequence"] for event in self.events]
        assert sequences == sorted(set(sequences)) != []
        (text,) = apply(self.events)
        return text


def test_the_former_version_and_this_one_serve_side_by_side(former: Path, servers: Servers, tmp_path: Path) -> None:
    storage = servers.empty()
    begun, from_old, from_new, stopped, last = (Gate() for _ in range(5))
    replies = [says("on the ", begun, "old schema"), says("old ", from_old, "writes"), says("new ", from_new, "writes")]
    replies += [says("half of the old", stopped), says("half of the new", stopped), says("drained ", last, "whole")]
    with scripted(*replies) as claude:
        options = {"TERTULIA_LEASE_SECONDS": "10", "TERTULIA_ATTACHMENTS": str(tmp_path / "files")}
        old_server = Server(tmp_path, storage, claude, **options, PYTHONPATH=str(former))
        old = old_server.ready()
        assert execute(storage, VERSION) != [(HEAD,)]
        sent = old.send("Before")
        conversation = sent["conversation"]["id"]
        assert begun.reached.wait(WAIT)
        # The new version starts, and migrates while the old one writes.
        new_server = Server(tmp_path, storage, claude, **options)
        new = new_server.ready()
        try:
            assert execute(storage, VERSION) == [(HEAD,)]
            followers = [Follower(api, sent["generation"]["id"]) for api in (old, new)]
            begun.open.set()
            assert [follower.text() for follower in followers] == ["on the old schema"] * 2
            for writer, reader, gate, text in ((old, new, from_old, "old writes"), (new, old, from_new, "new writes")):
                sent = writer.send("Go on", conversationId=conversation)
                follower = Follower(reader, sent["generation"]["id"])
                assert gate.reached.wait(WAIT)
                gate.open.set()
                assert follower.text() == text
                assert old.messages(conversation) == new.messages(conversation)
            for writer, stopper, text in ((old, new, "half of the old"), (new, old, "half of the new")):
                generation = writer.send("Explain it all")["generation"]["id"]
                stopper.wait_for_text(generation, text)
                ended = stopper.stop(generation)["generation"]
                assert (ended["status"], ended["message"]["text"]) == ("STOPPED", text)
            stopped.open.set()
            # The old version is drained in the middle of an answer.
            sent = old.send("The last", conversationId=conversation)
            follower = Follower(new, sent["generation"]["id"])
            assert last.reached.wait(WAIT)
            old_server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: old.http.get("/readyz").status_code == 503, "the drain", 60)
            last.open.set()
            assert old_server.process.wait(WAIT) == 0
            assert follower.text() == "drained whole"
            assert follower.events[-1]["__typename"] == "GenerationCompleted"
            assert len(claude.requests) == len(replies)
            matches = new.ask(SEARCH, words="drained")["searchMessages"]["edges"]
            assert [edge["node"]["conversation"]["id"] for edge in matches] == [conversation]
        finally:
            old_server.close()
            new_server.close()


def test_an_upgrade_under_load_ends_no_answer_and_refuses_at_most_two_requests(
    former: Path, servers: Servers, tmp_path: Path
) -> None:
    with deployed(tmp_path, servers, "nginx", former) as deployment:
        assert execute(deployment.place, VERSION) != [(HEAD,)]
        loads = [deployment.begin(ANSWERS)]
        # As in docs/deploying.md: first the database, while all replicas run, then one replica after the other.
        migrate(tmp_path, deployment.place, deployment.settings)
        assert execute(deployment.place, VERSION) == [(HEAD,)]
        deployment.code, deployment.settings = forking.CODE, settings_of_a_replica(tmp_path) | PATIENT
        for number in (0, 1):
            loads.append(deployment.begin(ANSWERS))
            assert deployment.replicas[number].end() == 0, deployment.replicas[number].said()
            deployment.again(number)
            until = time.monotonic() + CHECK_SECONDS
            while time.monotonic() < until:
                deployment.send("Hello, my name is Ada")
                sleep_between_polls(0.2)
        ends = [end for load in loads for end in load.hold(most=1)]
        assert ends == ["GenerationCompleted"] * ANSWERS * len(loads)
        # The former version does not wait until its proxy has noticed, so a request may reach a closed connection.
        refused = [words for load in loads for words in load.over().refused]
        assert len(refused) <= 2, refused
        assert all(load.listed for load in loads)
