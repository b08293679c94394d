"""The files in `deploy/` are valid in their formats: Helm renders the chart, and the public schemas accept the files.

The schemas are those of Kubernetes and of the Compose Specification. `make .venv/deploy.done` installs what this needs.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import CHART, DEPLOY, KUBERNETES, compose, documents

pytestmark = pytest.mark.needs("deploy")
NAME = "tertulia"
EVERYTHING: dict[str, Any] = {
    "backup": {"enabled": True},
    "networkPolicy": {"metadataServices": True},
    "serviceAccount": {"create": True, "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/tertulia"}},
    "autoscaling": {"enabled": False},
    "image": {"repository": "registry.example.com/own", "tag": "2.0.0", "pullSecrets": [{"name": "registry"}]},
    "settings": {"TERTULIA_REGISTRATION": None, "TERTULIA_GUESTS": True, "TERTULIA_LEASE_SECONDS": "20"},
    "extraVolumes": [{"name": "own", "configMap": {"name": "own"}}],
    "extraVolumeMounts": [{"name": "own", "mountPath": "/own"}],
    "extraEnv": [{"name": "TERTULIA_ASSISTANTS", "value": "/own"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "chat", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
LEAST = {
    "ingress": {"tlsSecretName": ""},
    "networkPolicy": {"enabled": False},
    "backup": {"enabled": True, "secretName": ""},
}
WRONG: dict[str, Any] = {
    "/settings/TERTULIA_TOOL_SECONDS": {"settings": {"TERTULIA_TOOL_SECONDS": 60}},
    "'replicaCount' not allowed": {"replicaCount": 3},
    "/networkPolicy/fromNamespaces": {"networkPolicy": {"fromNamespaces": []}},
    "/networkPolicy/toPorts/0": {"networkPolicy": {"toPorts": ["redis"]}},
}


@dataclass(frozen=True)
class Chart:
    """What Helm makes of the chart."""

    lint: Any
    rendered: list[Any]

    def manifests(self, number: int) -> dict[tuple[str, str], Any]:
        """Return the manifests that were rendered with some values, by kind and name."""
        assert isinstance(self.rendered[number], dict), self.rendered[number]
        texts = [text for path, text in self.rendered[number].items() if path.endswith(".yaml")]
        found = [document for text in texts for document in yaml.safe_load_all(text) if document is not None]
        return {(document["kind"], document["metadata"]["name"]): document for document in found}


@pytest.fixture(scope="module")
def chart() -> Chart:
    """The chart, rendered with its own values, with EVERYTHING, with LEAST and with each of WRONG."""
    command = [sys.executable, str(Path(__file__).with_name("deploy_formats.py")), str(CHART), NAME]
    values = json.dumps([{}, EVERYTHING, LEAST, *WRONG.values()])
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return Chart(**json.loads(done.stdout))


def plain(*names: str) -> dict[tuple[str, str], Any]:
    """Return the manifests of files in deploy/kubernetes, as kustomize changes them, by kind and name."""
    kustomization = documents(KUBERNETES / "kustomization.yaml")[0]
    (image,) = kustomization["images"]
    found = {}
    for document in (each for name in names or kustomization["resources"] for each in documents(KUBERNETES / name)):
        text = json.dumps(document).replace('"image": "tertulia"', f'"image": "{image["newName"]}:{image["newTag"]}"')
        found[document["kind"], document["metadata"]["name"]] = json.loads(text)
    return found


def comparable(document: Any) -> Any:
    """Return a manifest without what a chart has by convention: its labels, its checksum, the default policies.

    The labels of the chart that select pods become the label `app` of the plain manifests.
    """
    if isinstance(document, list):
        return [comparable(item) for item in document]
    if not isinstance(document, dict):
        return document
    if (name := document.get("app.kubernetes.io/name")) is not None:
        return {"app": name}
    aside = ("imagePullPolicy", "imagePullSecrets", "serviceAccountName", "checksum/settings")
    kept = {key: comparable(value) for key, value in document.items() if key not in aside}
    if "apiVersion" in document:
        kept.get("metadata", {}).pop("labels", None)
    if "env" in document:
        kept["env"] = sorted(kept["env"], key=lambda variable: str(variable["name"]))
    return kept


def test_the_chart_installs_the_same_as_the_manifests(chart: Chart) -> None:
    expected = {key: comparable(value) for key, value in plain().items() if key[0] != "Namespace"}
    rendered = {key: comparable(value) for key, value in chart.manifests(0).items()}
    assert set(rendered) == set(expected)
    for key, manifest in expected.items():
        assert rendered[key] == manifest, key


def test_the_options_of_the_chart_add_the_same_as_the_optional_manifests(chart: Chart) -> None:
    added = chart.manifests(1)
    for key, manifest in plain("backup.yaml").items():
        assert comparable(added[key]) == comparable(manifest), key
    (metadata,) = plain("network-metadata.yaml").values()
    assert added["NetworkPolicy", NAME]["spec"]["egress"][-2:] == metadata["spec"]["egress"]
    pod = added["Deployment", NAME]["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], added["Deployment", NAME]["spec"]["replicas"]) == (NAME, 2)
    assert {container["image"] for container in (*pod["initContainers"], *pod["containers"])} == {
        "registry.example.com/own:2.0.0"
    }
    for container in (*pod["initContainers"], *pod["containers"]):
        assert EVERYTHING["extraVolumeMounts"][0] in container["volumeMounts"]
        assert container["env"] == EVERYTHING["extraEnv"]
    settings = added["ConfigMap", f"{NAME}-settings"]["data"]
    assert (settings["TERTULIA_GUESTS"], settings["TERTULIA_LEASE_SECONDS"]) == ("true", "20")
    assert "TERTULIA_REGISTRATION" not in settings
    assert ("HorizontalPodAutoscaler", NAME) not in added
    least = chart.manifests(2)
    assert "tls" not in least["Ingress", NAME]["spec"]
    assert [key for key in least if key[0] == "NetworkPolicy"] == []


def test_a_change_of_settings_replaces_the_pods(chart: Chart) -> None:
    sums = [
        chart.manifests(number)["Deployment", NAME]["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        for number in (0, 1)
    ]
    assert sums[0] != sums[1]


def test_wrong_values_are_refused_by_name(chart: Chart) -> None:
    for name, error in zip(WRONG, chart.rendered[3:], strict=True):
        assert isinstance(error, str), name
        assert name in error
    assert chart.lint["errors"] == []


def test_kubernetes_accepts_all_manifests(chart: Chart) -> None:
    validate = import_module("kubernetes_validate").validate
    names = [file.name for file in KUBERNETES.glob("*.yaml")]
    others = {"kustomization.yaml", "prometheus-adapter.yaml"}
    manifests = [*plain(*(set(names) - others)).values()]
    manifests += [manifest for number in range(3) for manifest in chart.manifests(number).values()]
    assert len(manifests) > 30
    for manifest in manifests:
        validate(manifest, "1.37", strict=True)
    with pytest.raises(Exception, match="shedule"):
        validate({**chart.manifests(1)["CronJob", f"{NAME}-backup"], "shedule": ""}, "1.37", strict=True)


def test_the_compose_specification_accepts_the_compose_files() -> None:
    schema = json.loads((files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json").read_text())
    validate = import_module("jsonschema").validate
    override = documents(DEPLOY / "own-image" / "compose.override.yaml")[0]
    for file in (compose(), override):
        validate(file, schema)
    for name, service in override["services"].items():
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert compose()["services"][name]["image"] != service["image"]
    with pytest.raises(Exception, match="mem_limits"):
        validate({"services": {"a": {"image": "b", "mem_limits": "1g"}}}, schema)


def test_the_bake_file_builds_the_image_for_both_architectures() -> None:
    bake = import_module("hcl2").loads((DEPLOY / "docker-bake.hcl").read_text())
    (target,) = [target['"tertulia"'] for target in bake["target"]]
    assert [platform.strip('"') for platform in target["platforms"]] == ["linux/amd64", "linux/arm64"]
    dockerfile = DEPLOY.parent / target["dockerfile"].strip('"')
    assert (target["context"], dockerfile.is_file()) == ('"."', True)
    assert set(target["args"]) == {"REVISION"}
    assert "ARG REVISION" in dockerfile.read_text()
