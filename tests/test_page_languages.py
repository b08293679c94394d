"""The page's texts, dates and numbers in all its languages. Needs no browser."""

import re
from functools import cache
from typing import Any

import pytest
from npm import run
from test_page_modules import SOURCE, call

pytestmark = pytest.mark.needs("node", "node_modules")
NAMES = {"Claude", "GraphiQL"}
# Words that are the same in English.
COGNATES = {
    "de": {"Code", "Name", "System", "Tags"},
    "es": {"Error", "General", "Total:"},
    "fr": {
        "Assistant",
        "Code",
        "Conversations",
        "Effort",
        "Message",
        "Messages",
        "Notifications",
        "Source",
        "Versions",
        "messages",
    },
    "pt": {"Total:"},
}
# Plural forms that only multiples of a million have: `other` can stand for them.
FORMS_OF_MILLIONS = {"es": {"many"}, "fr": {"many"}, "pt": {"many"}}

# Versions of the browser's data differ in spaces, and in the digits of Arabic.
PLAIN = str.maketrans("٠١٢٣٤٥٦٧٨٩\u066b\xa0\u202f", "0123456789.  ")


@cache
def catalogs() -> dict[str, Any]:
    """Return what `catalogs.mjs` prints: the page's texts, by language."""
    return dict(run("catalogs.mjs"))


def faults_in(text: dict[str, Any], english: dict[str, Any], language: str, categories: set[str]) -> list[str]:
    """Return what is wrong with a translation."""
    required = categories - FORMS_OF_MILLIONS.get(language, set())
    if "error" in text:
        return [f"it cannot be parsed: {text['error']}"]
    faults = []
    if text["names"] != english["names"]:
        faults.append(f"it has {text['names']}, and the English text has {english['names']}")
    faults += [
        f"it has the plural forms {forms}, and the language has {sorted(categories)}"
        for forms in text["plurals"]
        if not required <= {form for form in forms if not form.startswith("=")} <= categories
    ]
    untranslated = text["words"] == english["words"] and re.search("[A-Za-z]", text["words"])
    if untranslated and language != "en" and text["words"] not in NAMES | COGNATES.get(language, set()):
        faults.append("it is not translated")
    return faults


def test_every_text_is_translated_into_every_language(subtests: pytest.Subtests) -> None:
    languages = catalogs()
    assert languages.keys() == {"ar", "de", "en", "es", "fr", "ja", "pt", "zh"}
    english = languages["en"]["texts"]
    for language, catalog in languages.items():
        with subtests.test(language):
            assert catalog["texts"].keys() == english.keys()
            faults = {
                key: found
                for key, text in catalog["texts"].items()
                if (found := faults_in(text, english[key], language, set(catalog["categories"])))
            }
            assert faults == {}


def test_every_text_gets_its_values() -> None:
    texts = catalogs()["en"]["texts"]
    source = "\n".join(path.read_text() for path in SOURCE.glob("*.ts*"))
    calls = re.findall(r'\bt\("([\w.]+)"(?:, \{((?:[^{}]|\{[^{}]*\})*)\})?\)', source)
    assert len(calls) > len(texts) / 2
    faults = [
        f"{key} needs {value}"
        for key, values in calls
        for value, kind in (name.split(": ") for name in texts[key]["names"])
        if kind != "tag" and not re.search(rf"\b{value}\b", values)
    ]
    assert faults == []


def test_the_best_of_the_browsers_languages_is_chosen() -> None:
    preferred: tuple[list[str], ...] = (["pt-PT", "en"], ["nl", "de-CH", "en"], ["zh-TW"], ["nl"], [])
    assert call(*(("language", "bestLanguage", tags) for tags in preferred)) == ["pt", "de", "zh", "en", "en"]


def test_dates_and_numbers_follow_the_users_region_if_it_writes_the_language() -> None:
    cases = (("en", ["de", "en-GB"]), ("zh-CN", ["zh-TW"]), ("pt-BR", ["en"]))
    assert call(*(("language", "localeFor", *case) for case in cases)) == ["en-GB", "zh-CN", "pt-BR"]


def test_texts_and_amounts_have_the_forms_of_the_language(subtests: pytest.Subtests) -> None:
    expected = {
        "ar": ["نتيجتان", "3 نتائج", "11 نتيجة", "12.3 ألف"],
        "de": ["2 Ergebnisse", "3 Ergebnisse", "11 Ergebnisse", "12.345"],
        "fr": ["2 résultats", "3 résultats", "11 résultats", "12,3 k"],
        "ja": ["2件の結果", "3件の結果", "11件の結果", "1.2万"],
    }
    for language, texts in expected.items():
        counts = (("messages", "t", "sidebar.resultCount", {"count": count}) for count in (2, 3, 11))
        with subtests.test(language):
            _, *results = call(("language", "chooseLanguage", language), *counts, ("messages", "number", 12_345))
            assert [text.translate(PLAIN) for text in results] == texts


def test_durations_prices_and_lists_are_written_in_the_language() -> None:
    _, *results = call(
        ("language", "chooseLanguage", "ja"),
        ("messages", "duration", 65),
        ("messages", "dollars", "0.0123"),
        ("messages", "list", ["a", "b"]),
        ("messages", "forCode", "failure", "OVERLOADED", ""),
    )
    assert results == ["1 分5 秒", "$0.0123", "a、b", "現在、Claude が混み合っています。通常はすぐに解消します。"]


def test_values_and_prices_keep_their_order_within_arabic() -> None:
    _, text, price, day = call(
        ("language", "chooseLanguage", "ar"),
        ("messages", "t", "composer.remove", {"name": "a (1).pdf"}),
        ("messages", "dollars", "1"),
        ("messages", "day", "2026-06-01"),
    )
    assert text == "إزالة \u2068a (1).pdf\u2069"
    assert (price[0], price[-1]) == ("\u2066", "\u2069")
    assert day.translate(PLAIN).replace("\u200f", "") == "01/06/2026"
