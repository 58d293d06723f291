"""The questions of the demonstration: an overlap, the sector, and three that are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

import cleanroom
from examples.season import DISCIPLINES, ORGANISATIONS, PARTIES, TABLE
from examples.story import Story, fewest_plausible

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from examples.season import Season

THEATRE: Final = "theatre_fleuve"
FESTIVAL: Final = "nuits_claires"
OBSERVATOIRE: Final = "observatoire"
HOUSES: Final = {house.id: house.name for house in ORGANISATIONS}

OVERLAP: Final = f"""\
SELECT nous.region, COUNT(DISTINCT nous.person) AS persons
FROM {THEATRE}.{TABLE} AS nous JOIN {FESTIVAL}.{TABLE} AS eux USING (person)
GROUP BY nous.region"""  # noqa: S608 -- the room parses questions; none of this reaches an engine


def sector(select: str, group_by: str, parties: tuple[str, ...] = PARTIES) -> str:
    """Return a question over the tables of several organisations."""
    arms = "\n  UNION ALL ".join(
        f"SELECT person, region, discipline, purchased, tickets, amount FROM {party}.{TABLE}"  # noqa: S608
        for party in parties
    )
    return f"SELECT {select},\n  SUM(tickets) AS tickets, SUM(amount) AS revenue\nFROM ({arms}) AS sector\n{group_by}"


BY_CELL: Final = sector("discipline, region, date_trunc('month', purchased) AS month", "GROUP BY 1, 2, 3")
BY_DISCIPLINE: Final = sector("discipline", "GROUP BY discipline")
ALL_BUT_ONE: Final = sector("discipline", "GROUP BY discipline", PARTIES[1:])


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demonstration plays.

    Args:
        season: the invented truth.
        files: each party's declaration and sales.
        home: the keys of everybody, since everybody is on this machine.
    """

    story: Story
    season: Season
    directory: Path
    files: dict[str, tuple[Path, Path]]
    room: cleanroom.Room
    home: cleanroom.Home


def ask_for_an_overlap(stage: Stage) -> int:
    """Ask what a theatre's marketing lead asks; return the index of the answer's log entry."""
    story = stage.story
    story.chapter(
        f"{HOUSES[THEATRE]} : combien de nos spectateurs vont aussi aux Nuits claires, par région ?",
        f"{HOUSES[THEATRE]}: how many of our visitors also go to Les Nuits claires, by region?",
    )
    asker = stage.room.session(THEATRE)
    story.say("D'abord le prix, sans rien dépenser :", "First the price, spending nothing:")
    told = f"room --as {THEATRE} --purpose audience_overlap --epsilon 0.5"
    story.command(f"cleanroom preview {told} \\\n{_quoted(OVERLAP)}")
    usual = asker.preview(OVERLAP, purpose="audience_overlap", epsilon=0.5)
    single = asker.preview(OVERLAP, purpose="audience_overlap", epsilon=0.5, max_groups_contributed=1)
    before, after = (dict(each.margins)["persons"] or 0.0 for each in (usual, single))
    story.say(
        f"Chaque nombre viendrait avec une marge de {story.margin(before)} personnes, 19 fois sur 20 : la table "
        f"suppose qu'une personne compte jusque dans quatre cases. Or chacun n'a ici qu'une région ; on le dit avec "
        f"--max-groups 1, et la marge tombe à {story.margin(after)} pour le même prix. (Si c'était faux, les gens de "
        f"plusieurs régions pèseraient moins : l'erreur serait pour nous, pas pour eux.) Encore "
        f"{story.number(single.repetitions)} questions pareilles tiennent dans les budgets.",
        f"Each number would come with a margin of {story.margin(before)} persons, 19 times out of 20: the table "
        f"assumes that a person counts in up to four cells. But everybody has one region here; --max-groups 1 says so, "
        f"and the margin falls to {story.margin(after)} for the same price. (Were it wrong, people of several "
        f"regions would weigh less: the error would be ours, not theirs.) {story.number(single.repetitions)} such "
        f"questions fit into the budgets.",
    )
    story.command(f"cleanroom query {told} --max-groups 1 '…'")
    answer = asker.query(OVERLAP, purpose="audience_overlap", epsilon=0.5, max_groups_contributed=1)
    truth = stage.season.overlap_by_region(THEATRE, FESTIVAL)["persons"].to_numpy()
    noised, margin = answer.table["persons"].to_numpy(), answer.table["persons_margin95"].to_numpy()
    story.table(
        (
            "region",
            story.words("réponse", "answer"),
            story.words("marge 95 %", "95% margin"),
            story.words("vrai (inventé)", "true (invented)"),
            story.words("dans la marge", "within"),
        ),
        (
            (
                region,
                story.number(value),
                story.margin(about),
                story.number(true),
                "" if np.isnan(value) else _yes(story, abs(value - true) <= about),
            )
            for region, value, about, true in zip(answer.table["region"], noised, margin, truth, strict=True)
        ),
    )
    told_of_withheld(story, answer.suppressed, len(truth))
    within_margins(story, answer.table, {"persons": truth})
    own = stage.season.at(THEATRE)["person"].n_unique()
    released = noised[~np.isnan(noised)]
    total, about = float(released.sum()), float(np.nanmax(margin, initial=0)) * len(released) ** 0.5
    if answer.suppressed:
        return answer.receipt.index
    story.say(
        f"Additionner des nombres déjà publiés ne coûte rien : environ {story.number(total)} ({story.margin(about)}) "
        f"de nos {story.number(own)} spectateurs vont aussi aux Nuits claires, soit {story.percent(total / own)}.",
        f"Adding up released numbers costs nothing: about {story.number(total)} ({story.margin(about)}) of our "
        f"{story.number(own)} visitors also go to Les Nuits claires, {story.percent(total / own)}.",
    )
    return answer.receipt.index


def ask_for_the_sector(stage: Stage) -> None:
    """Ask what the Observatoire's statistician asks."""
    story, asker = stage.story, stage.room.session(OBSERVATOIRE)
    story.chapter(
        "L'Observatoire : billets et recettes de tout le secteur",
        "The Observatoire: tickets and revenue of the whole sector",
    )
    story.say(
        "Six tables, une seule question. Au plus six achats d'une même personne comptent par discipline.",
        "Six tables, one question. At most six purchases of one person count in a discipline.",
    )
    told = "cleanroom query room --as observatoire --purpose sector_statistics"
    shown = "  UNION ALL SELECT … (6)) AS sector\n"
    story.command(f"{told} --epsilon 1 --max-rows 6 --max-groups 1 \\\n{_quoted(_abridged(BY_DISCIPLINE, shown))}")
    answer = asker.query(
        BY_DISCIPLINE, purpose="sector_statistics", epsilon=1, max_rows_contributed=6, max_groups_contributed=1
    )
    truth = stage.season.sector_totals("discipline")
    known = {"tickets": truth["tickets"].to_numpy(), "revenue": truth["amount_cents"].to_numpy() / 100}
    true = story.words("vrai", "true")
    header = (story.words("billets", "tickets"), true, story.words("recette", "revenue"), true)
    story.table(
        ("discipline", *header),
        ((discipline, *_both(story, answer.table, known, at)) for at, discipline in enumerate(DISCIPLINES)),
    )
    told_of_withheld(story, answer.suppressed, len(DISCIPLINES))
    within_margins(story, answer.table, known)

    story.say(
        "Le même tableau par discipline × région × mois : 8 × 17 × 24 cases, au plus trois achats d'une personne par "
        "case. Une question si fine coûte plus cher (epsilon 4). Ses huit plus grandes cases :",
        "The same table by discipline × region × month: 8 × 17 × 24 cells, at most three purchases of one person in a "
        "cell. So fine a question costs more (epsilon 4). Its eight largest cells:",
    )
    story.command(f"{told} --epsilon 4 --max-rows 3 --max-groups 2 \\\n{_quoted(_abridged(BY_CELL, shown))}")
    answer = asker.query(
        BY_CELL, purpose="sector_statistics", epsilon=4, max_rows_contributed=3, max_groups_contributed=2
    )
    truth = stage.season.sector_totals("discipline", "region", "month")
    known = {"tickets": truth["tickets"].to_numpy(), "revenue": truth["amount_cents"].to_numpy() / 100}
    largest = answer.table["tickets"].fillna(-np.inf).to_numpy().argsort()[::-1][:8]
    keys = answer.table[["discipline", "region", "month"]].astype(str).to_numpy()
    story.table(
        ("discipline", "region", story.words("mois", "month"), *header),
        ((*keys[at][:2], keys[at][2][:7], *_both(story, answer.table, known, int(at))) for at in largest),
        left=3,
    )
    how_much_is_useful(story, answer.table, known["tickets"])
    within_margins(story, answer.table, known)


def how_much_is_useful(story: Story, table: pd.DataFrame, true: np.ndarray) -> None:
    """Say how many cells are worth reading."""
    value, margin = table["tickets"].to_numpy(), table["tickets_margin95"].to_numpy()
    withheld = np.isnan(value)
    clear = ~withheld & (np.abs(np.nan_to_num(value)) >= 2 * np.nan_to_num(margin))
    blurred = ~withheld & ~clear
    share = true[clear].sum() / max(true.sum(), 1)
    story.say(
        f"Des {story.number(len(value))} cases, {story.number(withheld.sum())} sont retenues (moins de 20 personnes, "
        f"compte bruité) ; {story.number(blurred.sum())} sont surtout du bruit (la marge dépasse la moitié du nombre)"
        f" ; {story.number(clear.sum())} se lisent bien et portent {story.percent(share)} des billets. Pour des cases "
        f"plus sûres : par région ou par mois, pas les deux. Les marges disent le bruit ; ce que les bornes coupent "
        f"s'y ajoute (presque rien ici : peu de gens achètent plus de trois fois dans la même case).",
        f"Of the {story.number(len(value))} cells, {story.number(withheld.sum())} are withheld (fewer than 20 persons, "
        f"as noised); {story.number(blurred.sum())} are mostly noise (the margin exceeds half the number); "
        f"{story.number(clear.sum())} read well and hold {story.percent(share)} of the tickets. For surer cells: by "
        f"region or by month, not both. Margins tell the noise; what the bounds cut off comes on top (next to nothing "
        f"here: few people buy more than three times in one cell).",
    )


def be_refused(stage: Stage) -> None:
    """Ask what may not be answered."""
    story = stage.story
    left_out = HOUSES[PARTIES[0]]
    story.chapter("Trois questions refusées", "Three questions refused")
    _expect_refusal(
        stage,
        THEATRE,
        "audience_overlap",
        f"SELECT * FROM {FESTIVAL}.{TABLE} WHERE region = 'cote_nord'",  # noqa: S608
        "row_output",
        (
            "« Qui sont les gens de la Côte-Nord qui vont au festival ? »",
            "'Who are the festival's visitors from Côte-Nord?'",
        ),
    )
    _expect_refusal(
        stage,
        OBSERVATOIRE,
        "sector_statistics",
        ALL_BUT_ONE,
        "cohort_too_close",
        (
            f"Le tableau des six, déjà publié, moins un tableau de cinq donnerait les ventes d'un seul ({left_out}) :",
            f"The table of six, already released, minus a table of five would give the sales of one ({left_out}):",
        ),
    )
    _expect_refusal(
        stage,
        THEATRE,
        "audience_overlap",
        OVERLAP,
        "epsilon_over_limit",
        (
            "Le croisement de tout à l'heure, plus précis que les deux propriétaires ne le permettent :",
            "The overlap from before, more precise than both owners allow:",
        ),
        epsilon=2,
    )
    story.say(
        "Un refus ne lit aucune donnée et ne coûte rien ; il dépend de la question et des règles, jamais des gens.",
        "A refusal reads no data and costs nothing; it depends on the question and the rules, never on people.",
    )


def _expect_refusal(
    stage: Stage,
    party: str,
    purpose: str,
    sql: str,
    code: str,
    why: tuple[str, str],
    *,
    epsilon: float | None = None,
) -> None:
    story = stage.story
    story.say(*why)
    shown = sql if sql.count("\n") < 4 else _abridged(sql, "  UNION ALL SELECT … (5)) AS sector\n")
    precise = f" --epsilon {epsilon}" if epsilon is not None else ""
    story.command(f"cleanroom query room --as {party} --purpose {purpose}{precise} \\\n{_quoted(shown)}")
    try:
        stage.room.session(party).query(sql, purpose=purpose, epsilon=epsilon)
    except cleanroom.Refused as refused:
        story.refusal(refused)
        codes = [each.code for each in refused.refusals]
    else:
        codes = []
    if code not in codes:
        story.check(False, f"la question devait être refusée [{code}]", f"the question had to be refused [{code}]")


def told_of_withheld(story: Story, withheld: int, cells: int) -> None:
    """Say how many cells the owners' threshold withholds."""
    if withheld:
        story.say(
            f"{withheld} case(s) sur {cells} sont retenues : moins de 20 personnes, d'après le compte bruité.",
            f"{withheld} of {cells} cells are withheld: fewer than 20 persons, as noised.",
        )


def within_margins(story: Story, table: pd.DataFrame, known: dict[str, np.ndarray]) -> None:
    """Check that about 19 of 20 released numbers lie within their margins."""
    held = numbers = 0
    for name, true in known.items():
        value, margin = table[name].to_numpy(), table[f"{name}_margin95"].to_numpy()
        released = ~np.isnan(value)
        held += int((np.abs(value - true)[released] <= margin[released]).sum())
        numbers += int(released.sum())
    print()
    story.check(
        held >= fewest_plausible(numbers),
        f"{story.number(held)} nombres publiés sur {story.number(numbers)} sont à leur marge près de la vérité "
        f"(attendu : environ {story.number(0.95 * numbers)})",
        f"{story.number(held)} of {story.number(numbers)} released numbers lie within their margin of the truth "
        f"(expected: about {story.number(0.95 * numbers)})",
    )


def _both(story: Story, table: pd.DataFrame, known: dict[str, np.ndarray], at: int) -> tuple[str, ...]:
    cells = []
    for name, write in (("tickets", story.number), ("revenue", story.dollars)):
        value, margin = float(table[name][at]), float(table[f"{name}_margin95"][at])
        cells.append(f"{write(value)} {story.margin(margin)}".rstrip())
        cells.append(write(float(known[name][at])))
    return tuple(cells)


def _yes(story: Story, holds: bool) -> str:
    return story.words("oui", "yes") if holds else story.words("non", "no")


def _abridged(sql: str, shown: str) -> str:
    """Return a sector question with its first table only."""
    head, _, tail = sql.partition("\n  UNION ALL ")
    return f"{head}\n{shown}{tail.rpartition(') AS sector')[2].lstrip()}"


def _quoted(sql: str) -> str:
    """Return SQL as a shell takes it."""
    return f'"{sql}"'
