"""The Grafana dashboard of deploy/observability: it has Grafana's schema, its queries are valid, and its labels exist.

Grafana itself is not run. The schema has the parts of "Dashboard JSON model" in Grafana's documentation that the
dashboard uses, and allows no others.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

FILE = Path(__file__).parent.parent / "deploy" / "observability" / "grafana-dashboard.json"
Json = dict[str, Any]
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*"}
WIDTH = 24
"""The columns of Grafana's grid."""


def closed(properties: Json, *optional: str) -> Json:
    """Return the schema of an object with these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT: Json = {"type": "string"}
NAME: Json = {"type": "string", "minLength": 1}
DATASOURCE = closed({"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}})
TARGET = closed({"expr": NAME, "legendFormat": TEXT, "refId": {"type": "string", "pattern": "^[A-Z]$"}})
UNITS = ["bytes", "currencyUSD", "ops", "percentunit", "s", "short"]
DEFAULTS = closed({"unit": {"enum": UNITS}, "min": {"type": "number"}, "max": {"type": "number"}}, "min", "max")
GRID = closed({name: {"type": "integer", "minimum": least} for name, least in (("x", 0), ("y", 0), ("w", 1), ("h", 1))})
PANEL = closed(
    {
        "id": {"type": "integer", "minimum": 1},
        "title": NAME,
        "description": TEXT,
        "type": {"const": "timeseries"},
        "datasource": DATASOURCE,
        "gridPos": GRID,
        "fieldConfig": closed({"defaults": DEFAULTS, "overrides": {"type": "array", "maxItems": 0}}),
        "options": {"type": "object"},
        "targets": {"type": "array", "items": TARGET, "minItems": 1},
    }
)
OF_DATASOURCES = closed(
    {"name": NAME, "label": NAME, "type": {"const": "datasource"}, "query": {"const": "prometheus"}}
)
OF_LABELS = closed(
    {
        "name": NAME,
        "label": NAME,
        "type": {"const": "query"},
        "datasource": DATASOURCE,
        "query": {"type": "string", "pattern": r"^label_values\("},
        "refresh": {"enum": [1, 2]},
        "multi": {"type": "boolean"},
        "includeAll": {"type": "boolean"},
        "allValue": TEXT,
        "current": closed({"text": NAME, "value": {"const": "$__all"}}),
        "sort": {"type": "integer", "minimum": 0, "maximum": 8},
    }
)
SCHEMA = closed(
    {
        "title": NAME,
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "tags": {"type": "array", "items": NAME},
        "time": closed({"from": NAME, "to": NAME}),
        "refresh": {"type": "string", "pattern": "^[0-9]+[smh]$"},
        "templating": closed({"list": {"type": "array", "items": {"anyOf": [OF_DATASOURCES, OF_LABELS]}}}),
        "panels": {"type": "array", "items": PANEL, "minItems": 1},
    }
)


@pytest.fixture(scope="module")
def dashboard() -> Json:
    loaded: Json = json.loads(FILE.read_text())
    return loaded


def queries(dashboard: Json) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_the_dashboard_has_grafanas_schema(dashboard: Json) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [(list(error.instance_path), error.message) for error in validator.iter_errors(dashboard)] == []
    assert not validator.is_valid({**dashboard, "panel": []})


def test_no_two_panels_have_the_same_id_or_place(dashboard: Json) -> None:
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    cells = list[tuple[int, int]]()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= WIDTH, panel["title"]
        rows, columns = range(grid["y"], grid["y"] + grid["h"]), range(grid["x"], grid["x"] + grid["w"])
        cells += [(row, column) for row in rows for column in columns]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]
    assert len(set(cells)) == len(cells)


def test_each_query_is_filtered_by_the_variables_and_names_no_job(dashboard: Json) -> None:
    defined = {f"${variable['name']}" for variable in dashboard["templating"]["list"]}
    for query in queries(dashboard):
        selectors = re.findall(r"\b(?:tertulia|process)_\w+(\{[^}]*\})?", query)
        assert selectors, query
        for selector in selectors:
            assert selector.startswith('{job=~"$job", instance=~"$instance"'), query
        assert set(re.findall(r"\$[a-z]\w*", query)) <= defined, query
    rules = yaml.safe_load(FILE.with_name("alerts.yaml").read_text())
    for text in (*queries(dashboard), json.dumps(rules)):
        assert not re.search(r'job\\?"?=\\?"', text), text


@pytest.mark.needs("promtool")
def test_each_query_is_valid_and_its_legend_has_only_labels_of_its_results(dashboard: Json, tmp_path: Path) -> None:
    rules = list[Json]()
    for number, query in enumerate(queries(dashboard)):
        filled = re.sub("|".join(map(re.escape, VARIABLES)), lambda variable: VARIABLES[variable[0]], query)
        rules.append({"record": f"dashboard:query:{number}", "expr": filled})
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            labels = set(re.findall(r"\w+", grouped[0])) - {"le"} if grouped else {"instance"}
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]
