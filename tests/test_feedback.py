"""Ratings of answers: who may rate what, within which limits, and where ratings are seen."""

from typing import Any

import pytest
from client import Api, Json
from test_changes import changes

pytestmark = pytest.mark.both

RATING = "rating { rating comment tags updatedAt }"
RATE = f"""mutation ($input: RateMessageInput!) {{ rateMessage(input: $input) {{ __typename
  ... on RatedMessage {{ answer {{ id {RATING} }} }}
  ... on InvalidInput {{ field message }} ... on NotFound {{ id }} }} }}"""
READ = f"query ($id: ID!) {{ node(id: $id) {{ ... on Message {{ {RATING} }} }} }}"
FORK = f"""mutation ($id: ID!) {{ forkConversation(input: {{messageId: $id}}) {{
  ... on ConversationPayload {{ conversation {{ messages {{ edges {{ node {{ {RATING} }} }} }} }} }} }} }}"""


def rate(api: Api, id: str, **more: Any) -> Json:
    rated: Json = api.ask(RATE, input={"messageId": id, **more})["rateMessage"]
    return rated


def answered(api: Api) -> Json:
    sent = api.send("Hello")
    api.follow(sent["generation"]["id"])
    return sent


def exported(api: Api, sent: Json) -> bytes:
    return api.http.get(f"/export/{sent['conversation']['id']}").content


def test_an_answer_is_rated_and_rated_again_and_the_rating_is_removed(api: Api) -> None:
    id = answered(api)["generation"]["message"]["id"]
    assert api.ask(READ, id=id)["node"]["rating"] is None
    first = rate(api, id, rating="BAD", comment="Wrong", tags=["a", "b", "a"])["answer"]["rating"]
    assert (first["rating"], first["comment"], first["tags"]) == ("BAD", "Wrong", ["a", "b"])
    assert api.ask(READ, id=id)["node"]["rating"] == first
    assert rate(api, id, rating="BAD", comment="Wrong", tags=["a", "b"])["answer"]["rating"] == first
    second = rate(api, id, rating="GOOD", comment=" ")["answer"]["rating"]
    assert (second["rating"], second["comment"], second["tags"]) == ("GOOD", None, [])
    assert rate(api, id, rating=None)["answer"]["rating"] is None
    assert api.ask(READ, id=id)["node"]["rating"] is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "rating"),
        ({"rating": None, "comment": "Why"}, "rating"),
        ({"rating": "GOOD", "comment": "x" * 2001}, "comment"),
        ({"rating": "GOOD", "tags": [str(number) for number in range(21)]}, "tags"),
        ({"rating": "GOOD", "tags": ["a", "x" * 51]}, "tags[1]"),
        ({"rating": "GOOD", "tags": [" "]}, "tags[0]"),
    ],
)
def test_a_rating_outside_of_the_limits_is_refused_and_the_field_is_named(api: Api, given: Json, field: str) -> None:
    id = answered(api)["generation"]["message"]["id"]
    assert rate(api, id, **given)["field"] == field
    assert api.ask(READ, id=id)["node"]["rating"] is None


def test_only_answers_can_be_rated(api: Api) -> None:
    assert rate(api, answered(api)["userMessage"]["id"], rating="GOOD")["field"] == "messageId"
    assert rate(api, "nonsense", rating="GOOD") == {"__typename": "NotFound", "id": "nonsense"}


def test_a_rating_is_one_change_and_counted_by_model(fresh: Api) -> None:
    sent = answered(fresh)
    for _ in range(2):
        rate(fresh, sent["generation"]["message"]["id"], rating="GOOD")
    kinds = [change["kind"] for change in changes(fresh, 4)]
    assert kinds == ["CREATED", "GENERATION_STARTED", "GENERATION_ENDED", "UPDATED"]
    export = exported(fresh, sent)
    (imported,) = fresh.http.post(
        "/import", files={"file": ("export", export.replace(b"claude-opus-5-5", b"made-up"))}
    ).json()["conversation_ids"]
    rate(fresh, fresh.messages(imported)[1]["id"], rating="BAD")
    metrics = fresh.http.get("/metrics").text
    for metric in ('model="claude-opus-5-5",rating="good"', 'model="other",rating="bad"'):
        assert f"tertulia_ratings_total{{{metric}}} 1.0" in metrics
    assert "made-up" not in metrics


def test_a_fork_has_no_ratings(api: Api) -> None:
    id = answered(api)["generation"]["message"]["id"]
    rate(api, id, rating="GOOD")
    fork = api.ask(FORK, id=id)["forkConversation"]["conversation"]["messages"]["edges"]
    assert [edge["node"]["rating"] for edge in fork] == [None, None]


def test_ratings_are_exported_and_imported(api: Api) -> None:
    sent = answered(api)
    rated = rate(api, sent["generation"]["message"]["id"], rating="BAD", comment="Wrong", tags=["a"])["answer"]
    markdown = api.http.get(f"/export/{sent['conversation']['id']}", params={"format": "markdown"}).text
    assert "\n_Rated as bad (a): Wrong_\n" in markdown
    export = exported(api, sent)
    imported = api.http.post("/import", files={"file": ("export", export)}).json()["conversation_ids"][0]
    assert api.ask(READ, id=api.messages(imported)[1]["id"])["node"]["rating"] == rated["rating"]
    for old, new in ((b'"tags": ["a"]', b'"tags": [""]'), (b'"rating": "bad"', b'"rating": "so so"')):
        assert old in export
        refused = api.http.post("/import", files={"file": ("export", export.replace(old, new))})
        assert (refused.status_code, "rating" in refused.text) == (422, True), refused.text
