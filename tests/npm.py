"""Programs in tests/node, which use the clients of other projects."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NODE = Path(__file__).parent / "node"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(), reason="needs Node and `npm ci` in tests/node"
)

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or not (NODE / "node_modules").is_dir(), reason="needs Chromium, Node and `npm ci` in tests/node"
)


def run(script: str, *arguments: str, seconds: int = 200) -> Any:
    """Run one to its end; gives what it printed."""
    done = subprocess.run(
        ["node", NODE / script, *arguments], capture_output=True, text=True, timeout=seconds, check=False, cwd=NODE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
