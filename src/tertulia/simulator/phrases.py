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
THOUGHT_ABOUT_BREAK = "The user wants to see how my answer breaks off. I will plan it first, then write it."
THOUGHT_ABOUT_REST = "My answer was interrupted. I will look at its end, and continue from there."
BROKEN_SENTENCE = "This answer begins like any other, but it breaks off in the middle of its sentence."
ARTICLE = """\
# Letters, trains and packets 📬

A **message** travels in pieces, and pieces can get lost. The sender wants to know *which* ones, and nothing else.

## Who carries what

1. The post carries paper:
   - letters, in bags of 500
   - parcels
     - up to 2 kg by bicycle 🚲
     - up to 30 kg by van 🚚
2. The railway carries people and freight.
3. The network carries packets of at most 1,500 bytes.

| carrier | unit | lost per million | price |
| :-- | --: | --: | :-- |
| post | letter | 420 | 0,95 € |
| railway | wagon | 3 | depends |
| network | packet | 10,000 | ~ 0 |

## A sender that continues

```python
def resume(pieces: list[str], received: int) -> str:
    # From the first lost piece on.
    if received >= len(pieces):
        return ""  # nothing left: 完了
    return "".join(pieces[received:])
```

> “Curiouser and curiouser!” cried Alice (she was so much surprised, that for the moment she quite forgot how to
> speak good English).

### In other languages

- 中文: 消息分成小块发送。丢失的部分会重新发送。
- 日本語: 途中で切れても、続きから始めます。
- 한국어: 끊긴 곳에서 다시 시작합니다.
- العربية: تستمر الرسالة من حيث توقفت.
- Emoji: 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 𝄞

Two details decide whether it works: `received` counts *pieces*, not bytes, and the last line has no line break. \\
See <https://example.com/letters?from=1&to=2> for the ~~old~~ new rules; H~2~O and x^2^ stay as they are.

---

The letter arrived. ✅"""
HELP = (
    "Write `/simulate` followed by one of these: `slow-start 5`, `long 500`, `thinking`, `tool-use`, `call NAME {…}`, "
    "`rounds 3`, `tool-search WORDS`, `remember TEXT`, `recall`, `web-search WORDS`, `web-fetch URL`, `code`, `file "
    "NAME`, `pause`, `rate-limit 30`, `near-limit 5`, `spend-limit`, `overloaded 2`, `server-error`, `error`, "
    "`api-error`, `cut`, `no-stop`, `garbage`, `hang`, `break-at 120`, `break-thinking`, `break-tool`, `refusal`, "
    "`max-tokens`, `unicode`, `markdown`, `math`, `repeat`."
)
MATH = r"""The roots of \(ax^2 + bx + c = 0\) are:

\[
x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}
\]

| case | roots |
| --- | --- |
| $b^2 > 4ac$ | two |
| $|x| = 0$ | one |

1. A sum:
   $$
   \sum_{k=1}^{n} k = \frac{n(n+1)}{2}
   $$
2. It costs $5 or $10, and `\(x\)` is code:

```latex
\[ E = mc^2 \]
```

An unknown command stays as it is: \(\unknown{x}\)."""
