"""The files in `deploy/` match the server and each other, and work with processes instead of containers.

No container engine is needed: this checkout replaces the image, and the proxies are Debian's.
"""

import configparser
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from deployed import (
    CHART,
    DEPLOY,
    KUBERNETES,
    ROOT,
    Step,
    compose,
    dockerfile,
    documents,
    dotenv,
    is_in_build_context,
    manifest,
)
from media import pdf
from people import register, signed
from running import killed_after, tertulia

from tertulia.cli.main import serve
from tertulia.server.run import DRAIN_SECONDS, _config
from tertulia.server.running_server import FINAL_EVENTS_SECONDS
from tertulia.server.settings import OF_CLIENTS, Settings, variable_name

FILES = sorted(file for file in DEPLOY.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
SETTINGS = {variable_name(field) for field in Settings.model_fields}
PROJECT: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())
PORT = inspect.signature(serve).parameters["port"].default
GRACE = Settings.model_fields["drain_seconds"].default + FINAL_EVENTS_SECONDS + DRAIN_SECONDS
"""The longest time in seconds that a process takes to exit."""
REPLICAS = ("tertulia-a", "tertulia-b")
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def written(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def everything(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key and value of a document, at any depth."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name, value
            yield from everything(value)
    elif isinstance(document, list):
        for value in document:
            yield from everything(value)


def values(name: str, *files: Path) -> list[Any]:
    """Return all values of a key in YAML files, at any depth."""
    pairs = [pair for file in files for document in documents(file) for pair in everything(document)]
    return [value for key, value in pairs if key == name]


# ---- the files match the server and each other -----------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_named_setting_exists(file: Path) -> None:
    named = set(re.findall(r"\bTERTULIA_[A-Z_]*[A-Z]\b", file.read_text(encoding="utf-8")))
    assert named - SETTINGS - {OF_CLIENTS} == set()


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.suffix in (".yaml", ".yml") and file.parent != CHART / "templates"],
    ids=lambda file: file.name,
)
def test_each_yaml_file_can_be_read(file: Path) -> None:
    assert documents(file)


def test_the_systemd_unit_can_be_read_and_leaves_time_to_drain() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read_string(written("tertulia.service"))
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    assert seconds(unit["Service"]["TimeoutStopSec"]) > GRACE


def test_every_replica_has_time_to_drain() -> None:
    services = compose()["services"]
    delay = float(services["tertulia-a"]["environment"]["TERTULIA_SHUTDOWN_DELAY_SECONDS"])
    assert {seconds(services[name]["stop_grace_period"]) > delay + GRACE for name in REPLICAS} == {True}
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    (before,) = [float(container["lifecycle"]["preStop"]["exec"]["command"][-1]) for container in pod["containers"]]
    drained = float(manifest("ConfigMap")["data"]["TERTULIA_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > before + drained + FINAL_EVENTS_SECONDS + DRAIN_SECONDS
    assert manifest("HorizontalPodAutoscaler")["spec"]["behavior"]["scaleDown"]["policies"][0]["type"] == "Pods"


def test_the_health_and_metrics_paths_exist(tmp_path: Path) -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    asked = set(re.findall(r"(?:health_uri |127\.0\.0\.1:\d+)(/[a-z?=]+)", text))
    asked |= {probe["path"] for probe in values("httpGet", KUBERNETES / "deployment.yaml")}
    asked.add(manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"])
    assert asked == {"/healthz", "/readyz?exclude=redis", "/metrics"}
    with tertulia(tmp_path) as address:
        assert {httpx2.get(address + path).status_code for path in asked} == {200}
        heads = [httpx2.head(address + path) for path in asked - {"/metrics"}]
    assert [(head.status_code, head.content) for head in heads] == [(200, b"")] * 2
    assert [head.headers["content-type"] for head in heads] == ["application/json"] * 2


def test_the_liveness_probe_does_not_need_the_database() -> None:
    (container,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    paths = {name: value["httpGet"]["path"] for name, value in container.items() if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz?exclude=redis"}


def test_all_files_use_the_same_port() -> None:
    (exposed,) = [step.text for step in dockerfile()[-1] if step.name == "EXPOSE"]
    of_checks = re.findall(r"127\.0\.0\.1:(\d+)/", "".join(map(written, ("Dockerfile", "compose.yaml"))))
    of_proxies = re.findall(r"tertulia-[ab]:(\d+)", "".join(map(written, ("Caddyfile", "nginx.conf"))))
    of_compose = [port for name in REPLICAS for port in compose()["services"][name]["expose"]]
    (container,) = manifest("Deployment")["spec"]["template"]["spec"]["containers"]
    (pod,) = container["ports"]
    scraped = manifest("Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]
    assert {exposed, *of_checks, *of_proxies, *of_compose, str(pod["containerPort"]), scraped} == {str(PORT)}
    assert {service["targetPort"] for service in manifest("Service")["spec"]["ports"]} == {pod["name"]}
    assert {probe["port"] for probe in values("httpGet", KUBERNETES / "deployment.yaml")} == {pod["name"]}
    assert manifest("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == pod["name"]


def test_proxies_name_the_replicas_of_compose_and_close_idle_connections_first() -> None:
    for name in ("Caddyfile", "nginx.conf"):
        text = written(name)
        assert set(re.findall(r"tertulia-[a-z]+(?=:)", text)) == set(REPLICAS) <= set(compose()["services"])
        (idle_seconds,) = re.findall(r"^\s*keepalive(?:_timeout)? (\d+)s", text, re.MULTILINE)
        assert float(idle_seconds) < _config(None).timeout_keep_alive
        assert not re.search(r"^\s*(encode|gzip on)", text, re.MULTILINE)


def test_every_image_is_pinned_and_tertulias_has_the_projects_version() -> None:
    images = [*values("image", DEPLOY / "compose.yaml")]
    images += [step.text.partition("=")[2] for step in dockerfile()[0] if step.name == "ARG"]
    ours = "${IMAGE:-tertulia:" + PROJECT["project"]["version"] + "}"
    others = {image for image in images if image != ours}
    assert ours in images
    assert [image for image in others if not re.fullmatch(r"[a-z]+:\d[\w.]*-[a-z][\w-]*", image)] == []
    label = next(step.text for step in dockerfile()[-1] if step.name == "LABEL")
    assert f'version="{PROJECT["project"]["version"]}"' in label
    (placed,) = documents(KUBERNETES / "kustomization.yaml")[0]["images"]
    assert placed["newTag"] == PROJECT["project"]["version"]
    assert set(values("image", KUBERNETES / "deployment.yaml")) == {placed["name"]}


def test_migrations_run_once_before_the_replicas() -> None:
    services = compose()["services"]
    assert services["migrate"]["command"] == ["migrate"]
    conditions = [services[name]["depends_on"]["migrate"]["condition"] for name in REPLICAS]
    assert conditions == ["service_completed_successfully"] * 2
    (first,) = manifest("Deployment")["spec"]["template"]["spec"]["initContainers"]
    assert first["args"] == ["migrate"]


def test_the_example_has_every_variable_that_compose_requires() -> None:
    text = written("compose.yaml")
    assert set(re.findall(r"\$\{(\w+):\?", text)) <= set(dotenv())
    services = compose()["services"]
    assert {services[name]["env_file"] for name in (*REPLICAS, "migrate")} == {".env"}
    named = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == set(compose()["volumes"])
    assert {name for name in named if name.startswith(".") and not (DEPLOY / name).is_file()} == set()
    public = {name for name, service in services.items() if "ports" in service}
    assert (public, compose()["networks"]["inside"]) == ({"caddy"}, {"internal": True})


def test_every_service_of_compose_has_a_limit_of_its_log_memory_and_processes() -> None:
    for name, service in compose()["services"].items():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert megabytes(service["mem_limit"]) >= 512, name
        assert service["pids_limit"] >= 128, name
    redis = compose()["services"]["redis"]
    (stored,) = [word for word in redis["command"] if "REDIS_MEMORY" in word]
    assert megabytes(redis["mem_limit"]) > 2 * megabytes(stored)


def megabytes(size: str) -> int:
    """Return the default of a size such as `${REDIS_LIMIT:-1280m}`."""
    number, unit = re.findall(r"(\d+)([mg])b?}?$", size)[0]
    return int(number) * {"m": 1, "g": 1024}[unit]


# ---- Kubernetes ------------------------------------------------------------------------------


def test_a_pod_runs_unprivileged_with_a_read_only_file_system() -> None:
    pod = manifest("Deployment")["spec"]["template"]["spec"]
    (user,) = [step.text for step in dockerfile()[-1] if step.name == "USER"]
    bounds = pod["securityContext"]
    assert f"{bounds['runAsUser']}:{bounds['runAsGroup']}" == f"{bounds['fsGroup']}:{bounds['fsGroup']}" == user
    assert (bounds["runAsNonRoot"], bounds["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory"} == set(container["resources"]["limits"])
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/data"}
    enforced = manifest("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


def test_the_service_does_not_set_unknown_settings_in_pods() -> None:
    # A Service NAME sets NAME_PORT and other variables in pods, and the server refuses unknown TERTULIA_... settings.
    assert manifest("Service")["metadata"]["name"] == "tertulia"
    assert manifest("Deployment")["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_every_selector_matches_the_pods_of_the_deployment() -> None:
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifest("Deployment")["spec"]["selector"]["matchLabels"],
        manifest("Service")["spec"]["selector"],
        manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        documents(KUBERNETES / "network-metadata.yaml")[0]["spec"]["podSelector"]["matchLabels"],
    ]
    assert [selector for selector in selectors if selector != labels] == []
    name = manifest("Deployment")["metadata"]["name"]
    assert manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == name
    service = manifest("Ingress")["spec"]["rules"][0]["http"]["paths"][-1]["backend"]["service"]
    assert service == {"name": manifest("Service")["metadata"]["name"], "port": {"name": "http"}}
    sources = manifest("Deployment")["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    secret = documents(KUBERNETES / "secret.example.yaml")[0]
    assert sources == [
        {"configMapRef": {"name": manifest("ConfigMap")["metadata"]["name"]}},
        {"secretRef": {"name": secret["metadata"]["name"]}},
    ]


def test_a_pod_can_reach_the_database_redis_and_a_collector() -> None:
    rules = manifest("NetworkPolicy")["spec"]["egress"]
    anywhere = {port["port"] for rule in rules if "to" not in rule for port in rule["ports"]}
    secret = documents(KUBERNETES / "secret.example.yaml")[0]["stringData"]
    wanted = {urlsplit(secret[name]).port for name in ("DATABASE_URL", "REDIS_URL")}
    wanted |= {int(port) for port in re.findall(r"OTEL_EXPORTER_OTLP_ENDPOINT=http://[\w.]+:(\d+)", OPERATING)}
    assert wanted | {443} <= anywhere
    assert len(wanted) == 3
    assert 53 not in anywhere


def test_the_autoscaler_uses_the_number_of_active_generations() -> None:
    scaling = manifest("HorizontalPodAutoscaler")["spec"]
    metric = scaling["metrics"][0]["pods"]["metric"]["name"]
    (rule,) = documents(KUBERNETES / "prometheus-adapter.yaml")[0]["rules"]["custom"]
    assert metric == "tertulia_generations_active"
    assert rule["seriesQuery"].startswith(metric + "{")
    assert scaling["minReplicas"] > manifest("PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_every_manifest_is_in_the_kustomization_or_says_that_it_is_not() -> None:
    listed = set(documents(KUBERNETES / "kustomization.yaml")[0]["resources"])
    for file in KUBERNETES.glob("*.yaml"):
        aside = re.search(r"[Nn]ot part of kustomization\.yaml", file.read_text(encoding="utf-8")) is not None
        assert (file.name in listed) != (aside or file.name == "kustomization.yaml"), file.name


# ---- the image -------------------------------------------------------------------------------


def sources(stage: list[Step]) -> list[str]:
    return [word for step in stage if step.name == "COPY" and "--from=" not in step.text for word in step.words[:-1]]


def test_the_sources_of_the_image_exist_and_are_not_ignored() -> None:
    copied = [path for stage in dockerfile() for path in sources(stage)]
    assert [path for path in copied if not (ROOT / path).exists() or not is_in_build_context(path)] == []
    linked = {
        str(link.resolve().relative_to(ROOT)) for link in (ROOT / "src" / "tertulia").iterdir() if link.is_symlink()
    }
    assert linked == {"schema", "resolvers", "db"}
    assert linked | {"src", "pyproject.toml", PROJECT["project"]["readme"], "LICENSE"} <= set(copied)


def test_data_secrets_and_history_are_not_in_the_build_context() -> None:
    excluded = [
        ".env",
        "deploy/.env",
        "src/tertulia/server/.env",
        "tertulia.db",
        "db/tertulia.db",
        "tertulia.db-secret",
        ".git/config",
    ]
    excluded += [
        ".venv/bin/python",
        "node_modules/x/index.js",
        "web/app/node_modules/x/index.js",
        "src/tertulia/web/build/index.html",
    ]
    excluded += ["tertulia-attachments/x", "tests/people.py", "src/tertulia/server/__pycache__/app.pyc"]
    assert [path for path in excluded if is_in_build_context(path)] == []
    assert [
        path
        for path in ("src/tertulia/server/app.py", "web/app/src/main.tsx", "db/migrations/env.py")
        if not is_in_build_context(path)
    ] == []


def test_every_downloaded_package_is_pinned_by_hash() -> None:
    run = [step.text for stage in dockerfile() for step in stage if step.name == "RUN"]
    steps = [command.strip() for text in run for command in text.split("&&")]
    installed = [text for text in steps if re.search(r"\bpip\b.* install ", text)]
    assert len(installed) > 3
    assert [
        text for text in installed if "--require-hashes" not in text and not text.endswith("--no-build-isolation .")
    ] == []
    for name in re.findall(r"-r (\S+)", " ".join(installed)):
        pinned = re.findall(r"^[\w.\[\]-]+==\S+.*?(?=^\S|\Z)", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
        assert pinned
        assert [requirement.split()[0] for requirement in pinned if "--hash=sha256:" not in requirement] == []
    assert [text for text in steps if "npm install" in text] == []


@pytest.mark.needs("node")
def test_the_image_has_an_sbom_of_its_page() -> None:
    command = ["node", str(DEPLOY / "page-sbom.mjs")]
    sbom = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "@tertulia/app")
    parts = {component["name"] for component in sbom["components"]}
    versions = {(component["name"], component["version"]) for component in sbom["components"]}
    # The SBOM lists the dependencies and their own dependencies, but no build or test tools.
    wanted = json.loads((ROOT / "web" / "app" / "package.json").read_text())["dependencies"]
    assert set(wanted) | {"wonka", "scheduler", "graphql"} <= parts
    assert {"vite", "typescript", "vue", "@types/react"} & parts == set()
    assert {(name, version) for name, version in wanted.items() if not version.startswith("file:")} <= versions
    assert [component["name"] for component in sbom["components"] if "licenses" not in component] == []


def test_the_image_runs_as_a_numeric_user_that_is_not_root_and_receives_sigterm() -> None:
    last = dockerfile()[-1]
    (user,) = [step.text for step in last if step.name == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    (command,) = [step.text for step in last if step.name == "RUN"]
    assert re.findall(r"--(?:owner|group)=(\d+)", command) == user.split(":")
    begin = [word for step in last if step.name in ("ENTRYPOINT", "CMD") for word in step.listed]
    assert begin == ["tertulia", "serve", "--host", "0.0.0.0"]
    assert [step.text for step in last if step.name == "STOPSIGNAL"] == ["SIGTERM"]
    names = [step.name for step in last]
    assert names.index("USER") < names.index("ENTRYPOINT")


NOBODY = 10001
MAY_READ = "-all,+dac_read_search"
"""Lets NOBODY read Python and the test's files, which may belong to root, but not write them."""


def as_nobody(folder: Path) -> list[str]:
    """Return a command prefix that runs a program as the image's user, who can write only to `folder`."""
    if os.geteuid() != 0:
        return []
    os.chown(folder, NOBODY, NOBODY)
    kinds = ("--bounding-set", "--inh-caps", "--ambient-caps")
    bounds = [word for kind in kinds for word in (kind, MAY_READ)]
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *bounds]
    if subprocess.run([*prefix, "true"], check=False).returncode == 0:
        return prefix
    # Most containers lack CAP_DAC_READ_SEARCH, and NOBODY could not read the test's files: use root with no capability.
    os.chown(folder, 0, 0)
    return ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.mark.needs("setpriv")
def test_the_images_command_starts_unprivileged_and_exits_on_sigterm(tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    last = dockerfile()[-1]
    variables = " ".join(step.text for step in last if step.name == "ENV").replace("/data", str(data))
    # HOME does not exist, as for a user that the image does not know.
    environment = dict(pair.split("=", 1) for pair in shlex.split(variables)) | {"HOME": "/nonexistent"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    begin = [word for step in last if step.name in ("ENTRYPOINT", "CMD") for word in step.listed]
    command = [*as_nobody(data), *begin[:-1], "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=data, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        with killed_after(process):
            address = next(line.split()[-1] for line in process.stdout if "Chat" in line)
        (check,) = [step.listed for step in last if step.name == "HEALTHCHECK"]
        check_command = [check[0], check[1], check[2].replace(f"http://127.0.0.1:{PORT}", address)]
        assert subprocess.run(check_command, env=environment, check=False).returncode == 0
        with signed(address, register(address, "ada")) as api:
            attachment = api.http.post("/attachments", files={"file": ("report.pdf", pdf("Sales rose."))}).json()["id"]
            assert api.answer("Hello", attachmentIds=[attachment])["__typename"] == "GenerationCompleted"
        process.terminate()
        assert process.wait(60) == 0
        assert subprocess.run(check_command, env=environment, check=False, stderr=subprocess.DEVNULL).returncode == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert {file.name for file in data.iterdir()} >= {"tertulia.db", "tertulia.db-secret", "attachments"}


# ---- proxies ---------------------------------------------------------------------------------


@pytest.mark.needs("caddy")
@pytest.mark.parametrize(("domain", "port"), [("chat.example.com", 443), (None, 80)])
def test_caddy_serves_a_domain_over_tls_and_otherwise_plain_http(domain: str | None, port: int) -> None:
    environment = dict(os.environ) | ({"DOMAIN": domain} if domain else {})
    command = ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    adapted = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    (server,) = adapted["apps"]["http"]["servers"].values()
    assert server["listen"] == [f":{port}"]
    assert [match["host"] for route in server["routes"] for match in route.get("match", []) if "host" in match] == (
        [[domain]] if domain else []
    )
    (upstreams,) = [value for name, value in everything(adapted) if name == "upstreams"]
    assert [match["dial"] for match in upstreams] == [f"{name}:{PORT}" for name in REPLICAS]
    assert [value for name, value in everything(adapted) if name == "flush_interval"] == [-1]


@pytest.mark.needs("systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", written("tertulia.service"), flags=re.MULTILINE)
    (tmp_path / "tertulia.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "tertulia.service")], check=False, capture_output=True, text=True
    )
    # It may also report problems of other units on the machine.
    assert [line for line in done.stderr.splitlines() if "tertulia" in line] == []
