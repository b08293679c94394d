"""`searchMessages`: words, phrases and prefixes in any language, ranking, excerpts, highlights and paging."""

import time
import unicodedata
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import Api, Json, wait_until
from conftest import Staged
from hypothesis import given
from hypothesis import strategies as st
from running import execute, tertulia
from scripted import START as BEGINS
from scripted import Reply, end, says, text
from test_long_conversations import chain

from tertulia.db.search import AT_ONCE
from tertulia.db.words import bare_words, terms, words
from tertulia.resolvers.search import passage

SEARCH = """query ($words: String!, $first: Int, $after: String, $last: Int, $before: String) {
  searchMessages(query: $words, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor excerpt score highlights { start end } node { id text conversation { id } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


def search(api: Api, query: str, **more: Any) -> Json:
    connection: Json = api.ask(SEARCH, words=query, **more)["searchMessages"]
    return connection


def texts(api: Api, query: str, **more: Any) -> list[str]:
    return [edge["node"]["text"] for edge in search(api, query, **more)["edges"]]


def highlighted(edge: Json) -> list[str]:
    units = edge["excerpt"].encode("utf-16-le")
    return [
        units[2 * highlight["start"] : 2 * highlight["end"]].decode("utf-16-le") for highlight in edge["highlights"]
    ]


def test_user_messages_are_found_at_once_and_answers_after_their_end(staged: Staged) -> None:
    stage = staged(says("A heron is a wading bird."))
    sent = stage.api.send("What is a heron?")
    assert "What is a heron?" in texts(stage.api, "heron")
    stage.api.follow(sent["generation"]["id"])
    assert sorted(texts(stage.api, "HERON")) == ["A heron is a wading bird.", "What is a heron?"]
    assert texts(stage.api, "wading heron") == ["A heron is a wading bird."]
    assert texts(stage.api, "heron crane") == []


def test_a_phrase_matches_adjacent_words(staged: Staged) -> None:
    stage = staged(says("the night train leaves"))
    stage.api.answer("train at night")
    assert texts(stage.api, '"night train"') == ["the night train leaves"]
    assert texts(stage.api, '"train night"') == []
    assert len(texts(stage.api, "night train")) == 2


def test_a_star_matches_a_prefix(staged: Staged) -> None:
    stage = staged(says("deployments"))
    stage.api.answer("deploy")
    assert len(texts(stage.api, "deploy*")) == 2
    assert texts(stage.api, "deploy") == ["deploy"]
    assert texts(stage.api, "deploym*") == ["deployments"]


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("Die Straße nach Köln", "strasse koln"),
        ("Ça marche très bien", "ca TRES"),
        ("明日は東京へ行きます", "東京"),
        ("我们在北京开会", "北京"),
        ("ฉันรักภาษาไทย", "ภาษา"),
        ("मैं हिन्दी बोलता हूँ", "हिन्दी"),
        ("Привет, мир", "ПРИВЕТ"),
        ("أهلا بالعالم", "بالعالم"),
        ("한국어를 배워요", "한국어"),
        ("권리에 대하여", "권리"),
        (unicodedata.normalize("NFD", "자유에 대하여"), "자유"),
        ("party 😀 time", "😀"),
        ("family 👨‍👩‍👧 and a flag 🇩🇪", "👨‍👩‍👧 🇩🇪"),
        ("well done 👍🏽", "👍"),
        ("שָׁלוֹם עֲלֵיכֶם", "שלום"),
        ("שלום רב", "שָׁלוֹם"),
        ("مُحَمَّد كـــتاب", "محمد كتاب"),
        ("سنة ٢٠٢٤", "2024"),
        ("\uff46\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48 \uff19\uff19", "full 99"),
        ("ﾊﾞﾅﾅ", "バナナ"),
        ("Iş\u0131k İstanbul'da", "isik ISTANBUL"),
        ("Łódź, Ærø", "lodz aero"),
        ("soft\u00adware", "software"),
        ("snake_case and camelCase", "snake_case"),
        ("snake_case and camelCase", "case"),
        ("it costs 42.50 in v1.2.3", '"v1.2.3"'),
        ("it came with v1.2.3", "1.2"),
        ("python3 and gpt4", "python 4"),
        ("C++, C# and .NET", "c# .net c++"),
        ("ask ana.b@example.org at https://example.org/a-b?c=d", "ana.b@example.org example.org/a-b"),
        ("see src/tertulia/db/words.py", "db/words.py"),
        ("don\u2019t re-enter", "don't re-enter"),
    ],
)
def test_words_of_any_language_are_found(api: Api, said: str, query: str) -> None:
    api.send(said)
    assert said in texts(api, query)


@pytest.mark.parametrize(
    ("said", "query", "marked"),
    [
        ("👋 권리에 대하여", "권리", ["권리"]),
        ("a 👨‍👩‍👧 b", "👩", ["👩"]),
        ("🎉 שָׁלוֹם", "שלום", ["שָׁלוֹם"]),
        ("🎉 v1.2.3", "1.2", ["1.2"]),
    ],
)
def test_highlights_count_utf_16_units_in_any_script(api: Api, said: str, query: str, marked: list[str]) -> None:
    api.send(said)
    edges = search(api, query)["edges"]
    assert marked in [highlighted(edge) for edge in edges if edge["node"]["text"] == said]


@pytest.mark.usefixtures("sweeps")
def test_messages_indexed_by_earlier_rules_are_indexed_again_at_the_start(place: dict[str, Any]) -> None:
    with tertulia(Path(), **place) as address, Api(address) as api:
        sent = api.send("권리에 대하여 😀")
        api.follow(sent["generation"]["id"])
        id = UUID(sent["userMessage"]["id"])
    if "postgresql" in place["database_url"]:
        execute(place, f"UPDATE message_words SET words = to_tsvector('simple', 'old') WHERE message_id = '{id}'")
    else:
        execute(place, f"""UPDATE message_words SET words = 'old' WHERE message_words MATCH 'id \\: "{id.hex}"'""")
    execute(place, "DELETE FROM search_rebuilds")
    with tertulia(Path(), **place) as address, Api(address) as api:
        deadline = time.monotonic() + 60
        while "권리에 대하여 😀" not in texts(api, "권리 😀"):
            assert time.monotonic() < deadline
        assert texts(api, "권리").count("권리에 대하여 😀") == 1


@pytest.mark.usefixtures("sweeps")
def test_rebuilding_the_index_covers_all_messages(place: dict[str, Any]) -> None:
    messages = 2 * AT_ONCE + 1
    with tertulia(Path(), **place) as address, Api(address) as api:
        api.http.post("/import", files={"file": ("export", chain(messages))}).raise_for_status()
    execute(place, "DELETE FROM message_words")
    execute(place, "DELETE FROM search_rebuilds")
    with tertulia(Path(), **place) as address, Api(address) as api:
        wait_until(lambda: texts(api, f"Word{messages - 1}") == [f"Word{messages - 1}"])
        assert texts(api, "Word0") == ["Word0"]


def test_the_best_match_comes_first(staged: Staged) -> None:
    stage = staged(says("otter " * 10), says("a long text in which the otter is named once, " + "and more words " * 40))
    stage.api.answer("one")
    stage.api.answer("two")
    edges = search(stage.api, "otter")["edges"]
    assert edges[0]["node"]["text"].startswith("otter otter")
    assert edges[0]["score"] > edges[1]["score"]


def test_an_excerpt_contains_the_best_passage_with_highlighted_matches(staged: Staged) -> None:
    filler = "nothing of interest is written here, " * 30
    stage = staged(says(f"{filler} 👋 the quick Fox met a lazy dog 🎉\nand left. {filler}"))
    stage.api.answer("Write a text")
    (edge,) = search(stage.api, 'fox "lazy dog"')["edges"]
    assert highlighted(edge) == ["Fox", "lazy dog"]
    assert edge["excerpt"].startswith("…")
    assert edge["excerpt"].endswith("…")
    assert len(edge["excerpt"]) < 300
    assert "👋 the quick Fox met a lazy dog 🎉 and left." in edge["excerpt"]


def test_pages_contain_each_match_once(staged: Staged) -> None:
    stage = staged(*(says("marmot " * (1 + number % 3)) for number in range(7)))
    for _ in range(7):
        stage.api.answer("again")
    whole = [edge["node"]["id"] for edge in search(stage.api, "marmot")["edges"]]
    seen: list[str] = []
    after, more = None, True
    while more:
        page = search(stage.api, "marmot", first=2, after=after)
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == whole
    assert len(seen) == 7
    seen, before, more = [], None, True
    while more:
        page = search(stage.api, "marmot", last=2, before=before)
        seen = [edge["node"]["id"] for edge in page["edges"]] + seen
        assert page["pageInfo"]["hasNextPage"] == (before is not None)
        before, more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]
    assert seen == whole
    between = [edge["cursor"] for edge in search(stage.api, "marmot")["edges"]]
    page = search(stage.api, "marmot", after=between[1], before=between[5])
    assert [edge["node"]["id"] for edge in page["edges"]] == whole[2:5]


def test_an_answer_with_more_words_than_the_index_accepts_is_saved(staged: Staged) -> None:
    letters = [chr(0x10330 + number) for number in range(20)]
    many = " ".join("".join(letters[number // 20**power % 20] for power in range(4)) for number in range(120_000))
    stage = staged(says(f"pangolin {many}"))
    assert stage.api.answer("Write a lot")["__typename"] == "GenerationCompleted"
    assert len(texts(stage.api, "pangolin")) == 1


def test_deleted_messages_are_not_found(fresh: Api) -> None:
    sent = fresh.send("wolverine")
    fresh.follow(sent["generation"]["id"])
    fresh.answer("wolverine, kept")
    fresh.ask("mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }", id=sent["conversation"]["id"])
    assert "wolverine" not in texts(fresh, "wolverine")
    assert "wolverine, kept" in texts(fresh, "wolverine")


def test_thinking_and_tools_are_not_searched(staged: Staged) -> None:
    blocks = [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "secretly"}},
        {"type": "content_block_stop", "index": 0},
    ]
    stage = staged(Reply([BEGINS, *blocks, *text("openly", index=1), *end()]))
    stage.api.answer("Say")
    assert texts(stage.api, "secretly") == []
    assert texts(stage.api, "openly") == ["openly"]


@pytest.mark.parametrize(
    "query",
    [
        'a" OR "1',
        "a' & 'b",
        "words:x",
        "owner : *",
        "NEAR(a b)",
        "a AND NOT b",
        "x^2",
        "-x",
        "{a b}",
        "a;--",
        '"',
        "a:*|b",
        "\\'x",
    ],
)
def test_operators_of_the_databases_query_languages_have_no_effect(api: Api, query: str) -> None:
    result = api.post(SEARCH, {"words": query}).json()
    assert all(error["extensions"]["code"] == "BAD_USER_INPUT" for error in result.get("errors", []))


@pytest.mark.parametrize("query", ["", "  ", '""', "*", "?!", "x" * 1001, "a " * 33])
def test_a_query_without_words_or_with_too_many_is_refused_and_the_error_names_it(api: Api, query: str) -> None:
    (error,) = api.errors(SEARCH, words=query)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith("`query` must ")


@pytest.mark.parametrize("more", [{"after": "nonsense"}, {"before": "nonsense"}, {"first": -1}, {"last": 101}])
def test_an_invalid_page_is_refused_and_the_error_names_its_argument(api: Api, more: Json) -> None:
    (error,) = api.errors(SEARCH, words="x", **more)
    assert error["message"].lstrip("`").startswith(next(iter(more)))


def test_an_unused_word_has_no_matches(api: Api) -> None:
    connection = search(api, uuid4().hex)
    assert connection == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@given(said=st.text(max_size=400), pick=st.integers(0, 400))
def test_every_word_of_a_text_is_found_and_highlighted_in_it(said: str, pick: int) -> None:
    all_words = list(words(said))
    assert bare_words(said) == [word.text for word in all_words]
    if not all_words:
        return
    word = all_words[pick % len(all_words)]
    query_terms = terms(said[word.start : word.end])
    excerpt, highlights = passage(said, query_terms)
    units = excerpt.encode("utf-16-le", "surrogatepass")
    assert len(excerpt) <= len(said) + 2
    for highlight in highlights:
        highlighted_text = units[2 * highlight.start : 2 * highlight.end].decode("utf-16-le", "surrogatepass")
        assert [alike.text for alike in words(highlighted_text)] == list(query_terms[0].words)
    assert highlights or len(said) > 240
