"""Readers for the files in `deploy/`, and proxies that run with those files."""

import fnmatch
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from programs import find_program

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
CHART = DEPLOY / "helm" / "tertulia"
PATIENCE = 60.0


# ---- files -----------------------------------------------------------------------------------


def documents(file: Path) -> list[Any]:
    """Return all documents of a YAML file."""
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document is not None]


def compose() -> Any:
    """Return the content of compose.yaml, with its variables as they are written."""
    return documents(DEPLOY / "compose.yaml")[0]


def manifest(kind: str) -> Any:
    """Return the only manifest of a kind among the resources of kustomization.yaml."""
    listed = documents(KUBERNETES / "kustomization.yaml")[0]["resources"]
    (match,) = [document for name in listed for document in documents(KUBERNETES / name) if document["kind"] == kind]
    return match


def interpolated(text: str, values: dict[str, str]) -> str:
    """Replace `${NAME:-default}` and `${NAME:?message}` as Docker Compose does."""

    def value(match: re.Match[str]) -> str:
        name, sign, more = match.groups()
        if values.get(name):
            return values[name]
        assert sign == ":-", f"{name} {more}"
        return str(more)

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def dotenv() -> dict[str, str]:
    """Return the variables that .env.example sets, including those in comments."""
    return dict(re.findall(r"^#? ?([A-Z_]+)=(.*)$", (DEPLOY / ".env.example").read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Step:
    """An instruction of a Dockerfile."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return [word for word in self.text.split() if not word.startswith("--")]

    @property
    def listed(self) -> list[str]:
        """The arguments of an instruction in exec form."""
        found: list[str] = json.loads(self.text[self.text.index("[") :])
        return found


def dockerfile(file: Path = DEPLOY / "Dockerfile") -> list[list[Step]]:
    """Return the stages of a Dockerfile. The instructions before the first FROM are the first stage."""
    text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: list[list[Step]] = [[]]
    for line in text.replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        if name:
            stages[-1].append(Step(name, rest.strip()))
    return stages


def is_in_build_context(path: str) -> bool:
    """Return whether .dockerignore allows a path into the build. The last line that matches it or a parent decides."""
    included = True
    above = ["/".join(path.split("/")[: end + 1]) for end in range(path.count("/") + 1)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        paths = above if not line.startswith("**/") else [tail.rpartition("/")[2] for tail in above]
        if any(fnmatch.fnmatchcase(tail, pattern) and tail.count("/") >= pattern.count("/") for tail in paths):
            included = line.startswith("!")
    return included


# ---- processes -------------------------------------------------------------------------------

Proxy = Callable[[Path, Sequence[str]], AbstractContextManager[str]]


@contextmanager
def caddy(folder: Path, replicas: Sequence[str]) -> Generator[str]:
    """Run Caddy with deploy/Caddyfile in front of replicas at `HOST:PORT`, and yield its address."""
    port = free_port()
    text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    site = "{$DOMAIN::80} {\n"
    assert site in text
    (folder / "Caddyfile").write_text(text.replace(site, f"{site}\tbind 127.0.0.1\n"))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CADDY_ADMIN": f"unix//{folder}/admin.sock",
        "DOMAIN": f"http://127.0.0.1:{port}",
        "UPSTREAMS": " ".join(replicas),
    }
    command = ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _running(command, folder, port, environment):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx(folder: Path, replicas: Sequence[str]) -> Generator[str]:
    """Run nginx with deploy/nginx.conf in front of two replicas, and yield its address.

    TLS is removed: its certificate is the operator's.
    """
    port = free_port()
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    for name, replica in zip(("tertulia-a:8000", "tertulia-b:8000"), replicas, strict=True):
        assert name in text
        text = text.replace(name, replica)
    text = re.sub(r"(listen \[::\]|ssl_\w+ ).*;", "", text)
    text = text.replace("listen 80;", f"listen unix:{folder}/redirect.sock;")
    text = text.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    (folder / "site.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    main = f"daemon off; pid {folder}/pid; error_log stderr; events {{ worker_connections 1024; }}"
    (folder / "nginx.conf").write_text(f"{main} http {{ access_log off; {temporary} include site.conf; }}")
    with _running(["nginx", "-p", str(folder), "-c", "nginx.conf"], folder, port, dict(os.environ)):
        yield f"http://127.0.0.1:{port}"


PROXIES: dict[str, Proxy] = {"caddy": caddy, "nginx": nginx}


@contextmanager
def _running(command: list[str], folder: Path, port: int, environment: dict[str, str]) -> Generator[None]:
    log = folder / f"{command[0]}.log"
    program = find_program(command[0])
    assert program is not None
    with log.open("wb") as output:
        process = subprocess.Popen([program, *command[1:]], env=environment, cwd=folder, stdout=output, stderr=output)
    deadline = time.monotonic() + PATIENCE
    try:
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).status_code == 200
    except httpx2.HTTPError:
        time.sleep(0.01)
        return False


def free_port() -> int:
    """Return a free port, for a program that cannot choose one itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
