"""Plans: which one a viewer has, what it limits, and how a wrong file is reported."""

import logging
import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json, wait_until
from conftest import Staged
from fastapi import FastAPI
from media import image
from people import MODE, register, signed
from running import prepare_database, running, settings, tertulia
from scripted import Gate, says
from starlette.requests import HTTPConnection
from test_command import run_here
from test_settings import refusal

from tertulia import Tertulia, Viewer
from tertulia.ratelimit.plans import Plan, Plans
from tertulia.server.plan_file import read_plans

PLANS = """
[default]
messages = "2/day"
models = ["claude-haiku-5-5"]
tools = []

[pro]
requests = "100/second"
messages = "unlimited"
uploads = "1/day"
concurrent_answers = 3
sockets = 4
monthly_budget_usd = 2.5
daily_tokens = 1_000
tools = ["wh*"]

[broke]
monthly_budget_usd = 0.000001
"""
PLAN = "{ viewer { plan { name models tools } } }"
LIMITS = "{ viewer { limits { name maximum remaining windowSeconds } budget { limitUsd } } }"
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename
  ... on SendMessagePayload { conversation { id model { id default } } }
  ... on InvalidInput { field } ... on Error { message } } }"""
CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) { __typename
  ... on ConversationPayload { conversation { id model { id } } } ... on InvalidInput { field message } } }"""
ROOT = Path(__file__).parent.parent
DEFAULT, PRO = "claude-opus-5-5", "claude-haiku-5-5"


def plan_file(folder: Path, text: str = PLANS) -> str:
    (folder / "plans.toml").write_text(text)
    return str(folder / "plans.toml")


async def authenticate(connection: HTTPConnection) -> Viewer | None:
    """Return the viewer of a token `NAME` or `NAME:PLAN`."""
    sent = connection.headers.get("authorization") or connection.state.connection_init.get("Authorization", "")
    name, _, plan = sent.removeprefix("Bearer ").partition(":")
    return Viewer(name, name, {"plan": plan} if plan else {})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of an application whose tokens name the plan of their user."""
    folder = tmp_path_factory.mktemp("host")
    configured = settings(folder, plans=plan_file(folder), tools=("some_tools",))
    prepare_database(configured.database_url)
    part = Tertulia(configured, authenticate=authenticate)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/", part.app)
    with running(app) as address:
        yield address


def plan_of(api: Api) -> str:
    name: str = api.ask(PLAN)["viewer"]["plan"]["name"]
    return name


def test_a_viewer_has_the_limits_of_the_plan_that_a_claim_names(host: str) -> None:
    with Api(host, "limits:pro") as pro:
        assert pro.ask(PLAN)["viewer"]["plan"] == {"name": "pro", "models": None, "tools": ["wh*"]}
        viewer = pro.ask(LIMITS)["viewer"]
    assert viewer["budget"] == {"limitUsd": "2.5"}
    assert {limit["name"]: (limit["maximum"], limit["windowSeconds"]) for limit in viewer["limits"]} == {
        "requests": (100, 1), "uploads": (1, 86_400), "generations": (3, None), "sockets": (4, None),
        "tokens": (1_000, 86_400),
    }  # fmt: skip


def test_a_viewer_without_a_plan_has_the_default_one_and_what_it_leaves_out_is_the_servers(host: str) -> None:
    with Api(host, "nobody") as nobody:
        assert nobody.ask(PLAN)["viewer"]["plan"] == {"name": "default", "models": [PRO], "tools": []}
        viewer = nobody.ask(LIMITS)["viewer"]
    assert viewer["budget"] is None
    assert {limit["name"]: limit["maximum"] for limit in viewer["limits"]} == {
        "requests": 1_200, "sends": 2, "uploads": 1_000, "generations": 20, "sockets": 50,
    }  # fmt: skip


def test_without_plans_a_viewer_has_none(api: Api) -> None:
    assert api.ask(PLAN)["viewer"]["plan"] is None


def test_each_viewer_is_refused_at_the_limit_of_their_own_plan(host: str) -> None:
    with Api(host, "messages") as default, Api(host, "messages-of-pro:pro") as pro:
        results = [[api.ask(SEND, input={"text": "Hi"})["sendMessage"] for _ in range(3)] for api in (default, pro)]
        assert results[0][2]["__typename"] == "RateLimited"
        assert "At most 2 messages" in results[0][2]["message"]
        assert {result["__typename"] for result in [*results[0][:2], *results[1]]} == {"SendMessagePayload"}
        files = [pro.http.post("/attachments", files={"file": ("a.png", image())}).status_code for _ in range(2)]
        assert files == [201, 429]


def test_a_spent_budget_of_a_plan_refuses_only_its_viewers(host: str) -> None:
    with Api(host, "spent:broke") as broke, Api(host, "spent:pro") as pro:
        broke.answer("Hello")
        assert broke.ask(SEND, input={"text": "Hi"})["sendMessage"]["__typename"] == "BudgetExceeded"
        # The same user, whose plan is now another one.
        assert pro.ask(SEND, input={"text": "Hi"})["sendMessage"]["__typename"] == "SendMessagePayload"


def test_only_the_models_of_a_plan_can_be_used_by_every_way(host: str) -> None:
    with Api(host, "models") as default, Api(host, "models:pro") as pro:
        assert [model["id"] for model in default.ask("{ models { id default } }")["models"]] == [PRO]
        assert default.ask("{ models { default } }")["models"] == [{"default": True}]
        for document, input in ((CREATE, {"model": DEFAULT}), (SEND, {"text": "Hi", "options": {"model": DEFAULT}})):
            (refused,) = default.ask(document, input=input).values()
            assert (refused["__typename"], refused["field"].rpartition(".")[2]) == ("InvalidInput", "model")
            assert refused["message"].rstrip(".").partition(" must be one of ")[2].startswith(PRO)
        assert default.http.post("/chat", json={"message": "Hi", "model": DEFAULT}).status_code == 422
        created = default.ask(CREATE, input={})["createConversation"]["conversation"]
        assert created["model"] == {"id": PRO}
        # The model of a conversation from before, when the viewer had another plan.
        older = pro.ask(CREATE, input={})["createConversation"]["conversation"]
        assert older["model"] == {"id": DEFAULT}
        refused = default.ask(SEND, input={"text": "Hi", "conversationId": older["id"]})["sendMessage"]
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", "options.model")
        sent = default.send("Hi", conversationId=older["id"], options={"model": PRO})
        assert default.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"


def test_an_import_gives_no_model_that_the_plan_lacks(host: str) -> None:
    with Api(host, "exporter:pro") as pro, Api(host, "importer") as default:
        pro.ask(CREATE, input={"title": "Imported"})
        file = pro.http.get("/export").content
        assert default.http.post("/import", files={"file": file}).status_code == 201
        nodes = default.ask("{ conversations { edges { node { model { id } } } } }")["conversations"]["edges"]
    assert nodes == [{"node": {"model": {"id": PRO}}}]


def test_only_the_tools_of_a_plan_are_listed_and_can_be_chosen(host: str) -> None:
    with Api(host, "tools") as default, Api(host, "tools:pro") as pro:
        assert default.ask("{ tools { name } }")["tools"] == []
        assert pro.ask("{ tools { name } }")["tools"] == [{"name": "who"}]
        refused = pro.ask(SEND, input={"text": "Hi", "tools": {"server": ["weather"]}})["sendMessage"]
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", "tools.server[0]")


def names_of(request: Json) -> list[str]:
    return [tool["name"] for tool in request.get("tools", ())]


def test_claude_gets_only_the_tools_of_the_plan_also_for_a_queued_message(staged: Staged, tmp_path: Path) -> None:
    gate = Gate()
    plans = plan_file(tmp_path, '[default]\ntools = ["wh*", "pay"]\nconcurrent_answers = 1\n')
    stage = staged(replace(says("One"), gate=gate), says("Two"), tools=("some_tools",), plans=plans)
    sent = stage.api.send("Hello")
    queued = stage.api.send("And?", conversationId=sent["conversation"]["id"], whenBusy="QUEUE")
    limited = stage.api.ask(SEND, input={"text": "Elsewhere"})["sendMessage"]
    assert limited["__typename"] == "RateLimited"
    assert "At most 1 answers" in limited["message"]
    gate.open.set()
    assert stage.api.follow(queued["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
    assert [names_of(request) for request in stage.claude.requests] == [["pay", "who"]] * 2


@pytest.mark.both
def test_the_tokens_of_a_plan_are_counted_and_limited(staged: Staged, tmp_path: Path) -> None:
    stage = staged(says("Hello"), plans=plan_file(tmp_path, "[default]\ndaily_tokens = 10\n"))
    stage.api.answer("Hello")
    assert stage.api.ask(SEND, input={"text": "Hi"})["sendMessage"]["__typename"] == "BudgetExceeded"
    (limit,) = stage.api.ask(LIMITS)["viewer"]["limits"]
    assert limit == {"name": "tokens", "maximum": 10, "remaining": 0, "windowSeconds": 86_400}


@pytest.mark.both
def test_only_the_assistants_of_a_plan_are_listed_and_answer(tmp_path: Path) -> None:
    folder = tmp_path / "assistants"
    folder.mkdir()
    for name in ("alpha", "default", "zeta"):
        (folder / f"{name}.md").write_text(f"---\nname: {name}\n---\nYou are {name}.")
    plans = "[default]\nassistants = ['zeta', 'alpha']\n[pro]\n[none]\nassistants = []\n"
    configured = settings(tmp_path, plans=plan_file(tmp_path, plans), assistants=str(folder))
    prepare_database(configured.database_url)
    part = Tertulia(configured, authenticate=authenticate)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/", part.app)
    listed = '{ assistants { id isDefault } assistant(id: "default") { id } viewer { plan { assistants } } }'
    with running(app) as address, Api(address, "ada") as ada:
        assert ada.ask(listed) == {
            "assistants": [{"id": "alpha", "isDefault": True}, {"id": "zeta", "isDefault": False}],
            "assistant": None,
            "viewer": {"plan": {"assistants": ["zeta", "alpha"]}},
        }
        assert answering(ada, {"text": "Hi"})["assistant"] == {"id": "alpha"}
        assert answering(ada, {"text": "Hi", "assistantId": "zeta"})["assistant"] == {"id": "zeta"}
        assert answering(ada, {"text": "Hi", "assistantId": "default"})["field"] == "assistantId"
        with Api(address, "ada:pro") as pro:
            made = answering(pro, {"text": "Hi", "assistantId": "default"})
        assert made["assistant"] == {"id": "default"}
        # The plan has changed: the conversation can be read, and not continued.
        read = ada.ask("query ($id: ID!) { conversation(id: $id) { assistant { id } } }", id=made["id"])
        assert read == {"conversation": {"assistant": None}}
        assert answering(ada, {"text": "And?", "conversationId": made["id"]})["field"] == "conversationId"
        with Api(address, "bob:none") as bob:
            assert bob.ask(listed)["assistants"] == []
            assert answering(bob, {"text": "Hi"})["field"] == "assistantId"


def answering(api: Api, input: Json) -> Json:
    """Send a message, and return its conversation or the error."""
    sent: Json = api.ask(
        """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { ... on InvalidInput { field message }
        ... on SendMessagePayload { conversation { id assistant { id } } } } }""",
        input=input,
    )["sendMessage"]
    conversation: Json = sent.get("conversation", sent)
    return conversation


def test_the_operator_assigns_a_plan_which_open_sockets_get_at_once(tmp_path: Path, place: Json) -> None:
    environment = {"TERTULIA_PLANS": plan_file(tmp_path), "DATABASE_URL": place["database_url"]}
    environment |= {"REDIS_URL": place["redis_url"]} if "redis_url" in place else {}
    with tertulia(tmp_path, **place, **MODE, plans=environment["TERTULIA_PLANS"]) as address:
        with signed(address, register(address, "ada")) as ada, ada.socket() as socket:

            def plan_on_socket() -> str:
                socket.subscribe(PLAN, {})
                data = socket.receive()["payload"]["data"]
                assert socket.receive()["type"] == "complete"
                name: str = data["viewer"]["plan"]["name"]
                return name

            assert (plan_of(ada), plan_on_socket()) == ("default", "default")
            said = run_here(tmp_path, "user", "plan", "ada", "pro", **environment).stdout
            assert said == "ada now has the plan pro.\n"
            assert plan_of(ada) == "pro"
            if "redis_url" in place:
                wait_until(lambda: plan_on_socket() == "pro", "the plan of an open socket")
            assert run_here(tmp_path, "user", "plan", "ada", **environment).stdout == "ada has the plan pro.\n"
            assert "ada  password  plan pro" in run_here(tmp_path, "user", "list", **environment).stdout
            run_here(tmp_path, "user", "plan", "ada", "--remove", **environment)
            assert plan_of(ada) == "default"
        refused = run_here(tmp_path, "user", "plan", "ada", "prp", **environment)
        assert refused.exit_code == 2
        assert "PLAN: must be one of default, pro, broke, not 'prp'.\n" in refused.stderr


def test_a_changed_file_of_plans_is_read_again_and_a_broken_one_keeps_the_last_valid_plans(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = Path(plan_file(tmp_path))
    configured = settings(tmp_path, plans=str(file))
    prepare_database(configured.database_url)
    part = Tertulia(configured, authenticate=authenticate)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/", part.app)
    with running(app) as address, Api(address, "ada:pro") as api:

        def budget() -> str:
            limit: str = api.ask(LIMITS)["viewer"]["budget"]["limitUsd"]
            return limit

        assert budget() == "2.5"
        file.write_text(PLANS.replace("monthly_budget_usd = 2.5", "monthly_budget_usd = 7"))
        wait_until(lambda: budget() == "7", "the new budget")
        file.write_text("[pro]\nmesages = 1")
        wait_until(lambda: "The last valid version stays in use." in caplog.text, "a line in the log")
        assert budget() == "7"
        file.write_text("[pro]\nmonthly_budget_usd = 8")
        wait_until(lambda: budget() == "8", "the file after its correction")
    (line,) = [record.getMessage() for record in caplog.records if "last valid" in record.getMessage()]
    assert line.startswith(
        f"TERTULIA_PLANS: {file}, line 2: [pro] has the unknown key 'mesages'; did you mean messages?"
    )


def test_an_assigned_plan_comes_before_that_of_a_claim(tmp_path: Path) -> None:
    configured = settings(tmp_path, plans=plan_file(tmp_path))
    prepare_database(configured.database_url)
    part = Tertulia(configured, authenticate=authenticate)
    app = FastAPI(lifespan=part.lifespan)
    app.mount("/", part.app)
    with running(app) as address, Api(address, "ada:pro") as ada:
        assert plan_of(ada) == "pro"
        environment = {"TERTULIA_PLANS": str(configured.plans), "DATABASE_URL": configured.database_url}
        (user,) = run_here(tmp_path, "user", "list", **environment).stdout.splitlines()
        run_here(tmp_path, "user", "plan", user.split()[1], "broke", **environment)
        assert plan_of(ada) == "broke"


def test_an_unknown_plan_of_a_claim_is_the_default_one_and_is_logged_once(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tertulia.plans")
    with Api(host, "unknown:gold") as api:
        assert [plan_of(api), plan_of(api)] == ["default", "default"]
    assert [record.getMessage() for record in caplog.records] == [
        "TERTULIA_PLANS has no plan 'gold', so its viewers have the plan default"
    ]


@pytest.mark.parametrize(("assigned", "logged"), [("gold", ["gold"]), ("pro", []), ("default", []), (None, [])])
def test_an_assigned_plan_that_the_server_lacks_is_the_default_one_and_is_logged(
    assigned: str | None, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert Plans(GROUPS).of_viewer(assigned, {}).name == ("pro" if assigned == "pro" else "default")
    assert [record.getMessage() for record in caplog.records] == [
        f"TERTULIA_PLANS has no plan {name!r}, so its viewers have the plan default" for name in logged
    ]


def test_at_most_a_hundred_unknown_plans_are_logged_until_the_file_of_plans_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plans = Plans(GROUPS)
    for count in (100, 200):
        for number in range(150):
            plans.of_viewer(f"gold-{number}", {})
        assert len(caplog.records) == count
        plans.replace(Plans(GROUPS))


GROUPS = [Plan(name="max", groups=("vip", "8a1c")), Plan(name="pro"), Plan(name="default", sockets=1)]


@pytest.mark.parametrize(
    ("claim", "claims", "plan"),
    [
        ("groups", {"groups": ["everyone", "8a1c"]}, "max"),
        ("groups", {"groups": ["default", "pro", "vip"]}, "max"),  # the order of the file, not that of the token
        ("groups", {"groups": ["default", "pro", 5, None]}, "pro"),
        ("groups", {"groups": ["max", "vi"]}, "default"),  # only its groups give a plan that has groups
        ("groups", {"groups": "pro"}, "pro"),
        ("groups", {"groups": {"pro": True}}, "default"),
        ("groups", {}, "default"),
        ("realm_access.roles", {"realm_access": {"roles": ["pro"]}}, "pro"),
        ("realm_access.roles", {"realm_access": ["pro"], "roles": ["pro"]}, "default"),
        ("resource_access.chat.example.com.roles", {"resource_access": {"chat.example.com": {"roles": ["pro"]}}}, "pro"),
        ("https://example.com/groups", {"https://example.com/groups": ["pro"]}, "pro"),
    ],
)  # fmt: skip
def test_groups_of_a_claim_give_plans(claim: str, claims: Json, plan: str) -> None:
    assert Plans(GROUPS, claim=claim).of_viewer(None, claims).name == plan


def test_groups_that_the_provider_leaves_out_of_a_token_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    plans = Plans(GROUPS, claim="groups")
    entra = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://example.com"}}}
    assert {plans.of_viewer(None, claims).name for claims in (entra, entra, {"groups": ["others"]})} == {"default"}
    assert [record.getMessage() for record in caplog.records] == [
        (
            "The claim groups is left out of tokens of users with many groups, so they have the plan default. "
            "Let the provider send fewer groups, or roles"
        )
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[pro]\nmesages = 3", "line 2: [pro] has the unknown key 'mesages'; did you mean messages?"),
        ("# c\n\n[free]\nmessages = 1\n[pro]\nmessages = 0", "line 6: [pro] messages must be a number per minute, a rate"),
        ('[pro]\nrequests = "often"', "line 2: [pro] requests must be a number per minute"),
        ("[pro]\nconcurrent_answers = 1.5", "line 2: [pro] concurrent_answers must be a whole number, 1 or more"),
        ("[pro]\nsockets = true", "line 2: [pro] sockets must be a whole number"),
        ("[pro]\nmonthly_budget_usd = 0", "line 2: [pro] monthly_budget_usd must be a number of US dollars above 0"),
        ("[pro]\nmonthly_budget_usd = inf", "line 2: [pro] monthly_budget_usd must be a number of US dollars above 0"),
        ("[pro]\nmodels = []", "line 2: [pro] models must be a list of models, with one or more"),
        ('[pro]\nmodels = ["claude-haiku-5"]', "line 2: got 'claude-haiku-5', but the simulated Claude has no such"),
        ('[pro]\ntools = ["weathr"]', "line 2: tools: must be tools of the server, or patterns; got 'weathr'"),
        ('[pro]\ntools = "weather"', "line 2: [pro] tools must be a list of tools"),
        ("[pro]\nassistants = [1]", "line 2: [pro] assistants must be a list of assistants"),
        ('[pro]\nassistants = ["sales"]', "line 2: assistants: must be assistants of TERTULIA_ASSISTANTS; got 'sales'"),
        ("[pro]\ngroups = []", "line 2: [pro] groups must be a list of values of TERTULIA_PLAN_CLAIM, with one or more"),
        ('[default]\ngroups = ["a"]', "line 2: [default] has no groups: all users without another plan have it."),
        ('["a b"]\nmessages = 1', "line 1: the name of a plan must be 1 to 64 letters"),
        ("messages = 1", "line 1: messages must be in the table of a plan, such as [pro]"),
        ("[pro", "must be a TOML file with a table for each plan, such as [pro]:"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_plans_is_reported_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    plan_file(tmp_path, text)
    if "no such" in says:  # which only Claude's API knows
        done: Any = run_here(tmp_path, "doctor", TERTULIA_PLANS="plans.toml")
        assert f"wrong  TERTULIA_PLANS: plans.toml, {says}" in done.output
        return
    assert f"TERTULIA_PLANS: plans.toml{', ' if says.startswith('line') else ': '}{says}" in refusal(
        tmp_path, TERTULIA_PLANS="plans.toml"
    )


def test_a_plan_may_have_only_models_that_the_server_allows(tmp_path: Path) -> None:
    plan_file(tmp_path, f'[pro]\nmodels = ["{PRO}", "claude-sonnet-5-5"]')
    line = refusal(tmp_path, TERTULIA_PLANS="plans.toml", TERTULIA_MODELS=PRO)
    assert "plans.toml, line 2: models: must be models of TERTULIA_MODELS: claude-haiku-5-5, claude-opus-5-5;" in line
    assert "'plans.yaml'; must be a TOML file" in refusal(tmp_path, TERTULIA_PLANS="plans.yaml")


def test_the_plans_of_the_docs_are_accepted(tmp_path: Path) -> None:
    texts = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "plans.md").read_text(), re.DOTALL)
    assert [list(read_plans(plan_file(tmp_path, text))) for text in texts] == [["default", "pro"], ["max", "pro"]]
