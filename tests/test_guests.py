"""Guests: users without an account, whose conversations an account takes over."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from client import Api, Json, wait_until
from media import image
from people import MODE, PASSWORD, post, register, signed
from running import execute, settings, tertulia
from test_settings import refusal

PLANS = '[guest]\nmessages = "5/day"\nmodels = ["claude-haiku-5-5"]\n'
LISTED = "{ conversations { edges { node { id title externalId } } } }"
CREATE = """mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
  ... on ConversationPayload { conversation { id } } } }"""
FILTERED = """query ($contains: JSON!) { conversations(filter: {metadata: {contains: $contains}}) {
  edges { node { id } } } }"""
SEARCH = "query ($text: String!) { searchMessages(query: $text) { edges { node { id } } } }"


def serving(folder: Path, place: Json, **more: Any) -> Any:
    (folder / "plans.toml").write_text(PLANS)
    return tertulia(folder, **place, **MODE, plans=str(folder / "plans.toml"), guests=True, **more)


@pytest.fixture
def address(tmp_path: Path, place: Json) -> Generator[str]:
    with serving(tmp_path, place) as address:
        yield address


def enter(address: str) -> Json:
    response = post(address, "guest")
    assert response.status_code == 201, response.text
    tokens: Json = response.json()
    return tokens


def sign_in(address: str, name: str, guest: Json) -> Json:
    form = {"grant_type": "password", "username": name, "password": PASSWORD, "guest_token": guest["access_token"]}
    response = post(address, "token", **form)
    assert response.status_code == 200, response.text
    tokens: Json = response.json()
    return tokens


def found(api: Api, text: str) -> int:
    return len(api.ask(SEARCH, text=text)["searchMessages"]["edges"])


def test_a_guest_can_chat_within_the_plan_of_guests(address: str) -> None:
    with signed(address, enter(address)) as guest:
        viewer = guest.ask("{ viewer { name plan { name } limits { name maximum } } }")["viewer"]
        assert viewer["name"].startswith("guest-")
        assert viewer["plan"] == {"name": "guest"}
        assert {"name": "sends", "maximum": 5} in viewer["limits"]
        assert guest.answer("Hello")["__typename"] == "GenerationCompleted"
        assert guest.try_send("Hi", options={"model": "claude-opus-5-5"})["__typename"] == "InvalidInput"
    with signed(address, enter(address)) as other:
        assert other.ask(LISTED)["conversations"]["edges"] == []


def test_an_address_can_have_twenty_guests_in_an_hour(address: str) -> None:
    assert [post(address, "guest").status_code for _ in range(21)] == [201] * 20 + [429]


@pytest.mark.both
def test_registering_keeps_a_guests_conversations_and_ends_the_guests_tokens(address: str) -> None:
    tokens = enter(address)
    with signed(address, tokens) as guest:
        guest.answer("Hello from a guest")
        form = {"username": "ada", "password": PASSWORD, "guest_token": tokens["refresh_token"]}
        response = post(address, "register", **form)
        assert response.status_code == 201, response.text
        assert guest.post(LISTED).status_code == 401
    with signed(address, response.json()) as ada:
        assert ada.ask("{ viewer { name plan { name } } }")["viewer"] == {"name": "ada", "plan": {"name": "default"}}
        assert len(ada.ask(LISTED)["conversations"]["edges"]) == 1
        assert found(ada, "guest") > 0
    assert post(address, "register", **form).status_code == 400  # no guest any more
    with signed(address, sign_in(address, "ada", tokens)) as ada:
        assert len(ada.ask(LISTED)["conversations"]["edges"]) == 1


@pytest.mark.both
def test_signing_in_moves_everything_of_a_guest_to_the_account_once(address: str, place: Json) -> None:
    own, tokens = register(address, "ada"), enter(address)
    with signed(address, own) as ada, signed(address, tokens) as guest:
        ada.ask(CREATE, input={"title": "Own", "externalId": "order-1"})
        guest.ask(CREATE, input={"title": "Clash", "externalId": "order-1"})
        kept = {"title": "Kept", "externalId": "order-2", "metadata": {"topic": "tea"}}
        moved = guest.ask(CREATE, input=kept)["createConversation"]["conversation"]["id"]
        file = guest.http.post("/attachments", files={"file": ("a.png", image())}).json()["id"]
        guest.answer("Which oolong?", conversationId=moved, attachmentIds=[file])
        used = guest.ask("{ viewer { usage { outputTokens } } }")["viewer"]["usage"]["outputTokens"]
        for _ in range(2):  # the second request is one whose first response was lost
            ada.http.headers["Authorization"] = f"Bearer {sign_in(address, 'ada', tokens)['access_token']}"
            nodes = [edge["node"] for edge in ada.ask(LISTED)["conversations"]["edges"]]
            assert {(node["title"], node["externalId"]) for node in nodes} == {
                ("Own", "order-1"), ("Clash", None), ("Kept", "order-2"),
            }  # fmt: skip
        assert guest.post(LISTED).status_code == 401
        assert ada.ask(FILTERED, contains={"topic": "tea"})["conversations"]["edges"] == [{"node": {"id": moved}}]
        assert found(ada, "oolong") == 1
        assert ada.http.get(f"/attachments/{file}").content == image()
        assert ada.ask("{ viewer { usage { outputTokens } } }")["viewer"]["usage"]["outputTokens"] == used > 0
        assert ada.send("And now?", conversationId=moved)["conversation"]["id"] == moved
    left = "SELECT count(*) FROM conversations WHERE owner_id NOT IN (SELECT id FROM users WHERE name = 'ada')"
    assert execute(place, left) == [(0,)]


def test_a_running_answer_of_a_guest_is_stopped_and_kept(tmp_path: Path, place: Json) -> None:
    with serving(tmp_path, place, simulator_pace=1) as address:
        register(address, "ada")
        tokens = enter(address)
        with signed(address, tokens) as guest:
            sent = guest.send("Hello, tell me a long story")
            guest.wait_for_some(sent["generation"]["id"])
            with signed(address, sign_in(address, "ada", tokens)) as ada:
                document = "query ($id: ID!) { generation(id: $id) { status message { text } } }"
                generation = ada.ask(document, id=sent["generation"]["id"])["generation"]
    assert generation["status"] == "STOPPED"
    assert generation["message"]["text"]


def test_nobody_gets_anything_of_a_user_who_is_not_a_guest(address: str) -> None:
    victim, tokens = register(address, "victim"), enter(address)
    register(address, "ada")
    register(address, "mallory")
    with signed(address, victim) as api, signed(address, tokens) as guest:
        api.ask(CREATE, input={})
        guest.ask(CREATE, input={})
        for token in (victim["access_token"], victim["refresh_token"], "x", tokens["access_token"] + "x"):
            form = {"username": "mallory", "password": PASSWORD, "guest_token": token}
            for path, more in (("token", {"grant_type": "password"}), ("register", {})):
                refused = post(address, path, **(form | more))
                assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        sign_in(address, "ada", tokens)
        with signed(address, sign_in(address, "mallory", tokens)) as mallory:
            assert mallory.ask(LISTED)["conversations"]["edges"] == []
        assert len(api.ask(LISTED)["conversations"]["edges"]) == 1
        wrong = {"grant_type": "password", "username": "ada", "password": "not that one", "guest_token": "x"}
        assert "password is wrong" in post(address, "token", **wrong).json()["error_description"]


@pytest.mark.usefixtures("sweeps")
@pytest.mark.both
def test_guests_who_stay_away_are_deleted_with_everything(tmp_path: Path, place: Json) -> None:
    with serving(tmp_path, place) as address:
        for number in range(2):
            with signed(address, enter(address)) as guest:
                guest.answer(f"Hello {number}")
        register(address, "ada")
    execute(place, "UPDATE users SET created_at = '2020-01-01 00:00:00+00:00'")
    first = "(SELECT min(created_at) FROM conversations)"
    execute(place, f"UPDATE conversations SET updated_at = '2020-01-01 00:00:00+00:00' WHERE created_at = {first}")
    with serving(tmp_path, place):
        users = "SELECT count(*) FROM users"
        wait_until(lambda: execute(place, users) == [(2,)], "the deletion of a guest")
        assert execute(place, "SELECT count(*) FROM conversations") == [(1,)]
        assert execute(place, "SELECT name FROM users WHERE issuer IS NULL") == [("ada",)]


def test_without_the_setting_there_are_no_guests(tmp_path: Path) -> None:
    assert not settings(tmp_path).guests
    with tertulia(tmp_path, **MODE) as address:
        assert post(address, "guest").status_code == 404


def test_guests_need_accounts_and_a_plan(tmp_path: Path) -> None:
    assert "requires TERTULIA_AUTH=password" in refusal(tmp_path, TERTULIA_GUESTS="true")
    line = refusal(tmp_path, TERTULIA_GUESTS="true", TERTULIA_AUTH="password")
    assert "TERTULIA_GUESTS: requires a plan named guest in the file of TERTULIA_PLANS." in line
