"""Take real purchases through the room, and set every answer beside the truth.

    python examples/cdnow.py FILE [--lang fr|en] [--keep DIRECTORY]

FILE is `CDNOW_master.txt`, Fader and Hardie's research data: 69 659 purchases of 23 570 customers of a music shop,
January 1997 to June 1998 (customer, YYYYMMDD, CDs, dollars); it is no part of this repository. The customers are split
over two shops by a hash of the id: a quarter goes to the first only, a quarter to the second, half to both in turn.

What separates an answer from the truth is told in two parts: the effect of the bounds, the same on every run and found
here by the documented rules, apart from the room; and the noise, which is all that a margin speaks of. Ends with
status 1 when far fewer numbers than there should be are within their margins, the effect of the bounds set apart.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

import cleanroom
from cleanroom.errors import Language
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import upload, views
from examples.story import Story, fewest_plausible

if TYPE_CHECKING:
    import pandas as pd

SHOPS: Final = ("disques_du_port", "disques_du_parc")
OBSERVATOIRE: Final = "observatoire"
FIRST_DAY, LAST_DAY = date(1997, 1, 1), date(1998, 6, 30)
MOST_CDS, MOST_CENTS = 30, 400_00  # of a purchase, as declared
ROWS_SUMMED, ROWS_AVERAGED, MONTHS_IN_FULL = 5, 10, 6  # what one person may weigh
CHANCE: Final = 0.94  # of a number to be within its margin: 95 %, a little less since an average's is approximate

_DECLARATION: Final = f"""\
table: SHOP.purchases
unit: {{name: person, from: email, kind: email}}
columns:
  purchased: {{type: date, range: [{FIRST_DAY}, {LAST_DAY}]}}
  cds: {{type: integer, bounds: [0, {MOST_CDS}]}}
  amount: {{type: decimal, resolution: 0.01, bounds: [0, {MOST_CENTS // 100}], unit: USD}}
limits: {{max_rows_per_person: 400}}
defaults: {{max_rows_contributed: {ROWS_SUMMED}, max_groups_contributed: {MONTHS_IN_FULL}}}
budget: {{epsilon: 20, delta: 1e-7, window: never}}
rules:
  - {{name: shared customers, parties: {{role: member}}, purposes: [audience_overlap], analyses: [overlap],
     functions: [count_persons, sum, avg], dimensions: [], threshold: 20, default_epsilon: 2}}
  - {{name: months of both, parties: [{OBSERVATOIRE}], purposes: [sector_statistics], analyses: [sector], threshold: 20,
     functions: [count_persons, sum], min_parties: 2, dimensions: ["purchased:month"], default_epsilon: 4}}
"""
# The room parses questions; none of this reaches an engine.
_OVERLAP: Final = """\
SELECT COUNT(DISTINCT person) AS persons FROM {here}.purchases JOIN {there}.purchases USING (person)"""
_SHARED: Final = """\
SELECT {what}(amount) AS amount FROM {here}.purchases
WHERE person IN (SELECT person FROM {there}.purchases)"""
_MONTHS: Final = """\
SELECT date_trunc('month', purchased) AS month,
  COUNT(DISTINCT person) AS persons, SUM(cds) AS cds, SUM(amount) AS amount
FROM (SELECT person, purchased, cds, amount FROM {}.purchases
  UNION ALL SELECT person, purchased, cds, amount FROM {}.purchases) AS shops
GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of an answer (NaN where withheld), the truth, and what the bounds leave of the truth."""

    answer: float
    margin: float
    truth: float
    bounded: float

    def near(self, value: float) -> bool:
        """Whether a value is within the margin."""
        return abs(self.answer - value) <= self.margin


def read_purchases(path: Path) -> pl.DataFrame:
    """Return id, purchased, month, cds, cents and shop of each purchase; a line of headings may come first.

    Raises:
        ValueError: the number of the first line that is not as it must be.
    """
    rows: list[tuple[str, date, date, int, int, str]] = []
    turn: dict[str, int] = {}
    for number, line in enumerate(path.read_text("ascii", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields or (number == 1 and not fields[0].isdecimal()):
            continue
        try:
            person, day, cds, dollars = fields
            purchased = datetime.strptime(day, "%Y%m%d").date()  # noqa: DTZ007 -- a day has no zone
            count, cents = int(cds), Decimal(dollars) * 100
            known = person.isdecimal() and FIRST_DAY <= purchased <= LAST_DAY
            if not (known and 0 <= count <= 10**6 and 0 <= cents <= 10**9 and cents == int(cents)):
                raise ValueError
        except (ValueError, InvalidOperation):
            raise ValueError(number) from None
        goes = turn.get(person, hashlib.sha256(person.encode()).digest()[0] % 4)
        turn[person] = goes if goes < 2 else goes ^ 1  # 2 and 3 go to both, in turn
        rows.append((person, purchased, purchased.replace(day=1), count, int(cents), SHOPS[goes % 2]))
    if not rows:
        raise ValueError(1)
    return pl.DataFrame(rows, schema=["id", "purchased", "month", "cds", "cents", "shop"], orient="row")


def cut(purchases: pl.DataFrame) -> pl.DataFrame:
    """Write down to the declared bounds what is beyond, as its shop must: the upload refuses such rows."""
    return purchases.with_columns(pl.col("cds").clip(0, MOST_CDS), pl.col("cents").clip(0, MOST_CENTS))


def by_month(purchases: pl.DataFrame, most: dict[str, int] | None = None, max_groups: int = 1) -> pl.DataFrame:
    """Return each month's persons, cds and cents; given `most` of a person in a month, what the bounds leave of these.

    A person's numbers are cut one by one, then all together to one norm: `max_groups` months in full.
    """
    held = purchases.group_by("id", "month").agg(pl.lit(1.0).alias("persons"), pl.col("cds", "cents").sum())
    if most is not None:
        weight = {name: 16 * max(most.values()) // each for name, each in most.items()}  # as cleanroom/query/bound.py
        norm = sum(max_groups * (weight[name] * most[name]) ** 2 for name in most) ** 0.5
        held = held.with_columns(pl.col(name).clip(upper_bound=each) for name, each in most.items())
        length = pl.sum_horizontal((pl.col(name) * float(each)) ** 2 for name, each in weight.items()).sum().over("id")
        held = held.with_columns(pl.col(*most) * (norm / length.sqrt()).clip(upper_bound=1))
    months = pl.DataFrame({"month": pl.date_range(FIRST_DAY, LAST_DAY, "1mo", eager=True)})
    totals = held.group_by("month").agg(pl.col("persons", "cds", "cents").sum())
    return months.join(totals, on="month", how="left", maintain_order="left").fill_null(0)


def total(values: pl.Series) -> float:
    """Add up a column."""
    return float(values.cast(pl.Float64).sum())


def hand_in(story: Story, room: cleanroom.Room, purchases: pl.DataFrame, directory: Path) -> None:
    """Declare both tables, hand in their rows, and say what the bounds cut."""
    story.chapter("Deux disquaires déposent leurs achats", "Two shops hand in their purchases")
    cents, within, lines, most = pl.col("cents"), cut(purchases), [], MOST_CENTS // 100
    room.add_party(OBSERVATOIRE, Role.OBSERVATOIRE)
    for shop in SHOPS:
        room.add_party(shop, Role.MEMBER)
        room.declare(_DECLARATION.replace("SHOP", shop).encode())
        rows, path = within.filter(pl.col("shop") == shop), directory / f"{shop}.csv"
        email, amount = pl.format("client{}@cdnow.example", "id"), cents.cast(pl.Decimal(12, 2)) / 100
        rows.select(email.alias("email"), "purchased", "cds", amount.alias("amount")).write_csv(path)
        prepared, _ = upload(room, TableName(party_id(shop), "purchases"), path)
        lines.append((shop, story.number(rows["id"].n_unique()), story.number(prepared.rows)))
    story.table(("id", story.words("clients", "customers"), story.words("achats", "purchases")), lines)
    persons = within.group_by("id", "month").agg(cents.sum())
    above = purchases.filter((cents > MOST_CENTS) | (pl.col("cds") > MOST_CDS)).height
    lost = story.percent(1 - total(within["cents"]) / max(total(purchases["cents"]), 1), 2)
    clipped = story.percent(persons.filter(cents > MOST_CENTS).height / persons.height, 2)
    story.say(
        f"Bornes déclarées d'un achat : {MOST_CDS} disques et {most} $. {story.number(above)} achats les dépassent et "
        f"y sont ramenés avant de partir ({lost} de la recette). Par mois, une personne compte pour {most} $ au plus : "
        f"{clipped} des totaux d'une personne et d'un mois sont coupés.",
        f"Declared bounds of a purchase: {MOST_CDS} CDs and ${most}. {story.number(above)} purchases exceed them and "
        f"are brought down to them before they leave ({lost} of the revenue). In a month a person counts for at most "
        f"${most}: {clipped} of the totals of a person and a month are clipped.",
    )


def ask(story: Story, room: cleanroom.Room, party: str, sql: str, rows: int, groups: int = 1) -> pd.DataFrame:
    """Ask, print question and price, and return the answer's table."""
    purpose, epsilon = ("sector_statistics", 4) if party == OBSERVATOIRE else ("audience_overlap", 2)
    told = f"--as {party} --purpose {purpose} --epsilon {epsilon} --max-rows {rows} --max-groups {groups}"
    story.command(f'cleanroom query room {told} \\\n"{sql}"')
    bounds = {"max_rows_contributed": rows, "max_groups_contributed": groups}
    answer = room.session(party).query(sql, purpose=purpose, epsilon=epsilon, **bounds)
    paid = ", ".join(f"{each.account} ε {story.number(each.epsilon, 2)}" for each in answer.cost)
    story.say(f"Prix : {paid}.", f"Price: {paid}.")
    return answer.table


def overlap_and_spending(story: Story, room: cleanroom.Room, purchases: pl.DataFrame) -> list[Figure]:
    """Ask how many customers the shops share, and what these spend at each."""
    story.chapter("Les clients communs, et ce qu'ils dépensent", "Shared customers, and what they spend")
    figures = {}
    for here, there in (SHOPS, SHOPS[::-1]):
        other = purchases.filter(pl.col("shop") == there)
        rows = purchases.filter(pl.col("shop") == here).join(other, on="id", how="semi")
        summed = by_month(cut(rows).with_columns(month=FIRST_DAY), {"cents": MOST_CENTS * ROWS_SUMMED})
        each = cut(rows).group_by("id").agg(pl.len().clip(upper_bound=ROWS_AVERAGED), pl.col("cents").mean())
        mean, spent = total(each["len"] * each["cents"]) / max(total(each["len"]), 1), total(rows["cents"])
        shared = 100.0 * rows["id"].n_unique()
        overlap = [(story.words("clients communs", "shared customers"), _OVERLAP, 1, shared, shared)]
        sums = (f"{here}, SUM", _SHARED, ROWS_SUMMED, spent, total(summed["cents"]))
        means = (f"{here}, AVG", _SHARED, ROWS_AVERAGED, spent / max(rows.height, 1), mean)
        for label, sql, most, true, bounded in (*(overlap if here == SHOPS[0] else ()), sums, means):
            table = ask(story, room, here, sql.format(what=label[-3:], here=here, there=there), most)
            answer, margin = (float(table.iloc[0, at]) for at in (0, 1))
            figures[label] = Figure(answer, margin, true / 100, bounded / 100)
    return show(story, story.words("question", "question"), figures)


def months(story: Story, room: cleanroom.Room, purchases: pl.DataFrame) -> list[Figure]:
    """Ask what both shops sell each month."""
    story.chapter("Les mois des deux disquaires ensemble", "The months of both shops together")
    table = ask(story, room, OBSERVATOIRE, _MONTHS.format(*SHOPS), 1, MONTHS_IN_FULL)
    most, figures = {"persons": 1, "cds": MOST_CDS, "cents": MOST_CENTS}, []
    true, left = by_month(purchases), by_month(cut(purchases), most, MONTHS_IN_FULL)
    names = {"persons": ("personnes", "persons"), "cds": ("disques", "CDs"), "cents": ("dollars", "dollars")}
    for name, words in names.items():
        column, unit = ("amount", 100) if name == "cents" else (name, 1)
        numbers = zip(table[column], table[f"{column}_margin95"], true[name] / unit, left[name] / unit, strict=True)
        found = (Figure(*map(float, each)) for each in numbers)
        labels = true["month"].dt.strftime("%Y-%m")
        figures += show(story, story.words(*words), dict(zip(labels, found, strict=True)))
    return figures


def show(story: Story, label: str, figures: dict[str, Figure]) -> list[Figure]:
    """Print figures: what the bounds and what the noise added to the truth stand apart; return them."""
    fr, en = (
        "réponse,marge 95 %,vrai,bornes,bruit,vrai dans la marge",
        "answer,95% margin,true,bounds,noise,true within",
    )
    lines = []
    for name, each in figures.items():
        decimals = 2 if name.endswith("AVG") else 0
        parts = (each.truth, each.bounded - each.truth, each.answer - each.bounded)
        near = story.words("oui", "yes") if each.near(each.truth) else story.words("non", "no")
        answer, margin = story.number(each.answer, decimals), story.margin(each.margin, decimals)
        lines.append((name, answer, margin, *(story.number(part, decimals) for part in parts), near))
    story.table((label, *story.words(fr, en).split(",")), lines)
    return list(figures.values())


def conclude(story: Story, room: cleanroom.Room, figures: list[Figure]) -> None:
    """Say how many truths are within the margins, and what all of it cost."""
    story.chapter("Combien de vérités sont dans les marges, et le prix", "How many truths are within, and the price")
    told = [figure for figure in figures if not math.isnan(figure.answer)]
    n, plain = len(told), sum(figure.near(figure.truth) for figure in told)
    held, needed = sum(figure.near(figure.bounded) for figure in told), fewest_plausible(len(told), chance=CHANCE)
    story.say(
        f"{plain} vérités sur {n} sont dans la marge de leur réponse ({len(figures) - n} nombres retenus). La marge ne "
        f"parle que du bruit ; ce que les bornes coupent (colonne « bornes ») s'y ajoute, pareil à chaque fois.",
        f"{plain} truths of {n} are within the margin of their answer ({len(figures) - n} numbers withheld). A margin "
        f"speaks of the noise only; what the bounds cut off (column 'bounds') comes on top, the same every time.",
    )
    expected = story.number(0.95 * n)
    story.check(
        n > 0 and held >= needed,
        f"{held} sur {n} l'effet des bornes mis à part (attendu : environ {expected} ; échec sous {needed})",
        f"{held} of {n} with the effect of the bounds set apart (expected: about {expected}; failure below {needed})",
    )
    accounts = ((each.account, each.epsilon_spent, each.epsilon_granted) for each in views.budgets(room))
    lines = [(name, f"ε {story.number(spent, 2)}", f"ε {granted}") for name, spent, granted in accounts]
    story.table((story.words("compte", "account"), *story.words("dépensé accordé", "spent granted").split()), lines)
    story.say(f"Fin, en {story.seconds()}.", f"The end, in {story.seconds()}.")


def main(arguments: list[str] | None = None) -> int:
    """Play the trial; return the exit status."""
    parser = argparse.ArgumentParser(description="Take real purchases through the room, beside the truth.")
    parser.add_argument("file", type=Path, metavar="FILE", help="CDNOW_master.txt")
    parser.add_argument("--lang", choices=[each.value for each in Language], default=Language.FR.value)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR, which must be empty, and keep it")
    options = parser.parse_args(arguments)
    story = Story(Language(options.lang))
    if options.keep is not None and options.keep.exists() and (options.keep.is_file() or any(options.keep.iterdir())):
        parser.error(story.words(f"{options.keep} n'est pas un dossier vide", f"{options.keep} is no empty directory"))
    try:
        purchases = read_purchases(options.file)
    except OSError as error:
        parser.error(f"{options.file}: {error.strerror}")
    except ValueError as error:
        wanted = story.words("attendu : client AAAAMMJJ disques dollars", "expected: customer YYYYMMDD CDs dollars")
        parser.error(f"{options.file}, {story.words('ligne', 'line')} {error}; {wanted}, {FIRST_DAY} – {LAST_DAY}")
    with ExitStack() as stack:
        kept = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cleanroom-cdnow-")))
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = stack.enter_context(cleanroom.Room.create(kept / "room", home=cleanroom.Home(kept / "home")))
        hand_in(story, room, purchases, kept)
        conclude(story, room, overlap_and_spending(story, room, purchases) + months(story, room, purchases))
    return int(bool(story.failed))


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    sys.exit(main())
