"""The example clients of Vercel's AI SDK and of AG-UI: types, and real clients on real servers."""

import json
import os
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from client import REJECTED
from media import image
from npm import run
from programs import chromium
from running import killed_after, tertulia

ROOT = Path(__file__).parent.parent
EXAMPLES, BIN = ROOT / "examples", ROOT / "node_modules/.bin"
NAMES = ("ai-sdk", "ag-ui")
pytestmark = pytest.mark.needs("node", "tests/node", "node_modules")
WORDS = " ".join(f"word{number}" for number in range(1, 301)) + "."
MANY = " ".join(f"word{number}" for number in range(1, 1201)) + "."
"""Long enough that a page can be refreshed in the middle of the answer, also on a slow machine."""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A server whose simulated Claude writes slowly enough that a client can leave in the middle of an answer."""
    monkeypatch.chdir(tmp_path)
    tools = ("some_tools:pay", "some_tools:weather")
    with tertulia(tmp_path, simulator_pace=0.3, tools=tools) as url:
        yield url


@contextmanager
def served(name: str, folder: Path, address: str) -> Generator[str]:
    """Build an example, serve it in front of a Tertulia server, and yield the page's address."""
    built, vite = ["--outDir", str(folder / name), "--emptyOutDir"], [str(BIN / "vite")]
    source = EXAMPLES / name
    subprocess.run([*vite, "build", *built], cwd=source, check=True, capture_output=True, timeout=120)
    command = [*vite, "preview", "--host", "127.0.0.1", "--port", "0", *built[:2]]
    environment = {**os.environ, "TERTULIA_URL": address, "NO_COLOR": "1"}
    with subprocess.Popen(command, cwd=source, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with killed_after(process):
                match = next((at for line in process.stdout if (at := re.search(r"http://\S+?(?=/?\s)", line))), None)
            assert match is not None, "vite did not print its address"
            yield match[0]
        finally:
            process.terminate()


@pytest.mark.parametrize("name", NAMES)
def test_the_adapters_use_strict_types_without_any(name: str) -> None:
    sources = list((EXAMPLES / name / "src").glob("*.ts*"))
    assert json.loads((EXAMPLES / name / "tsconfig.json").read_text())["compilerOptions"]["strict"]
    assert [path.name for path in sources if re.search(r"(:|as|<)\s*any\b|@ts-", path.read_text())] == []


def test_a_chat_of_the_ai_sdk_edits_retries_stops_leaves_and_comes_back(address: str) -> None:
    report = run("ai_sdk.mjs", address)
    edited = report["edited"]
    assert edited["shown"] == edited["stored"]
    assert (edited["versions"], edited["shown"][3]) == (2, "Your name is Bob.")
    # Two conversations: the edited one, and one of the message that was sent twice.
    assert report["unheard"] == {"failed": "fetch failed", "status": "ready", "conversations": 2, "stored": 2}
    assert report["stopped"] == {"stored": [None, "STOPPED", None, "COMPLETED"]}
    assert report["left"] == {"status": "COMPLETED", "same": True, "words": 200, "messages": 2}
    assert report["cut"] == WORDS
    assert report["late"] == {"same": True, "status": "ready"}
    mixed = report["mixed"]
    assert mixed["calls"] == ["pay", "read_page"]
    assert mixed["between"] == {"status": "ready", "waits": True}
    assert mixed["states"] == ["output-available", "output-available"]
    assert mixed["same"]


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("name", ["ai-sdk", pytest.param("ag-ui", marks=pytest.mark.chaos)])
def test_the_page_continues_an_answer_stops_it_and_asks_for_approval(name: str, address: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(image())
    with served(name, tmp_path, address) as page:
        report = run("adapter_pages.mjs", chromium(), str(picture), f"{name}={page}")[name]
    assert "error" not in report, report["error"] + report["page"]
    assert report["problems"] == []
    assert "Ada" in report["greeting"]
    long, stopped = report["long"], report["stopped"]
    assert 0 < len(long["refreshed"]) < len(MANY)
    assert (long["after"], long["stored"], long["answers"]) == (MANY, MANY, 2)
    assert (stopped["status"], stopped["after"]) == ("STOPPED", stopped["stored"].strip())
    assert "word3000" not in stopped["after"]
    assert report["alert"] == REJECTED
    checks = {"ai-sdk": check_use_chat, "ag-ui": check_ag_ui}
    checks[name](report)


def check_ag_ui(report: dict[str, Any]) -> None:
    texts, later = report["told"], report["toldLater"]
    assert "Tertulia with AG-UI" in texts[-1]
    first = later.index('pay {"amount":7}\npay {"amount":8}') + 1
    results, denied = slice(first, first + 2), "The user denied this call."
    assert later[results] == ["Paid 7.", denied]
    assert later[first + 2] == f'The tool returned: "Paid 7.". The tool failed: "{denied}".'
    # Results arrive in any order, and are stored in that of the calls.
    texts[results] = sorted(texts[results])
    assert later == texts


def check_use_chat(report: dict[str, Any]) -> None:
    assert report["long"]["later"] == MANY
    assert re.fullmatch(r"0\.\d+ USD", report["cost"])
    assert report["again"] == {"siblings": 2, "before": 6, "after": 6}
    assert "count to three" in report["thinking"]
    assert report["resumed"] == 0
    paid = report["paid"]
    assert paid["calls"] == ['{"amount":7}\nPaid 7.']
    assert paid["after"] == f"Paid 7.\n{paid['stored']}"
    assert '"title":"Tertulia with the AI SDK"' in report["own"][0]
    assert report["ownLater"] == report["own"]
    assert report["files"] == ["ImageBlock", "TextBlock"]
    assert REJECTED in report["failed"]
