"""The files and figures of docs/guide-company.md are those of this version."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from fences import ROOT, fences
from running import settings

from tertulia.billing.prices import Prices
from tertulia.db.ledger import UNIT
from tertulia.server.plan_file import check_plans
from tertulia.server.settings import Settings, variable_name

PAGE = ROOT / "docs" / "guide-company.md"
OF_COMPOSE = {"DOMAIN", "POSTGRES_PASSWORD"}
TOKENS = {"cache_read_tokens": 5500, "cache_write_tokens": 500, "output_tokens": 500}
MESSAGES = 500 * 20 * 21
IN_CONTAINERS = "/etc/tertulia/plans.toml"


def block(language: str) -> str:
    (found,) = (fence.text for fence in fences(PAGE) if fence.language == language)
    return found


def test_the_settings_and_the_plans_are_accepted(tmp_path: Path) -> None:
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", block("ini"), re.MULTILINE))
    fields = {variable_name(name): name for name in Settings.model_fields}
    assert set(values) - OF_COMPOSE <= set(fields)
    assert values["TERTULIA_PLANS"] == IN_CONTAINERS
    (tmp_path / "plans.toml").write_text(block("toml"))
    values["TERTULIA_PLANS"] = str(tmp_path / "plans.toml")
    chosen = {fields[name]: value for name, value in values.items() if name not in OF_COMPOSE}
    assert set(check_plans(settings(tmp_path, **chosen))) == {"default", "pro"}


def test_the_file_of_plans_is_mounted_in_each_container_that_reads_it() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    override = yaml.safe_load(block("yaml"))["services"]
    assert set(override) == {name for name, service in services.items() if "tertulia" in service["image"]}
    assert {tuple(service["volumes"]) for service in override.values()} == {(f"./plans.toml:{IN_CONTAINERS}:ro",)}


@pytest.mark.parametrize(("model", "digits"), [("haiku", 5), ("sonnet", 4), ("opus", 4)])
def test_the_estimated_cost_follows_from_the_prices(model: str, digits: int) -> None:
    amount = Prices().amount(f"claude-{model}-5-5", TOKENS)
    assert amount is not None
    message = amount * UNIT
    month = (message * MESSAGES).quantize(Decimal(1))
    assert f"| `claude-{model}-5-5` | ${message:.{digits}f} | ${month:,} |" in PAGE.read_text(encoding="utf-8")
