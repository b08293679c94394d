"""The command `tertulia conformance`. It imports the suite when it runs."""

import asyncio
import sys
from typing import Annotated

import typer


def conformance(  # noqa: PLR0913 - one parameter for each option
    url: Annotated[str, typer.Argument(help="The address of a server, or of its GraphQL endpoint.")],
    token: Annotated[
        str | None, typer.Option(envvar="TERTULIA_TOKEN", help="A token, if the server requires sign-in.")
    ] = None,
    other_token: Annotated[
        str | None, typer.Option(help="The token of another user, to check that users are separate.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="A message that Claude answers at length.")] = None,
    stop_prompt: Annotated[
        str | None, typer.Option(help="The same for answers that are stopped; by default --prompt.")
    ] = None,
    unicode_prompt: Annotated[str | None, typer.Option(help="A message that Claude answers with emoji.")] = None,
    tool_prompt: Annotated[
        str | None, typer.Option(help="A message after which Claude calls the tool conformance_color once.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="The longest time in seconds to wait for anything.")] = 60.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a server against the requirements of PROTOCOL.md. It asks Claude about ten times.

    The exit status is 0 if no requirement of the level MUST failed, and 1 otherwise.
    """
    from tertulia.conformance import report
    from tertulia.conformance.run import Prompts
    from tertulia.conformance.suite import Target, check, conforms

    default = Prompts()
    prompts = Prompts(
        long=prompt or default.long,
        stopped=stop_prompt or prompt or default.stopped,
        unicode=unicode_prompt or default.unicode,
        tool=tool_prompt or default.tool,
    )
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://.", param_hint="URL")
    results = asyncio.run(check(Target(url, token, other_token, timeout), prompts))
    typer.echo(report.as_json(url, results) if as_json else report.as_text(url, results))
    sys.exit(0 if conforms(results) else 1)
