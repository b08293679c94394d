"""The subcommands of `tertulia user` and `tertulia webhooks`. Each imports its modules when it runs."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tertulia.cli.running import prepare_database, print_result, read_settings, refuse

users = typer.Typer(help="Manage accounts, for TERTULIA_AUTH=password.", no_args_is_help=True)

webhooks = typer.Typer(help="Manage the endpoints of TERTULIA_WEBHOOKS.", no_args_is_help=True)

Password = Annotated[
    str | None,
    typer.Option(help="The password. Other users of this machine can see it, so it is safer to be asked for it."),
]


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name that the user signs in with.")],
    password: Password = None,
    *,
    create: Annotated[bool, typer.Option("--create", help="Create the database if it does not exist.")] = False,
) -> None:
    """Add an account. The password is asked for, or read from standard input. If it is empty, one is generated."""
    from tertulia.cli.users import add

    settings = read_settings()
    prepare_database(settings, create=create)
    print_result(add(settings, name, password or _read_password()))


@users.command("password")
def set_password(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    password: Password = None,
) -> None:
    """Set a user's password, and end all their sign-ins."""
    from tertulia.cli.users import change_password

    settings = read_settings()
    prepare_database(settings)
    print_result(change_password(settings, name, password or _read_password()))


@users.command("list")
def list_users() -> None:
    """List all users."""
    from tertulia.cli.users import describe_users

    settings = read_settings()
    prepare_database(settings)
    print_result(describe_users(settings))


@users.command("plan")
def plan_of_user(
    name: Annotated[str, typer.Argument(help="A user's name; `local` with TERTULIA_AUTH=local.")],
    plan: Annotated[str | None, typer.Argument(help="The name of a plan of TERTULIA_PLANS.")] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the assigned plan.")] = False,
) -> None:
    """Assign a plan to a user, instead of the plan of their token or the default plan. Without a plan, print it."""
    from tertulia.cli.users import describe_plan, set_plan

    if plan is not None and remove:
        raise typer.BadParameter("cannot be used with a plan.", param_hint="--remove")
    settings = read_settings()
    prepare_database(settings)
    print_result(describe_plan(settings, name) if plan is None and not remove else set_plan(settings, name, plan))


@users.command("group")
def group_of_user(
    name: Annotated[str, typer.Argument(help="A user's name; `local` with TERTULIA_AUTH=local.")],
    group: Annotated[str | None, typer.Argument(help="The group, such as a department or a cost center.")] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the group.")] = False,
) -> None:
    """Set the group of a user in `tertulia usage --by group`. With TERTULIA_USAGE_GROUP_CLAIM, tokens set it."""
    from tertulia.cli.users import set_group

    if (group is None) == (not remove):
        refuse("group: expected GROUP or --remove.")
    settings = read_settings()
    prepare_database(settings)
    print_result(set_group(settings, name, group))


@users.command("role")
def role_of_user(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    role: Annotated[Literal["operator", "none"], typer.Argument(help="`operator`, or `none` to remove the role.")],
) -> None:
    """Make a user an operator, who may use the console and GraphQL's `admin`, or remove that role."""
    from tertulia.cli.users import set_role

    settings = read_settings()
    prepare_database(settings)
    print_result(set_role(settings, name, None if role == "none" else role))


@users.command("disable")
def disable_user(
    name: Annotated[str | None, typer.Argument(help="A user's name.")] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            help="Instead of NAME, a file with one user on each line: the name, the id at the identity provider, or "
            "the id here; `-` reads standard input. Unknown users are skipped."
        ),
    ] = None,
) -> None:
    """Disable a user: end their sign-ins, and refuse their tokens until `tertulia user enable`. Nothing is deleted."""
    from tertulia.cli.leavers import disable_listed, read_list
    from tertulia.cli.users import CommandError, set_disabled

    if (name is None) == (from_file is None):
        refuse("disable: expected NAME or --from-file.")
    settings = read_settings()
    try:
        listed = [] if from_file is None else read_list(from_file)
    except CommandError as error:
        refuse(str(error))
    prepare_database(settings)
    print_result(disable_listed(settings, listed) if name is None else set_disabled(settings, name, disabled=True))


@users.command("enable")
def enable_user(name: Annotated[str, typer.Argument(help="A user's name.")]) -> None:
    """Enable a user who was disabled. They sign in again; their personal access tokens work again."""
    from tertulia.cli.users import set_disabled

    settings = read_settings()
    prepare_database(settings)
    print_result(set_disabled(settings, name, disabled=False))


@users.command("remove")
def remove_user(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a user and all their data permanently."""
    from tertulia.cli.users import remove

    settings = read_settings()
    prepare_database(settings)
    if not yes:
        typer.confirm(f"Delete {name} with all their conversations, files and bills?", abort=True)
    print_result(remove(settings, name))


@webhooks.command("list")
def list_webhooks() -> None:
    """List the endpoints with the numbers of their events, and the last events that were not delivered."""
    from tertulia.cli.webhooks import list_webhooks as describe_webhooks

    settings = read_settings()
    prepare_database(settings)
    print_result(describe_webhooks(settings))


@webhooks.command("retry")
def retry_webhooks(
    name: Annotated[str | None, typer.Argument(help="The name of an endpoint; by default all.")] = None,
    event: Annotated[str | None, typer.Option(help="The id of one event; by default all.")] = None,
) -> None:
    """Deliver events again that have failed, and those that wait for an attempt. Endpoints are enabled again."""
    from tertulia.cli.webhooks import retry_webhooks as retry

    settings = read_settings()
    prepare_database(settings)
    print_result(retry(settings, name, event))


@webhooks.command("test")
def send_test(
    name: Annotated[
        str | None, typer.Argument(help="The name of an endpoint; not needed if there is only one.")
    ] = None,
) -> None:
    """Send the event `webhook.test` to an endpoint, and print its response."""
    from tertulia.cli.webhooks import send_test as send

    print_result(send(read_settings(), name))


def _read_password() -> str | None:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n") or None
