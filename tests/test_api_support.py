"""The page on the support of the Messages API names everything that the installed SDK can send or receive."""

import tomllib

from messages_api_reference import PAGE, STATUSES, names, problems, write_page


def test_every_name_of_the_sdk_has_a_status_with_a_reason() -> None:
    assert problems() == [], "add them to docs/messages_api_support.toml"


def test_the_page_has_the_names_of_the_installed_sdk() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == write_page(page), "run `make messages-api`"
    assert "not yet" not in page


def test_the_names_cover_requests_answers_errors_and_betas() -> None:
    found = names()
    assert found.keys() == tomllib.loads(STATUSES.read_text(encoding="utf-8")).keys()
    for section, name in (
        ("parameters", "stop_sequences"),
        ("output_blocks", "compaction"),
        ("deltas", "text_delta"),
        ("stop_reasons", "refusal"),
        ("error_codes", "enforced_spend_limit_reached"),
        ("betas", "context-management-2025-06-27"),
    ):
        assert name in found[section]
