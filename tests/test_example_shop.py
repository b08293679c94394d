"""The example of a shop: its assistant, hooks, webhooks and login, in a real browser with the simulated Claude."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from npm import run
from programs import chromium
from running import read_until

EXAMPLE = Path(__file__).parent.parent / "examples" / "shop"


@contextmanager
def shop(folder: Path) -> Generator[str]:
    """Run the shop as its README does, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TERTULIA_", "ANTHROPIC_"))},
            "SHOP_URL": address,
            "TERTULIA_SIMULATOR_PACE": "0.1",
        }
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "shop:app",
            "--app-dir",
            str(EXAMPLE),
            "--fd",
            str(listening.fileno()),
        ]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, pass_fds=[listening.fileno()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            read_until(process, "(Press CTRL+C")
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=120)


@pytest.mark.needs("chromium", "node", "tests/node")
def test_the_shop_shows_context_a_tool_citations_refusals_redaction_and_webhooks_to_their_user_only(
    tmp_path: Path,
) -> None:
    with shop(tmp_path) as address:
        report = run("shop.mjs", chromium(), address)
        forged = httpx2.post(f"{address}/webhooks", json={"type": "generation.completed"}, headers={"webhook-id": "1"})
        unsigned = [httpx2.get(f"{address}/{path}").status_code for path in ("log", "ai/export")]
    assert '{"page":"/","cart":{"Assam, 250 g":1}}' in report["cart"]
    assert "Used find_order." in report["order"]
    assert "Handed to the courier on Monday." in report["order"]
    assert "[Returns and refunds]" in report["cited"]
    quoted = re.findall(r"says: “(.*?)”", report["cited"])
    assert quoted
    assert quoted[0] in report["helpPage"]
    assert report["refusal"] == ["SendRefused", "We sell tea and cannot give medical advice. Please ask your doctor."]
    assert report["draft"] == "Does green tea cure a cold?"
    assert "Did I pay with [card number]?" in report["card"]
    assert len(report["shown"]) > 1
    assert [text for text in report["shown"] if re.search(r"\d{4}", text)] == []
    # The refused message is not stored.
    assert report["roles"] == ["user", "assistant"] * 4

    assert sorted(row[:2] for row in report["log"][1:]) == [
        ["conversation.created", "ada"], ["conversation.created", "grace"],
        *[["generation.completed", "ada"]] * 4, ["generation.completed", "grace"],
    ]  # fmt: skip
    assert forged.status_code == 400
    assert unsigned == [401, 401]

    other = report["other"]
    assert "The customer has no order with this number." in other.pop("order")
    assert other == {
        "api": {
            "data": {"conversation": None, "conversations": {"edges": []}, "generation": None,
                     "searchMessages": {"edges": []}}
        },
        "roles": [], "cart": 0, "log": 403, "logShown": False,
    }  # fmt: skip
    assert report["owner"] == []
    assert report["problems"] == []
