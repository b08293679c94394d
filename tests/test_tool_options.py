"""The options of definitions: strict inputs, examples, and streaming of inputs while Claude writes them."""

from pathlib import Path
from typing import Any

import anthropic
import pytest
from client import Json
from pydantic import BaseModel
from test_mcp import written
from test_simulator_tools import WEATHER, ask, claude, refusal, user_message
from test_tool_search import Sized

from tertulia.claude.models import Model
from tertulia.tools.base import ToolOptions
from tertulia.tools.functions import FunctionTool, tool
from tertulia.tools.mcp.config import read_config
from tertulia.tools.registry import ToolRegistry

__all__ = ["claude"]

MODEL = Model("m", "m", default=True, simulated=True)


class Place(BaseModel):
    city: str
    country: str = "Spain"


def weather(place: Place, days: int = 1) -> str:
    """Return the weather forecast."""
    return f"{place.city} {days}"


def anything(value: dict[str, Any]) -> str:
    """Return anything."""
    return str(value)


def test_a_function_sets_the_options_of_its_definition(claude: anthropic.Anthropic) -> None:
    examples = [{"place": {"city": "Cadiz"}, "days": 2}]
    marked = tool(strict=True, input_examples=examples, eager_input_streaming=True)(weather)
    (definition,) = ToolRegistry([FunctionTool(marked)]).of({}, MODEL).definitions
    assert (definition["strict"], definition["input_examples"], definition["eager_input_streaming"]) == (
        True,
        examples,
        True,
    )
    assert definition["input_schema"]["additionalProperties"] is False
    assert ask(claude, user_message("Hello"), tools=[definition]).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (anything, {"strict": True}, "anything: `strict` is not supported, because its schema accepts objects with any keys"),
        (weather, {"input_examples": [{"place": {}}]}, 'weather: the input example {"place":{}} does not match the schema'),
        (weather, {"input_examples": [{"place": {"city": "Cadiz"}, "days": "two"}]}, "'\"two\" is not of type \"integer\"'"[1:-1]),
    ],
)  # fmt: skip
def test_a_function_with_options_that_its_schema_does_not_allow_is_refused(
    function: Any, options: Json, says: str
) -> None:
    tool(**options)(function)
    try:
        with pytest.raises(ValueError, match=r"\w") as refused:
            FunctionTool(function)
    finally:
        tool()(function)
    assert says in str(refused.value)


def test_the_file_of_mcp_servers_sets_options_by_the_names_of_tools(tmp_path: Path) -> None:
    options = {"get_*": {"strict": True, "deferred": False}, "*": {"eagerInputStreaming": True}}
    (config,) = read_config(written(tmp_path, {"m": {"command": "x", "toolOptions": options}})).values()
    assert config.options_of("get_issue") == ToolOptions(deferred=False, strict=True)
    assert config.options_of("other") == ToolOptions(eager_input_streaming=True)
    with pytest.raises(ValueError, match=r'MCP server "m": toolOptions\.\*\.strict: Input should be a valid boolean'):
        read_config(written(tmp_path, {"m": {"command": "x", "toolOptions": {"*": {"strict": 1}}}}))
    with pytest.raises(ValueError, match=r"toolOptions\.\*\.loud: Extra inputs are not permitted"):
        read_config(written(tmp_path, {"m": {"command": "x", "toolOptions": {"*": {"loud": True}}}}))


def test_a_tool_of_an_mcp_server_is_strict_only_if_its_schema_allows_it() -> None:
    closed, open_ = Sized("closed", 1, "m"), Sized("open", 1, "m")
    closed.input_schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    for each in (closed, open_):
        each.options = ToolOptions(strict=True)
    definitions = ToolRegistry(mcp_tools=lambda: [closed, open_]).of({}, MODEL).definitions
    assert [definition.get("strict") for definition in definitions] == [True, None]


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ([{"city": 5}], "tools.0.custom.input_examples.0: Input example does not match the tool's input_schema"),
        (["Cadiz"], "tools.0.custom.input_examples: Input should be a valid list of dictionaries"),
    ],
)
def test_the_simulated_claude_refuses_invalid_examples(claude: anthropic.Anthropic, examples: Any, says: str) -> None:
    assert says in refusal(claude, tools=[WEATHER | {"input_examples": examples}])
