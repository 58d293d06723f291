"""The budget as its owner reads it: for life and in the window, what composition saves, caps, tables taken back."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from cli_room import Cooperative

if TYPE_CHECKING:
    from pathlib import Path

COUNT = "SELECT region, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits GROUP BY region"


def copied(room: Cooperative, to: Path) -> Cooperative:
    """Return a room of the test's own: what it spends is nobody else's business."""
    shutil.copytree(room.room, to / "room")
    shutil.copytree(room.home, to / "home")
    return Cooperative(to / "room", to / "home", room.files, {})


def test_the_budget_in_words_and_figures(room: Cooperative, tmp_path: Path) -> None:
    own = copied(room, tmp_path)
    file = own.files / "theatre_fleuve.visits.yaml"
    default = "    default_epsilon: 0.2\n"
    capped = file.read_text("utf-8").replace(default, f"{default}    per_party: {{epsilon: 1, window: year}}\n")
    capped = capped.replace("delta: 1e-7, window: never", "delta: 1e-7, window: year")
    (tmp_path / "capped.yaml").write_text(capped, "utf-8")
    assert own("declare", own.room, tmp_path / "capped.yaml").code == 0
    asked = own("query", own.room, "--as", "theatre_fleuve", "--purpose", "audience_overlap", "--epsilon", "0.3", COUNT)
    assert asked.code == 0, asked.err
    english, french = own("budget", own.room, lang="en").out, own("budget", own.room).out
    # A hundred times 0.2 is 20; under composition it is about an eighth of that.
    (hundred,) = re.findall(
        r"a hundred questions of ε = 0\.2 cost a person ε = ([\d.]+), not 20", " ".join(english.split())
    )
    assert 1.5 < float(hundred) < 3
    assert "cent questions de ε = 0,2 coûtent à une personne" in " ".join(french.split())
    assert re.search(r"theatre_fleuve +theatre_fleuve\.visits +1 +a year +\d", english)
    assert "limite d'une partie" in french
    assert "spent, for life" in english
    assert "de toujours" in french
    assert "took back" not in english
    assert own("withdraw", own.room, "theatre_fleuve.visits", "--as", "theatre_fleuve").code == 0
    again = capped.replace("theatre_fleuve.visits", "theatre_fleuve.again")
    (tmp_path / "again.yaml").write_text(again, "utf-8")
    assert own("declare", own.room, tmp_path / "again.yaml").code == 0
    assert "of which ε = 0.3 for tables that their owner took back" in " ".join(
        own("budget", own.room, lang="en").out.split()
    )
    assert own("log", "verify", own.room, "--balances").code == 0
