"""Draw deploy/observability/grafana-dashboard.json with data from Prometheus while simulated people use two replicas.

Grafana is not in the package indexes that this project uses, so matplotlib draws the dashboard: its panels, queries,
units and positions, with data from a real Prometheus, which must be on PATH (Debian packages it).

python -m bench.people.dashboard --minutes 6 --users 60 --output docs/pictures/dashboard.png
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import httpx2
import matplotlib as mpl
from matplotlib.figure import Figure

from bench.processes import HERE, free_port

Json = dict[str, Any]
DASHBOARD = HERE.parent / "deploy" / "observability" / "grafana-dashboard.json"
SCRAPE_SECONDS = 5
RATE_INTERVAL = f"{4 * SCRAPE_SECONDS}s"
"""The value of Grafana's $__rate_interval: four scrapes."""
COLUMNS = 24
"""The columns of Grafana's grid."""
ROW_INCHES, COLUMN_INCHES = 0.33, 0.62
COLOURS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9")
GROUND, PANEL, INK = "#111217", "#181b1f", "#ccccdc"
MEGA = 1_048_576
SCALES = {
    "bytes": (MEGA, " MB"),
    "currencyUSD": (1, " $"),
    "ops": (1, "/s"),
    "percentunit": (0.01, " %"),
    "s": (0.001, " ms"),
    "short": (1, ""),
}
"""The divisor and the suffix of each of Grafana's units."""
VARIABLES = {"$__rate_interval": RATE_INTERVAL, "$job": ".*", "$instance": ".*"}
"""The values of the variables in queries: all jobs and replicas."""


def prometheus(folder: Path, targets: Path, port: int) -> "subprocess.Popen[bytes]":
    """Start a Prometheus that scrapes the targets in a file."""
    rules = DASHBOARD.with_name("alerts.yaml")
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {SCRAPE_SECONDS}s}}\nrule_files: ['{rules}']\n"
        f"scrape_configs:\n- job_name: tertulia\n  file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]\n"
    )
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("wb") as log:
        return subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)


def series(port: int, expression: str, begun: float, ended: float) -> list[Json]:
    """Return the time series of a query between two times."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    parameters = {
        "query": expression,
        "start": f"{begun:.0f}",
        "end": f"{ended:.0f}",
        "step": str(SCRAPE_SECONDS),
    }
    response = httpx2.get(f"http://127.0.0.1:{port}/api/v1/query_range?{urlencode(parameters)}").json()
    result: list[Json] = response["data"]["result"]
    return result


def draw(port: int, begun: float, ended: float, output: Path) -> int:
    """Draw all panels, and return how many have data."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    mpl.use("agg")
    canvas = Figure(figsize=(COLUMNS * COLUMN_INCHES, rows * ROW_INCHES), facecolor=GROUND)
    filled = 0
    for panel in panels:
        grid = panel["gridPos"]
        left, bottom = grid["x"] / COLUMNS, 1 - (grid["y"] + grid["h"]) / rows
        width, height = grid["w"] / COLUMNS, grid["h"] / rows
        axes = canvas.add_axes((left + 0.032, bottom + 0.03, width - 0.042, height - 0.055), facecolor=PANEL)
        filled += _panel(axes, panel, port, begun, ended)
    canvas.savefig(output, dpi=80, facecolor=GROUND)
    return filled


def legend(template: str, labels: Json) -> str:
    """Replace the names in a legend with the values of a series' labels, as Grafana does."""
    return re.sub(r"{{(\w+)}}", lambda found: str(labels.get(found[1], "")), template)


def _panel(axes: Any, panel: Json, port: int, begun: float, ended: float) -> bool:
    divisor, suffix = SCALES[panel["fieldConfig"]["defaults"]["unit"]]
    lines = 0
    for target in panel["targets"]:
        for one in series(port, target["expr"], begun, ended):
            values = (
                [(float(at) - begun) / 60 for at, _ in one["values"]],
                [float(v) / divisor for _, v in one["values"]],
            )
            label = legend(target["legendFormat"], one["metric"])
            axes.plot(*values, color=COLOURS[lines % len(COLOURS)], linewidth=1.2, label=label or "value")
            lines += 1
    axes.set_title(panel["title"], loc="left", color=INK, fontsize=9)
    axes.set_xlim(0, (ended - begun) / 60)
    axes.set_ylim(bottom=0)
    axes.tick_params(colors=INK, labelsize=7, length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}{suffix}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} min")
    axes.grid(color="#2c3235", linewidth=0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    if lines:
        axes.legend(fontsize=6.5, labelcolor=INK, frameon=False, loc="upper left", ncols=3)
    return lines > 0


def main() -> int:
    """Run people on two replicas, and draw the dashboard."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "dashboard.png")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        watching = prometheus(folder, folder / "targets.json", port)
        begun = time.time()
        try:
            load = [sys.executable, "-m", "bench.people", "--setup", "joined", "--replicas", "2"]
            load += ["--users", str(options.users), "--minutes", str(options.minutes), "--think", "6"]
            status = subprocess.run([*load, "--targets", str(folder / "targets.json")], check=False).returncode
            filled = draw(port, begun, time.time(), options.output)
        finally:
            watching.terminate()
            watching.wait()
    print(f"{filled} panels have data. Written: {options.output}")
    return status


if __name__ == "__main__":
    sys.exit(main())
