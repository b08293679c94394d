"""The sentences of which the simulated Claude's answers consist."""

OPENINGS = ("Happy to help.", "Good question.", "I am glad that you ask.", "Here is what I think.")
THOUGHTS = (
    (
        "Three things matter here:\n\n"
        "1. **Decide** what you want to achieve.\n2. **Try** the smallest step.\n3. **Check** what happened."
    ),
    (
        "A small example explains more than a paragraph:\n\n"
        '```python\ndef greet(name: str) -> str:\n    return f"Hello, {name}!"\n```'
    ),
    (
        "It depends on what you compare it with: *simple* things are easy to change, "
        "and *easy* things are not always simple."
    ),
    "Think of a letter: it belongs to the person who receives it, not to the carrier who delivers it. 📬",
)
NOTE = "_(I am the simulated Claude. Set `ANTHROPIC_API_KEY` to use the real one, or write `/simulate help`.)_"
HELP = (
    "Write `/simulate` followed by one of these: `slow-start 5`, `long 500`, `thinking`, `tool-use`, `call NAME {…}`, "
    "`rounds 3`, `web-search WORDS`, `code`, `pause`, `rate-limit 30`, `overloaded 2`, `server-error`, `error`, `cut`, "
    "`no-stop`, `garbage`, `hang`, `refusal`, `max-tokens`, `unicode`, `markdown`."
)
