"""Renders the chart in deploy/helm, in a process of its own: the library is the Go code of Helm. Prints JSON.

Standard input is a JSON list of values. The result is a list with the texts of the templates, by path, or an error.
"""

import json
import sys
from importlib import import_module
from typing import Any

HELM: Any = import_module("helm_python")


def render(chart: str, name: str, values: dict[str, Any]) -> dict[str, str] | str:
    """Return the rendered templates of a release, or what Helm objects to."""
    try:
        with HELM.Chart.load(chart) as loaded:
            return dict(loaded.render(values, name=name, namespace=name))
    except HELM.HelmError as error:
        return str(error)


if __name__ == "__main__":
    chart, name = sys.argv[1:]
    print(
        json.dumps({"lint": HELM.lint(chart), "rendered": [render(chart, name, each) for each in json.load(sys.stdin)]})
    )
