"""Operators: who is one, and that nobody else reads or changes anything of `admin`."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from client import WAIT, Api, Json, wait_until
from fastapi import FastAPI
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, get_named_type, is_required_argument
from people import MODE, PASSWORD, post, register, signed
from running import execute, running, settings, tertulia
from starlette.requests import HTTPConnection
from test_command import run_here
from test_websocket import closing

from tertulia import Tertulia, Viewer
from tertulia.cli import users
from tertulia.schema.root import schema
from tertulia.server import services
from tertulia.server.auth.roles import TokenRoles
from tertulia.server.setting_report import describe_settings
from tertulia.server.settings import Settings, variable_name

CORE: Any = schema.core
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"w" * 32).decode()
URL_SECRET = "user:url-secret"
ROLES = "{ viewer { id roles } admin { users { edges { node { name role disabledAt } } } } }"
CREATE_TOKEN = 'mutation { createPersonalToken(label: "t") { ... on CreatePersonalTokenPayload { token } } }'
NO_ROLE: Json = {"viewer": {"roles": []}, "admin": None}


def roles(api: Api) -> Json:
    seen = api.ask(ROLES)
    del seen["viewer"]["id"]
    return seen


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Json]:
    """A server with the accounts `olga`, who is an operator, and `ada`, who is not."""
    folder = tmp_path_factory.mktemp("operators")
    (folder / "plans.toml").write_text("[guest]\n[pro]\n")
    (folder / "hooks.yaml").write_text(
        f"- {{url: 'http://127.0.0.1:9/', name: crm, secret: {WEBHOOK_SECRET}, events: [message.rated], allow_private: true}}\n"
    )
    (folder / "assistants").mkdir()
    (folder / "assistants" / "sales.md").write_text("---\nname: Sales\n---\nSell the xylophone.\n")
    configured = settings(folder)
    files = {"plans": "plans.toml", "webhooks": "hooks.yaml", "assistants": "assistants"}
    more = {name: str(folder / file) for name, file in files.items()}
    with tertulia(
        folder,
        **MODE,
        **more,
        guests=True,
        operators_may_read=True,
        anthropic_base_url=f"http://{URL_SECRET}@127.0.0.1:9/v1?k={URL_SECRET}",
    ) as address:
        tokens = {name: register(address, name) for name in ("olga", "ada")}
        asyncio.run(users.set_role(configured, "olga", "operator"))
        yield {"address": address, "folder": folder, "database_url": configured.database_url, **tokens}


@pytest.fixture
def olga(place: Json) -> Generator[Api]:
    with signed(place["address"], place["olga"]) as api:
        yield api


@pytest.fixture
def ada(place: Json) -> Generator[Api]:
    with signed(place["address"], place["ada"]) as api:
        yield api


def test_only_a_user_with_the_role_is_an_operator(olga: Api, ada: Api) -> None:
    seen = olga.ask(ROLES)
    assert seen["viewer"]["roles"] == ["operator"]
    assert {"name": "olga", "role": "operator", "disabledAt": None} in [
        edge["node"] for edge in seen["admin"]["users"]["edges"]
    ]
    assert roles(ada) == NO_ROLE


def test_a_guest_and_an_operators_personal_token_are_no_operators(place: Json, olga: Api) -> None:
    token = olga.ask(CREATE_TOKEN)["createPersonalToken"]["token"]
    with (
        Api(place["address"], token) as script,
        signed(place["address"], post(place["address"], "guest").json()) as guest,
    ):
        assert roles(script) == NO_ROLE
        assert roles(guest) == NO_ROLE
        name = guest.ask("{ viewer { name } }")["viewer"]["name"]
    refused = run_here(place["folder"], "user", "role", name, "operator", DATABASE_URL=place["database_url"])
    assert refused.exit_code == 2
    assert "guests have no roles" in refused.output


def test_the_only_user_of_a_local_server_is_an_operator(api: Api) -> None:
    assert roles(api)["viewer"]["roles"] == ["operator"]


def test_a_role_that_is_removed_is_gone_at_the_next_request(place: Json) -> None:
    def run(*arguments: str) -> str:
        return run_here(place["folder"], "user", *arguments, DATABASE_URL=place["database_url"]).stdout

    with signed(place["address"], register(place["address"], "otto")) as otto:
        assert run("role", "otto", "operator") == "otto now has the role operator.\n"
        assert "otto  password  role operator" in run("list")
        assert roles(otto)["viewer"]["roles"] == ["operator"]
        assert run("role", "otto", "none") == "otto now has no assigned role.\n"
        assert roles(otto) == NO_ROLE


def test_authenticate_can_return_the_role(tmp_path: Path) -> None:
    async def authenticate(connection: HTTPConnection) -> Viewer | None:
        name = connection.headers.get("authorization", "").removeprefix("Bearer ")
        return Viewer(name, name, roles=frozenset({"operator"} if name == "olga" else ()))

    part = Tertulia(settings(tmp_path), authenticate=authenticate)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/", part.app)
    with running(app) as address, Api(address, "olga") as olga, Api(address, "ada") as ada:
        assert roles(olga)["viewer"]["roles"] == ["operator"]
        assert roles(ada) == NO_ROLE


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"roles": "operator"}, {"operator"}),
        ({"roles": ["staff", "operator"]}, {"operator"}),
        ({"roles": ["staff"]}, set()),
        ({"roles": ["operators"]}, set()),
        ({"roles": {"operator": True}}, set()),
        ({"groups": ["operator"]}, set()),
        ({}, set()),
    ],
)
def test_the_claim_of_a_token_gives_the_role(claims: Json, expected: set[str]) -> None:
    assert TokenRoles("roles").of(claims) == expected
    assert TokenRoles("roles", "admins").of(claims) == frozenset()
    assert TokenRoles().of(claims) == frozenset()


def selection(type_: Any, depth: int = 2) -> str:
    """Return a selection of all fields that need no argument."""
    if isinstance(type_, GraphQLUnionType):
        return "{ __typename }"
    if not isinstance(type_, GraphQLObjectType):
        return ""
    chosen = [
        f"{name} {selection(get_named_type(field.type), depth - 1)}"
        for name, field in type_.fields.items()
        if not any(map(is_required_argument, field.args.values()))
        and (depth > 0 or not isinstance(get_named_type(field.type), GraphQLObjectType))
    ]
    return f"{{ __typename {' '.join(chosen)} }}"


@pytest.mark.parametrize("name", sorted(CORE.type_map["Admin"].fields))
def test_a_stranger_reads_no_field_of_admin(ada: Api, name: str) -> None:
    field = CORE.type_map["Admin"].fields[name]
    arguments = "".join(f'{name}: "{"0" * 8}"' for name, value in field.args.items() if is_required_argument(value))
    document = (
        f"{{ admin {{ {name} {f'({arguments})' if arguments else ''} {selection(get_named_type(field.type))} }} }}"
    )
    assert ada.ask(document) == {"admin": None}


@pytest.mark.parametrize("name", [name for name in CORE.mutation_type.fields if name.startswith("admin")])
def test_a_stranger_calls_no_mutation_of_operators(place: Json, ada: Api, olga: Api, name: str) -> None:
    field = CORE.mutation_type.fields[name]
    id = olga.ask("{ viewer { id } }")["viewer"]["id"]
    arguments = ", ".join(f'{name}: "{id}"' for name, value in field.args.items() if is_required_argument(value))
    document = f"mutation {{ done: {name}{f'({arguments})' if arguments else ''} {{ __typename }} }}"
    assert ada.ask(document) == {"done": {"__typename": "Forbidden"}}
    assert olga.ask("{ viewer { roles } }")["viewer"]["roles"] == ["operator"]


def _reachable(start: list[Any], skipped: set[str]) -> set[str]:
    """Return the names of the types that fields of these types lead to, without the fields in `skipped`."""
    names: set[str] = set()
    while start:
        type_ = get_named_type(start.pop())
        if type_.name in names:
            continue
        names.add(type_.name)
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            start += [field.type for name, field in type_.fields.items() if f"{type_.name}.{name}" not in skipped]
        if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
            start += CORE.get_possible_types(type_)
    return names


def test_types_of_operators_are_reached_only_through_their_fields() -> None:
    mutations = {f"Mutation.{name}" for name in CORE.mutation_type.fields if name.startswith("admin")}
    roots = [CORE.query_type, CORE.mutation_type, CORE.subscription_type]
    reached = _reachable(roots, {"Query.admin", *mutations})
    assert [name for name in CORE.type_map if name.startswith("Admin") and name in reached] == []


CHANGED = {
    "adminSignOutUser": "... on AdminSignedOutUser { user { name signIns { id } personalTokens { label } } signInCount tokenCount }",
    "adminDeleteUser": "... on AdminDeletedUser { deletedId }",
}
USER = "... on AdminUserPayload { user { name plan disabledAt } }"


def change(api: Api, name: str, id: str, arguments: str = "") -> Json:
    selected = f"__typename ... on Error {{ message }} {CHANGED.get(name, USER)}"
    document = f"mutation ($id: ID!) {{ done: {name}(id: $id {arguments}) {{ {selected} }} }}"
    changed: Json = api.ask(document, id=id)["done"]
    return changed


def audited(place: Json, action: str, user: str) -> list[Json]:
    """Return the details of a user's entries in the audit log."""
    statement = f"SELECT detail FROM audit WHERE action = '{action}' AND user_id = '{user.replace('-', '')}'"
    return [json.loads(detail) for (detail,) in execute(place, statement)]


def test_an_operator_assigns_a_plan(place: Json, olga: Api, ada: Api) -> None:
    id = ada.ask("{ viewer { id } }")["viewer"]["id"]
    assert olga.ask("{ admin { plans } }")["admin"]["plans"] == ["default", "guest", "pro"]
    assert change(olga, "adminSetUserPlan", id, ', plan: "pro"')["user"]["plan"] == "pro"
    assert ada.ask("{ viewer { plan { name } } }")["viewer"]["plan"] == {"name": "pro"}
    assert olga.ask('{ admin { users(filter: {plan: "pro"}) { edges { node { name } } } } }')["admin"]["users"] == {
        "edges": [{"node": {"name": "ada"}}]
    }
    assert change(olga, "adminSetUserPlan", id)["user"]["plan"] is None
    refused = change(olga, "adminSetUserPlan", id, ', plan: "prp"')
    assert refused == {"__typename": "InvalidInput", "message": "`plan` must be one of default, guest, pro."}
    (first, second) = audited(place, "plan_changed", id)
    assert (first["plan"], second["plan"]) == ("pro", "")
    assert first["operator_name"] == "olga"
    assert first["request_id"]


def test_an_operator_disables_signs_out_and_deletes_a_user(place: Json, olga: Api) -> None:
    address = place["address"]
    with signed(address, register(address, "dora")) as dora, dora.socket() as socket:
        id = dora.ask("{ viewer { id } }")["viewer"]["id"]
        dora.ask(CREATE_TOKEN)
        running = dora.send("/simulate hang")["generation"]["id"]
        assert change(olga, "adminDisableUser", id)["user"]["disabledAt"] is not None
        assert closing(socket.connection) == (4403, "Forbidden")
        assert dora.post(ROLES).status_code == 401
        assert execute(place, f"SELECT status FROM generations WHERE id = '{running.replace('-', '')}'") == [
            ("stopped",)
        ]
        assert change(olga, "adminEnableUser", id)["user"]["disabledAt"] is None
    with signed(
        address, post(address, "token", grant_type="password", username="dora", password=PASSWORD).json()
    ) as dora:
        assert dora.ask("{ viewer { name } }")["viewer"] == {"name": "dora"}
        signed_out = change(olga, "adminSignOutUser", id)
        assert (signed_out["signInCount"], signed_out["tokenCount"]) == (1, 0)
        assert signed_out["user"] == {"name": "dora", "signIns": [], "personalTokens": [{"label": "t"}]}
        assert change(olga, "adminSignOutUser", id, ", tokens: true")["tokenCount"] == 1
        assert dora.post(ROLES).status_code == 401
    assert change(olga, "adminDeleteUser", id) == {"__typename": "AdminDeletedUser", "deletedId": id}
    assert change(olga, "adminDeleteUser", id)["__typename"] == "NotFound"
    assert olga.ask("query ($id: ID!) { admin { user(id: $id) { id } } }", id=id) == {"admin": {"user": None}}
    entries = execute(place, f"SELECT action, detail FROM audit WHERE user_id = '{id.replace('-', '')}' ORDER BY id")
    assert [action for action, _ in entries] == [
        *("user_disabled", "user_enabled"),
        *("everything_revoked", "everything_revoked", "user_deleted"),
    ]
    assert {json.loads(detail)["operator_name"] for _, detail in entries} == {"olga"}


ANSWERS = "edges { node { id user { name } modelId status error { code } usage { outputTokens } finishedAt } }"


def test_an_operator_sees_and_stops_answers_without_their_content(place: Json, olga: Api, ada: Api) -> None:
    running = ada.send("/simulate hang\nxylophone")["generation"]["id"]
    failed = ada.send("/simulate error 1 reject\nxylophone")["generation"]["id"]
    ada.follow(failed)
    seen = olga.ask(f"{{ admin {{ answers {{ {ANSWERS} }} failures {{ {ANSWERS} }} overview {{ failureCount }} }} }}")[
        "admin"
    ]
    (answer,), (failure,) = (seen[name]["edges"] for name in ("answers", "failures"))
    assert (answer["node"]["id"], answer["node"]["user"]["name"]) == (running, "ada")
    assert (failure["node"]["id"], failure["node"]["status"]) == (failed, "FAILED")
    assert failure["node"]["error"] == {"code": "INVALID_REQUEST"}
    assert seen["overview"]["failureCount"] == 1
    stop = "mutation ($id: ID!) { adminStopGeneration(id: $id) { __typename ... on AdminGenerationPayload { generation { status } } } }"
    stopped = {"adminStopGeneration": {"__typename": "AdminGenerationPayload", "generation": {"status": "STOPPED"}}}
    assert olga.ask(stop, id=running) == stopped
    assert olga.ask(stop, id=running) == stopped
    assert olga.ask(stop, id=place["ada"]["access_token"])["adminStopGeneration"] == {"__typename": "NotFound"}
    id = ada.ask("{ viewer { id } }")["viewer"]["id"]
    (entry,) = audited(place, "generation_stopped", id)
    assert entry["generation"] == running
    assert olga.ask("query ($id: ID!) { generation(id: $id) { id } }", id=running) == {"generation": None}
    everything = " ".join(f"{name} {selection(get_named_type(field.type))}" for name, field in plain_fields())
    assert "xylophone" not in str(olga.ask(f"{{ admin {{ {everything} }} }}"))


READ = """mutation ($id: ID!, $last: Int, $before: String) { done: adminReadConversation(id: $id) {
  __typename ... on Error { message }
  ... on AdminConversation { id title user { name } messages(last: $last, before: $before) {
    edges { node { role text } } pageInfo { startCursor hasPreviousPage } } } } }"""
TITLE = 'mutation ($id: ID!) { updateConversation(input: { id: $id, title: "Music" }) { __typename } }'


MARIMBA = "/simulate hang\nPlay the marimba"


def stopped_conversation(api: Api, **more: Any) -> str:
    """Return the id of a conversation whose answer was stopped."""
    sent = api.send(MARIMBA, **more)
    api.stop(sent["generation"]["id"])
    return str(sent["conversation"]["id"])


def test_an_operator_reads_a_conversation_and_the_audit_log_says_so(place: Json, olga: Api, ada: Api) -> None:
    id = stopped_conversation(ada)
    ada.ask(TITLE, id=id)
    user = ada.ask("{ viewer { id } }")["viewer"]["id"]
    assert olga.ask("{ admin { mayRead } }") == {"admin": {"mayRead": True}}
    read = olga.ask(READ, id=id, last=1)["done"]
    assert (read["id"], read["title"], read["user"]) == (id, "Music", {"name": "ada"})
    assert read["messages"]["edges"] == [{"node": {"role": "ASSISTANT", "text": ada.messages(id)[-1]["text"]}}]
    before = read["messages"]["pageInfo"]["startCursor"]
    (earlier,) = olga.ask(READ, id=id, last=1, before=before)["done"]["messages"]["edges"]
    assert earlier["node"] == {"role": "USER", "text": MARIMBA}
    entries = audited(place, "conversation_read", user)
    assert [(entry["conversation"], entry["operator_name"]) for entry in entries] == [(id, "olga")] * 2
    assert all(entry["operator"] and entry["request_id"] for entry in entries)
    for unknown in (str(uuid4()), "marimba", user):
        assert olga.ask(READ, id=unknown)["done"]["__typename"] == "NotFound"
    assert ada.ask(READ, id=id)["done"]["__typename"] == "Forbidden"
    assert len(audited(place, "conversation_read", user)) == 2


def test_an_operator_does_not_read_temporary_conversations(place: Json, olga: Api, ada: Api) -> None:
    id = stopped_conversation(ada, temporary=True)
    assert olga.ask(READ, id=id)["done"]["__typename"] == "NotFound"
    assert id not in str(execute(place, "SELECT detail FROM audit"))


def test_an_operator_reads_nothing_if_the_audit_log_cannot_be_written(place: Json, olga: Api, ada: Api) -> None:
    id = stopped_conversation(ada)
    execute(
        place,
        "CREATE TRIGGER full BEFORE INSERT ON audit WHEN NEW.action = 'conversation_read' BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    try:
        response = olga.post(READ, {"id": id})
    finally:
        execute(place, "DROP TRIGGER full")
    assert "marimba" not in response.text
    assert response.json()["errors"]
    assert "marimba" in str(olga.ask(READ, id=id))


def test_operators_read_no_conversation_without_the_setting(api: Api) -> None:
    id = stopped_conversation(api)
    assert api.ask("{ admin { mayRead } }") == {"admin": {"mayRead": False}}
    refused = api.ask(READ, id=id)["done"]
    assert refused["__typename"] == "Forbidden"
    assert "TERTULIA_OPERATORS_MAY_READ" in refused["message"]


def plain_fields() -> list[Any]:
    fields = CORE.type_map["Admin"].fields.items()
    return [(name, field) for name, field in fields if not any(map(is_required_argument, field.args.values()))]


def test_an_operator_sees_what_everybody_has_spent(olga: Api, ada: Api) -> None:
    ada.answer("Hello")
    own = ada.ask("{ viewer { id usage { outputTokens } } }")["viewer"]
    usage = "query ($by: [AdminUsageKey!], $id: ID) { admin { usage(by: $by, userId: $id) { day userName outputTokens requestCount costUsd } } }"
    (row,) = olga.ask(usage, by=["USER", "DAY"], id=own["id"])["admin"]["usage"]
    assert (row["userName"], row["outputTokens"]) == ("ada", own["usage"]["outputTokens"])
    assert olga.ask(usage, by=[])["admin"]["usage"][0]["userName"] is None
    assert olga.ask("{ admin { budgets { period } } }") == {"admin": {"budgets": []}}
    for argument in ('since: "2020-01-01"', 'since: "9999-12-31"', "maxRows: 0", 'userId: "ada"'):
        (error,) = olga.errors(f"{{ admin {{ usage({argument}) {{ day }} }} }}")
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["message"].startswith(f"`{argument.partition(':')[0]}` must be")


def test_an_operator_sees_which_limits_users_hit_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = {**MODE, "rate_limit": "1/day", "sharing": True, "share_limit": "1/day"}

    def hit(address: str, api: Api) -> None:
        assert [api.http.post("/chat", json={"message": "Hello"}).status_code for _ in range(3)][1:] == [429, 429]
        assert [httpx2.get(f"{address}/s/unknown", timeout=WAIT).status_code for _ in range(2)] == [404, 429]

    with tertulia(tmp_path, **mode) as address:
        tokens = {name: register(address, name) for name in ("olga", "ada")}
        asyncio.run(users.set_role(settings(tmp_path), "olga", "operator"))
        with signed(address, tokens["ada"]) as ada:
            hit(address, ada)
            id = ada.ask("{ viewer { id } }")["viewer"]["id"]
    monkeypatch.setattr(services, "HITS_SECONDS", 0.05)
    query = "query ($id: ID) { admin { limitHits(userId: $id) { day limitName userId userName count } } }"
    with tertulia(tmp_path, **mode) as address, signed(address, tokens["olga"]) as olga:

        def counts(**arguments: str) -> Counter[tuple[str | None, ...]]:
            # Over all days, because the test may run at midnight UTC.
            sums = Counter[tuple[str | None, ...]]()
            for hits in olga.ask(query, **arguments)["admin"]["limitHits"]:
                sums[hits["limitName"], hits["userId"], hits["userName"]] += hits["count"]
            return sums

        sends, shares = ("sends", id, "ada"), ("shares", None, None)
        assert counts() == {sends: 2, shares: 1}
        with signed(address, tokens["ada"]) as ada:
            hit(address, ada)
        wait_until(lambda: counts() == {sends: 4, shares: 2})
        assert counts(id=id) == {sends: 4}
        for argument in ('since: "2020-01-01"', 'since: "9999-12-31"', "maxRows: 0", 'userId: "ada"'):
            (error,) = olga.errors(f"{{ admin {{ limitHits({argument}) {{ day }} }} }}")
            assert error["message"].startswith(f"`{argument.partition(':')[0]}` must be")


OPERATIONS = """{ admin { auditDays
  webhooks { name events isConfigured pendingCount deliveredCount failedCount oldestPendingAt disabledAt }
  webhookFailures { id webhook event attempts error createdAt nextAttemptAt } toolServers { name } toolUsage { name }
  assistants { id name modelId tools memory isDefault problem } settings { name value isSet isSecret isDefault } } }"""


def test_an_operator_sees_the_configuration_without_secrets(place: Json, olga: Api) -> None:
    seen = olga.ask(OPERATIONS)["admin"]
    assert (seen["auditDays"], seen["toolServers"]) == (365, [])
    (webhook,) = seen["webhooks"]
    assert (webhook["name"], webhook["events"], webhook["isConfigured"]) == ("crm", ["message.rated"], True)
    settings_by_name = {setting.pop("name"): setting for setting in seen["settings"]}
    assert settings_by_name["TERTULIA_SECRET_KEY"] == {
        "value": None,
        "isSet": True,
        "isSecret": True,
        "isDefault": False,
    }
    assert settings_by_name["ANTHROPIC_BASE_URL"]["value"] == "http://127.0.0.1:9/v1"
    assert settings_by_name["TERTULIA_AUTH"] == {
        "value": "password",
        "isSet": True,
        "isSecret": False,
        "isDefault": False,
    }
    assert settings_by_name["TERTULIA_SHARING"] == {
        "value": "false",
        "isSet": True,
        "isSecret": False,
        "isDefault": True,
    }
    assert settings_by_name["REDIS_URL"] == {"value": None, "isSet": False, "isSecret": False, "isDefault": True}
    assert set(settings_by_name) == {variable_name(field) for field in Settings.model_fields}
    for secret in (MODE["secret_key"], WEBHOOK_SECRET, "url-secret", "xylophone"):
        assert secret not in str(seen)
    (assistant,) = seen["assistants"]
    assert assistant == {
        "id": "sales",
        "name": "Sales",
        "modelId": None,
        "tools": [],
        "memory": False,
        "isDefault": True,
        "problem": None,
    }
    (place["folder"] / "assistants" / "broken.md").write_text("---\nmodle: x\n---\nHi.\n")
    broken = wait_until(lambda: [one for one in olga.ask(OPERATIONS)["admin"]["assistants"] if one["id"] == "broken"])
    assert "broken.md:2" in broken[0]["problem"]


def test_settings_of_every_kind_are_described(tmp_path: Path) -> None:
    chosen = settings(tmp_path, tools=("web_search", len), prices={"m": {"input": 1, "output": 2}})
    values = {setting.name: setting.value for setting in describe_settings(chosen)}
    assert values["DATABASE_URL"] == f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"
    assert values["TERTULIA_TOOLS"] == "web_search, len"
    assert values["TERTULIA_PRICES"] == "1 entries"
    assert values["TERTULIA_CLIENTS_MAY_SET"] == "instructions, model, options, tools"


def test_an_operator_retries_webhooks(place: Json, olga: Api) -> None:
    retry = "mutation ($webhook: String, $id: ID) { adminRetryWebhooks(webhook: $webhook, eventId: $id) { __typename ... on AdminRetriedWebhooks { count } ... on Error { message } } }"
    columns = (
        "id, subscriber, event, owner_id, data, status, attempts, due_at, give_up_at, error, created_at, finished_at"
    )
    moment = "'2026-01-01 00:00:00'"
    id = uuid4()
    execute(
        place,
        f"INSERT INTO outbox ({columns}) VALUES ('{id.hex}', 'gone', 'message.rated', '{uuid4().hex}', '{{}}', 'failed', 5, {moment}, {moment}, 'status 500', {moment}, {moment})",
    )
    (failure,) = olga.ask(OPERATIONS)["admin"]["webhookFailures"]
    assert (failure["id"], failure["webhook"], failure["error"], failure["nextAttemptAt"]) == (
        str(id),
        "gone",
        "status 500",
        None,
    )
    gone = next(one for one in olga.ask(OPERATIONS)["admin"]["webhooks"] if one["name"] == "gone")
    assert (gone["failedCount"], gone["isConfigured"]) == (1, False)
    assert olga.ask(retry, webhook="unknown")["adminRetryWebhooks"]["__typename"] == "InvalidInput"
    assert olga.ask(retry, id=str(uuid4()))["adminRetryWebhooks"]["__typename"] == "NotFound"
    assert olga.ask(retry, id=str(id))["adminRetryWebhooks"] == {"__typename": "AdminRetriedWebhooks", "count": 1}
    assert execute(place, f"SELECT status, attempts FROM outbox WHERE id = '{id.hex}'") == [("pending", 0)]


def test_the_audit_log_names_the_operator(olga: Api, ada: Api) -> None:
    id = ada.ask("{ viewer { id } }")["viewer"]["id"]
    change(olga, "adminSignOutUser", str(uuid4()))
    change(olga, "adminSetUserPlan", id)
    log = "query ($id: ID) { admin { auditLog(first: 1, userId: $id) { edges { node { action user { name } operatorName requestId details address } } } } }"
    ((entry,),) = (page["edges"] for page in olga.ask(log, id=id)["admin"].values())
    node = entry["node"]
    assert (node["action"], node["user"]["name"], node["operatorName"]) == ("plan_changed", "ada", "olga")
    assert (node["details"], node["address"]) == ({"plan": ""}, "127.0.0.1")
    assert node["requestId"]


def test_operators_can_neither_disable_nor_delete_themselves(olga: Api) -> None:
    id = olga.ask("{ viewer { id } }")["viewer"]["id"]
    for name in ("adminDisableUser", "adminDeleteUser"):
        assert change(olga, name, id)["message"].startswith("`id` must not be your own id")
    assert roles(olga)["viewer"]["roles"] == ["operator"]


def test_a_disabled_user_is_signed_out_until_enabled_again(place: Json, olga: Api) -> None:
    address = place["address"]

    def run(*arguments: str) -> str:
        environment = {"DATABASE_URL": place["database_url"], "TERTULIA_AUTH": "password"}
        return run_here(place["folder"], "user", *arguments, **environment).stdout

    with signed(address, register(address, "erin")) as erin:
        token = erin.ask(CREATE_TOKEN)["createPersonalToken"]["token"]
        with Api(address, token) as script:
            assert run("disable", "erin") == "erin is disabled.\n"
            assert erin.post(ROLES).status_code == 401
            assert script.post(ROLES).status_code == 401
            signing_in = post(address, "token", grant_type="password", username="erin", password=PASSWORD)
            assert (signing_in.status_code, signing_in.json()["error"]) == (403, "access_denied")
            listed = olga.ask(ROLES)["admin"]["users"]["edges"]
            assert [edge["node"]["name"] for edge in listed if edge["node"]["disabledAt"]] == ["erin"]
            assert run("enable", "erin") == "erin is enabled.\n"
            assert script.ask("{ viewer { name } }")["viewer"]["name"] == "erin"
            # The sign-ins have ended.
            assert erin.post(ROLES).status_code == 401
