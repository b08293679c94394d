"""The files in `deploy/own-image` and the other files about images match Tertulia's image and each other."""

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from deployed import CHART, DEPLOY, KUBERNETES, ROOT, Step, compose, dockerfile, documents
from running import settings

from tertulia.server.assistants import open_assistants
from tertulia.server.hooking import open_hooks
from tertulia.server.tooling import open_tool_registry

OWN = DEPLOY / "own-image"
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def steps(name: str) -> list[Step]:
    """Return all instructions of a kind in the Dockerfile of the own image."""
    return [step for stage in dockerfile(OWN / "Dockerfile") for step in stage if step.name == name]


def test_all_files_name_the_same_version_of_the_image() -> None:
    chart, values = documents(CHART / "Chart.yaml")[0], documents(CHART / "values.yaml")[0]
    assert (chart["version"], chart["appVersion"], values["image"]["tag"]) == (VERSION, VERSION, "")
    assert steps("ARG")[0].text == f"TERTULIA=tertulia:{VERSION}"
    assert f'"VERSION" {{\n  default = "{VERSION}"' in (DEPLOY / "docker-bake.hcl").read_text()
    # Both stages must have the same Python, because packages are copied from one to the other.
    assert steps("ARG")[1].text in [step.text for step in dockerfile()[0]]


def test_the_images_of_a_backup_are_pinned_and_dump_as_the_database_of_compose() -> None:
    pod = documents(KUBERNETES / "backup.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    images = [container["image"] for container in (*pod["initContainers"], *pod["containers"])]
    assert images[0] == compose()["services"]["postgres"]["image"]
    assert [image for image in images if not re.search(r":\d+(\.\d+)?", image)] == []
    values = documents(CHART / "values.yaml")[0]["backup"]
    assert [values["postgresImage"], values["rcloneImage"]] == images


def test_the_own_image_has_tools_hooks_and_assistants_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = {target: source for source, target in (step.words for step in steps("COPY")[-1:])}
    variables = dict(pair.split("=", 1) for pair in shlex.split(" ".join(step.text for step in steps("ENV"))))
    assert copied == {variables["PYTHONPATH"]: "app"}
    named: dict[str, Any] = {
        name.removeprefix("TERTULIA_").lower(): value.replace("/app", str(OWN / "app"))
        for name, value in variables.items()
        if name != "PYTHONPATH"
    }
    monkeypatch.syspath_prepend(str(OWN / "app"))
    configured = settings(tmp_path, **named)
    registry, _ = open_tool_registry(configured)
    assert sys.modules["own_tools"].spreadsheet_column(28) == "AB"
    catalog = open_assistants(configured, registry, many_users=True)
    (assistant,) = catalog.all()
    assert (assistant.id, list(assistant.tools)) == ("spreadsheets", ["spreadsheet_column"])
    assert open_hooks(configured).names == ["before_send"]


def test_the_packages_of_the_own_image_are_pinned_by_hash() -> None:
    (install,) = [step.text for step in steps("RUN")]
    assert "--require-hashes" in install
    assert install.endswith("pip --python /opt/tertulia check")
    assert "--hash=sha256:" in (OWN / "requirements.txt").read_text()
