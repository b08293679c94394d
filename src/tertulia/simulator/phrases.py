"""The simulated Claude's phrases."""

OPENINGS = ("Happy to help.", "Good question.", "Let us look at that together.", "Here is what I think.")
THOUGHTS = (
    (
        "Three things matter here:\n\n"
        "1. **Say** what you want to reach.\n2. **Try** the smallest step.\n3. **Look** at what happened."
    ),
    (
        "A small example says more than a paragraph:\n\n"
        '```python\ndef greet(name: str) -> str:\n    return f"Hello, {name}!"\n```'
    ),
    (
        "It depends on what you compare it with: *simple* things are easy to change, "
        "and *easy* things are not always simple."
    ),
    "Think of a letter: it belongs to whom it was sent to, not to the postman who carries it. 📬",
)
NOTE = "_(I am the simulated Claude. Set `ANTHROPIC_API_KEY` for the real one, or write `/simulate help`.)_"
HELP = (
    "Write `/simulate` and one of: `slow-start 5`, `long 500`, `thinking`, `tool-use`, `call NAME {…}`, "
    "`rounds 3`, `web-search WORDS`, `code`, `pause`, `rate-limit 30`, `overloaded 2`, `server-error`, `error`, `cut`, "
    "`no-stop`, `garbage`, `hang`, `refusal`, `max-tokens`, `unicode`, `markdown`."
)
