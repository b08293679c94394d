"""The pages that the simulated Claude finds with `web_search`, and reads with `web_fetch`.

Source: "Web search tool" and "Web fetch tool" in the Claude API documentation.
"""

import hashlib
import re
from typing import Any
from urllib.parse import urlsplit

from tertulia.json import Json

QUERY = "the simulated Claude"
PAGES = ("First page about", "Second page about")


def found_pages(body: Json, call: Json) -> list[Json]:
    """Return the result of a search."""
    return [_page(body, call, number) for number in range(len(PAGES))]


def citation_of(body: Json, call: Json) -> Json:
    """Return a citation of the first page that a search has found."""
    page = _page(body, call, 0)
    return {
        "type": "web_search_result_location",
        "cited_text": f"Everything about {call['input'].get('query', QUERY)}.",
        "url": page["url"],
        "title": page["title"],
        "encrypted_index": page["encrypted_content"][:32],
    }


def fetched_page(body: Json, call: Json) -> Json:
    """Return the result of reading a page: an error if the request does not allow its domain."""
    url = str(call["input"].get("url", ""))
    if not _is_allowed(_options(body, "web_fetch"), url):
        return {"type": "web_fetch_tool_result_error", "error_code": "url_not_allowed"}
    source = {"type": "text", "media_type": "text/plain", "data": f"The text of {url}."}
    document = {"type": "document", "title": f"The page {url}", "source": source, "citations": None}
    return {"type": "web_fetch_result", "url": url, "content": document, "retrieved_at": "2026-11-01T12:00:00Z"}


def _page(body: Json, call: Json, number: int) -> Json:
    query = str(call["input"].get("query", QUERY))
    return {
        "type": "web_search_result",
        "url": f"https://{_domain(body)}/{'-'.join(re.findall(r'[a-z0-9]+', query.lower())) or 'page'}/{number + 1}",
        "title": f"{PAGES[number]} {query}",
        "encrypted_content": hashlib.sha256(f"{number}{query}".encode()).hexdigest(),
        "page_age": None if number else "November 1, 2026",
    }


def _domain(body: Json) -> str:
    """Return the domain of the pages that a search finds: one that the request allows."""
    options = _options(body, "web_search")
    allowed: list[str] = options.get("allowed_domains") or []
    if allowed:
        return allowed[0].partition("/")[0]
    return "example.com" if _is_allowed(options, "https://example.com/") else "example.org"


def _options(body: Json, name: str) -> Json:
    tools: list[Json] = body.get("tools") or []
    return next((tool for tool in tools if tool["name"] == name), dict[str, Any]())


def _is_allowed(options: Json, url: str) -> bool:
    allowed: list[str] | None = options.get("allowed_domains")
    blocked: list[str] = options.get("blocked_domains") or []
    if any(_matches(domain, url) for domain in blocked):
        return False
    return not allowed or any(_matches(domain, url) for domain in allowed)


def _matches(domain: str, url: str) -> bool:
    """Return whether an address belongs to a domain, whose subdomains are included, and to its path."""
    host, _, path = domain.partition("/")
    parts = urlsplit(url)
    is_host = parts.hostname is not None and f".{parts.hostname}".endswith(f".{host.lower()}")
    return is_host and parts.path.lstrip("/").startswith(path)
