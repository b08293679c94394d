"""Runs the programs in tests/node, which use the client libraries of other projects."""

import json
import subprocess
from pathlib import Path
from typing import Any

NODE = Path(__file__).parent / "node"


def run(script: str, *arguments: str, seconds: int = 400) -> Any:
    """Run a program to its end and return the JSON that it printed."""
    command = ["node", str(NODE / script), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, cwd=NODE)
    except subprocess.TimeoutExpired as expired:
        expired.add_note(f"It had printed: {expired.stdout!r} {expired.stderr!r}")
        raise
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
