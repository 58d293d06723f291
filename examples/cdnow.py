"""Take real purchases through the room, and set every answer beside the truth.

    python examples/cdnow.py FILE [--lang fr|en] [--keep DIRECTORY]

FILE is `CDNOW_master.txt`, Fader and Hardie's research data: 69 659 purchases of 23 570 customers of a music shop,
January 1997 to June 1998; it is no part of this repository. The customers are split over two shops by a hash of the
id: a quarter goes to the first only, a quarter to the second, half to both in turn. What an answer
has besides the truth is told in two parts: the effect of the bounds, found here by the documented rules, and the noise,
of which alone a margin speaks. Ends with status 1 when far too few margins hold for the noise.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import sys
import tempfile
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

import cleanroom
from cleanroom.errors import Language
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import upload, views
from examples.story import Story, fewest_plausible

SHOPS, OBSERVATOIRE = ("disques_du_port", "disques_du_parc"), "observatoire"
FIRST_DAY, LAST_DAY = date(1997, 1, 1), date(1998, 6, 30)
MOST_CDS, MOST_CENTS = 30, 400_00  # of a purchase, as declared
ROWS_SUMMED, ROWS_AVERAGED, MONTHS_IN_FULL = 5, 10, 6  # what one person may weigh

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
_OVERLAP: Final = "SELECT COUNT(DISTINCT person) FROM {here}.purchases JOIN {there}.purchases USING (person)"
_SHARED: Final = "SELECT {what}(amount) FROM {here}.purchases\nWHERE person IN (SELECT person FROM {there}.purchases)"
_MONTHS: Final = """\
SELECT date_trunc('month', purchased), COUNT(DISTINCT person) AS persons, SUM(cds) AS cds, SUM(amount) AS dollars
FROM (SELECT person, purchased, cds, amount FROM {}.purchases
  UNION ALL SELECT person, purchased, cds, amount FROM {}.purchases) AS shops GROUP BY 1"""


class Figure(NamedTuple):
    """A number of an answer (NaN where withheld), the truth, and what the bounds leave of the truth."""

    answer: float
    margin: float
    truth: float
    bounded: float

    def near(self, value: float) -> bool:
        """Whether a value is within the margin."""
        return abs(self.answer - value) <= self.margin


def read_purchases(path: Path) -> pl.DataFrame:
    """Return id, purchased, month, cds, cents, shop; ValueError holds the number of the first line that is wrong."""
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
            right = person.isdecimal() and 0 <= count <= 10**6 and 0 <= cents <= 10**9 and cents == int(cents)
            if not (right and FIRST_DAY <= purchased <= LAST_DAY):
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
    """Return each month's persons, cds and cents, or what bounds leave: `most` a person and month, one norm."""
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


def hand_in(story: Story, room: cleanroom.Room, purchases: pl.DataFrame, directory: Path) -> None:
    """Declare both tables, hand in their rows, and say what the bounds cut."""
    story.chapter("Deux disquaires déposent leurs achats", "Two shops hand in their purchases")
    cents, within, lines, most = pl.col("cents"), cut(purchases), [], MOST_CENTS // 100
    room.add_party(OBSERVATOIRE, Role.OBSERVATOIRE)
    for shop in SHOPS:
        room.add_party(shop, Role.MEMBER)
        room.declare(_DECLARATION.replace("SHOP", shop).encode())
        rows, path = within.filter(shop=shop), directory / f"{shop}.csv"
        email, amount = pl.format("client{}@cdnow.example", "id"), cents.cast(pl.Decimal(12, 2)) / 100
        rows.select(email.alias("email"), "purchased", "cds", amount.alias("amount")).write_csv(path)
        prepared, _ = upload(room, TableName(party_id(shop), "purchases"), path)
        lines.append((shop, story.number(rows["id"].n_unique()), story.number(prepared.rows)))
    story.table(("id", story.words("clients", "customers"), story.words("achats", "purchases")), lines)
    persons = within.group_by("id", "month").agg(cents.sum())["cents"]
    above = story.number(purchases.filter((cents > MOST_CENTS) | (pl.col("cds") > MOST_CDS)).height)
    lost = story.percent(1 - within.select(cents.sum()).item() / max(purchases.select(cents.sum()).item(), 1), 2)
    clipped = story.percent(len(persons.filter(persons > MOST_CENTS)) / len(persons), 2)
    story.say(
        f"Bornes d'un achat : {MOST_CDS} disques et {most} $ ; {above} achats les dépassent et y sont ramenés avant de "
        f"partir ({lost} de la recette). {clipped} des totaux d'une personne et d'un mois passent {most} $ : coupés.",
        f"Bounds of a purchase: {MOST_CDS} CDs and ${most}; {above} purchases exceed them and are brought down before "
        f"they leave ({lost} of the revenue). {clipped} of the totals of a person and a month exceed ${most}: clipped.",
    )


def ask(story: Story, room: cleanroom.Room, party: str, sql: str, rows: int, groups: int = 1) -> cleanroom.Answer:
    """Ask, print question and price, and return the answer."""
    purpose, epsilon = ("sector_statistics", 4) if party == OBSERVATOIRE else ("audience_overlap", 2)
    told = f"{party} --purpose {purpose} --epsilon {epsilon} --max-rows {rows} --max-groups {groups}"
    story.command(f'cleanroom query room --as {told} \\\n"{sql}"')
    bounds = {"max_rows_contributed": rows, "max_groups_contributed": groups}
    answer = room.session(party).query(sql, purpose=purpose, epsilon=epsilon, **bounds)
    paid = ", ".join(f"{each.account} ε {story.number(each.epsilon, 2)}" for each in answer.cost)
    story.say(f"Prix : {paid}.", f"Price: {paid}.")
    return answer


def overlap_and_spending(story: Story, room: cleanroom.Room, purchases: pl.DataFrame) -> list[Figure]:
    """Ask how many customers the shops share, and what these spend at each."""
    story.chapter("Les clients communs, et ce qu'ils dépensent", "Shared customers, and what they spend")
    figures = {}
    for here, there in (SHOPS, SHOPS[::-1]):
        rows = purchases.filter(shop=here).join(purchases.filter(shop=there), on="id", how="semi")
        spent, length = rows.select(pl.col("cents").sum()).item(), pl.len().clip(upper_bound=ROWS_AVERAGED)
        summed = by_month(cut(rows).with_columns(month=FIRST_DAY), {"cents": MOST_CENTS * ROWS_SUMMED})
        each = cut(rows).group_by("id").agg(length.alias("n"), (length * pl.col("cents").mean()).alias("sum"))
        mean, shared = each.select(pl.col("sum").sum() / pl.col("n").sum()).item() or 0, 100 * rows["id"].n_unique()
        overlap = [(story.words("clients communs", "shared customers"), _OVERLAP, 1, shared, shared)]
        sums = (f"{here}, SUM", _SHARED, ROWS_SUMMED, spent, summed.select(pl.col("cents").sum()).item())
        means = (f"{here}, AVG", _SHARED, ROWS_AVERAGED, spent / max(rows.height, 1), mean)
        for label, sql, most, true, bounded in (*(overlap if here == SHOPS[0] else ()), sums, means):
            table = ask(story, room, here, sql.format(what=label[-3:], here=here, there=there), most).table
            figures[label] = Figure(float(table.iloc[0, 0]), float(table.iloc[0, 1]), true / 100, bounded / 100)
    return show(story, story.words("question", "question"), figures)


def months(story: Story, room: cleanroom.Room, purchases: pl.DataFrame) -> list[Figure]:
    """Ask what both shops sell each month."""
    story.chapter("Les mois des deux disquaires ensemble", "The months of both shops together")
    table = ask(story, room, OBSERVATOIRE, _MONTHS.format(*SHOPS), 1, MONTHS_IN_FULL).table
    most, figures = {"persons": 1, "cds": MOST_CDS, "cents": MOST_CENTS}, []
    true, left = by_month(purchases), by_month(cut(purchases), most, MONTHS_IN_FULL)
    for name, fr in (("persons", "personnes"), ("cds", "disques"), ("cents", "dollars")):
        column, unit = ("dollars", 100) if name == "cents" else (name, 1)
        numbers = zip(table[column], table[f"{column}_margin95"], true[name] / unit, left[name] / unit, strict=True)
        found = zip(true["month"].dt.strftime("%Y-%m"), (Figure(*map(float, each)) for each in numbers), strict=True)
        figures += show(story, story.words(fr, column), dict(found))
    return figures


def show(story: Story, label: str, figures: dict[str, Figure]) -> list[Figure]:
    """Print figures: what the bounds and what the noise added to the truth stand apart; return them."""
    fr, en = "réponse,marge 95 %,vrai,bornes,bruit,dans la marge", "answer,95% margin,true,bounds,noise,within"
    lines = []
    for name, each in figures.items():
        decimals = 2 if name.endswith("AVG") else 0
        parts = (each.truth, each.bounded - each.truth, each.answer - each.bounded)
        near = story.words("oui", "yes") if each.near(each.truth) else story.words("non", "no")
        answer, *numbers = (story.number(part, decimals) for part in (each.answer, *parts))
        lines.append((name, answer, story.margin(each.margin, decimals), *numbers, near))
    story.table((label, *story.words(fr, en).split(",")), lines)
    return list(figures.values())


def conclude(story: Story, room: cleanroom.Room, figures: list[Figure]) -> None:
    """Say how many truths are within the margins, and what all of it cost."""
    story.chapter("Combien de vérités sont dans les marges, et le prix", "How many truths are within, and the price")
    told = [figure for figure in figures if not math.isnan(figure.answer)]
    n, plain = len(told), sum(figure.near(figure.truth) for figure in told)
    held, needed = sum(figure.near(figure.bounded) for figure in told), fewest_plausible(len(told))
    story.say(
        f"{plain} vérités sur {n} sont dans la marge, qui ne dit que le bruit ({len(figures) - n} nombres retenus).",
        f"{plain} truths of {n} are within the margin, which tells the noise only ({len(figures) - n} withheld).",
    )
    fr = f"{held} sur {n} l'effet des bornes mis à part (attendu : environ {0.95 * n:.0f} ; échec sous {needed})"
    en = f"{held} of {n} the effect of the bounds set apart (expected: about {0.95 * n:.0f}; failure below {needed})"
    story.check(n > 0 and held >= needed, fr, en)
    accounts = [(a.account, story.number(a.epsilon_spent, 2), str(a.epsilon_granted)) for a in views.budgets(room)]
    story.table(story.words("compte,ε dépensé,ε accordé", "account,ε spent,ε granted").split(","), accounts)
    story.say(f"Fin, en {story.seconds()}.", f"The end, in {story.seconds()}.")


def main(arguments: list[str] | None = None) -> int:
    """Play the trial; return the exit status."""
    parser = argparse.ArgumentParser(description="Take real purchases through the room, beside the truth.")
    parser.add_argument("file", type=Path, metavar="FILE", help="CDNOW_master.txt")
    parser.add_argument("--lang", choices=[each.value for each in Language], default=Language.FR.value)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR, which must be empty, and keep it")
    options = parser.parse_args(arguments)
    story = Story(Language(options.lang))
    if options.keep and options.keep.exists() and (options.keep.is_file() or any(options.keep.iterdir())):
        parser.error(story.words(f"{options.keep} n'est pas un dossier vide", f"{options.keep} is no empty directory"))
    try:
        purchases = read_purchases(options.file)
    except (OSError, ValueError) as error:
        wanted = story.words("attendu : client AAAAMMJJ disques dollars", "expected: customer YYYYMMDD CDs dollars")
        found = error.strerror if isinstance(error, OSError) else f"{story.words('ligne', 'line')} {error}"
        parser.error(f"{options.file}: {found}; {wanted}, {FIRST_DAY} – {LAST_DAY}")
    with tempfile.TemporaryDirectory(prefix="cleanroom-cdnow-") as scratch:
        (kept := options.keep or Path(scratch)).mkdir(mode=0o700, parents=True, exist_ok=True)
        with cleanroom.Room.create(kept / "room", home=cleanroom.Home(kept / "home")) as room:
            hand_in(story, room, purchases, kept)
            conclude(story, room, overlap_and_spending(story, room, purchases) + months(story, room, purchases))
    return int(bool(story.failed))


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    sys.exit(main())
