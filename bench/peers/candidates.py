"""The candidates, and how each is started with the upstream."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.processes import HERE, PYTHON, TERTULIA, Cores, Json, Load, Process, Server, folder, free_port, node


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server that is compared. `kind` is that of the load: `tertulia` or `direct`."""

    name: str
    kind: str
    program: tuple[str, ...]
    ready: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    """Settings."""


TERTULIA_ITSELF = Candidate("tertulia", "tertulia", (TERTULIA, "serve", "--port"), "/readyz")
UNMERGED = Candidate("tertulia-unmerged", "tertulia", (PYTHON, "-m", "bench.peers.unmerged", "--port"), "/readyz")
UNTITLED = replace(TERTULIA_ITSELF, name="tertulia-untitled", variables=(("TERTULIA_TITLE_MODEL", ""),))
NAIVE = Candidate("naive", "direct", (PYTHON, "-m", "bench.peers.naive", "--port"))
RELAY = Candidate("relay", "direct", (PYTHON, "-m", "bench.peers.relay", "--port"))
BROADCAST = Candidate("broadcast", "direct", (PYTHON, "-m", "bench.peers.broadcast", "--port"))
HANDWRITTEN = Candidate("handwritten", "direct", (PYTHON, "-m", "bench.peers.handwritten", "--port"))
ASSISTANT = Candidate("assistant", "tertulia", (PYTHON, "-m", "bench.peers.assistant", "--port"), "/readyz")
NODE = Candidate("node", "direct", (node() or "node", str(HERE / "peers" / "node" / "server.mjs")))


PEERS = (UNMERGED, UNTITLED, NAIVE, RELAY, BROADCAST, HANDWRITTEN, NODE)


def merging_relay(pause_ms: float) -> Candidate:
    """Return the relay that pauses after each read, and sends what has arrived as one delta."""
    return Candidate("relay-merging", RELAY.kind, (*RELAY.program[:-1], "--pause-ms", f"{pause_ms:.1f}", "--port"))


@dataclass(frozen=True, slots=True)
class Stage:
    """The upstream and the cores of a run."""

    cores: Cores
    upstream: int
    """The upstream's port."""
    upstream_pid: int

    @contextmanager
    def server(
        self, candidate: Candidate, variables: Json | None = None, place: Path | None = None
    ) -> Generator[Server]:
        """Start a candidate, by default in its own folder."""
        with ExitStack() as stack:
            place = place or stack.enter_context(folder())
            port = free_port()
            claude = {"ANTHROPIC_API_KEY": "sk-ant-bench", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.upstream}"}
            more = {**claude, **dict(candidate.variables), **(variables or {})}
            process = Process(candidate.name, [*candidate.program, str(port)], self.cores.server, place, more)
            stack.callback(process.kill)
            process.listening(port, candidate.ready)
            process.idle()
            yield Server(port, process.pid, process)

    def load(self, mode: str, candidate: Candidate, *servers: Server, **options: object) -> Load:
        """Start a load. Requests go to the first server; answers are followed on all servers."""
        ports, pids = [server.port for server in servers], [server.pid for server in servers]
        common = {"kind": candidate.kind, "ports": ports, "pids": pids, "upstream_pid": self.upstream_pid}
        return Load(mode, self.cores.rest, **common, **options)

    def measure(self, mode: str, candidate: Candidate, *servers: Server, **options: object) -> Json:
        """Run a load to its end, and return its measurements."""
        load = self.load(mode, candidate, *servers, **options)
        try:
            return load.result()
        finally:
            load.kill()


@contextmanager
def staged(cores: Cores) -> Generator[Stage]:
    """Start the upstream that all candidates use."""
    with folder() as place:
        port = free_port()
        upstream = Process("upstream", [PYTHON, "-m", "bench.upstream", "--port", str(port)], cores.rest, place, {})
        try:
            upstream.listening(port)
            yield Stage(cores, port, upstream.pid)
        finally:
            upstream.kill()
