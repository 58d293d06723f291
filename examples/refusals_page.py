"""Write docs/refusals.md from the messages that the room really gives.

python examples/refusals_page.py > docs/refusals.md
"""

from __future__ import annotations

from typing import Final

from cleanroom.query.refusals import MESSAGES

_HEAD: Final = """\
# Why a question is refused · Pourquoi une question est refusée

<!-- Written by examples/refusals_page.py from cleanroom.query.refusals; a test compares. Do not edit. -->

> **En bref.** Un refus nomme sa règle par un code, la place dans le texte quand il y en a une, et souvent ce qui serait
> admis. Il dépend de la question, du catalogue, des règles et des budgets, jamais des données ; il ne coûte rien.

A refusal names its rule by a code, its place in the text if it has one, and often what would be admitted. It depends
on the question, the catalog, the rules and the budgets, never on rows; it costs nothing. The command ends with status
3; in Python `cleanroom.Refused` holds `.refusals`. Words in braces are filled in. A name that is unknown and one that
you may not use read the same.

| code | français | English |
|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    rows = (f"| `{code}` | {_cell(french)} | {_cell(english)} |" for code, (french, english) in MESSAGES.items())
    return _HEAD + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("!r}", "}").replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
