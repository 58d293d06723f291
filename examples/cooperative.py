"""Describe the cooperative of the examples: six fictional organisations, and what their tables declare.

Regions and disciplines are one vocabulary of the whole sector, so that tables can be added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_DAY: Final = date(2023, 9, 1)
LAST_DAY: Final = date(2025, 8, 31)
MOST_TICKETS: Final = 12
MOST_CENTS: Final = 500_00
TABLE: Final = "visits"
"""Every organisation calls its table `visits`, as in `theatre_fleuve.visits`."""

REGIONS: Final[Mapping[str, float]] = {
    "bas_saint_laurent": 2.3,
    "saguenay_lac_saint_jean": 3.2,
    "capitale_nationale": 8.9,
    "mauricie": 3.2,
    "estrie": 5.8,
    "montreal": 24.2,
    "outaouais": 4.7,
    "abitibi_temiscamingue": 1.7,
    "cote_nord": 1.0,
    "nord_du_quebec": 0.5,
    "gaspesie_iles_de_la_madeleine": 1.0,
    "chaudiere_appalaches": 5.0,
    "laval": 5.1,
    "lanaudiere": 6.1,
    "laurentides": 7.4,
    "monteregie": 17.0,
    "centre_du_quebec": 2.9,
}
"""The 17 administrative regions, 01 to 17, and about what share of Québec (%) lives there."""

DISCIPLINES: Final[Mapping[str, tuple[float, float]]] = {
    "theatre": (18, 48),
    "danse": (7, 42),
    "musique": (30, 55),
    "cirque": (7, 58),
    "humour": (15, 50),
    "arts_visuels": (10, 22),
    "cinema": (9, 14),
    "litterature": (4, 15),
}
"""What people like best (weight), and the usual price of a ticket (CAD before taxes)."""

CHANNELS: Final = ("web", "guichet", "telephone", "partenaire")


@dataclass(frozen=True, slots=True)
class Organisation:
    """A fictional member of the cooperative.

    Args:
        id: what the room calls it.
        name: what people call it.
        weight: how often people go there, before distance and taste.
        near: weight of people by home region; `elsewhere` for the other regions.
        programme: weight of each discipline it offers; a discipline is never one house's alone.
        months: weight of sales in each month, January first.
        channels: weight of each of `CHANNELS`.
        price: factor on the usual price.
    """

    id: str
    name: str
    weight: float
    near: Mapping[str, float]
    elsewhere: float
    programme: Mapping[str, float]
    months: tuple[float, ...]
    channels: tuple[float, float, float, float]
    price: float


_GREATER_MONTREAL: Final = {"montreal": 10.0, "laval": 6, "monteregie": 5, "laurentides": 4, "lanaudiere": 4}
_AROUND_QUEBEC: Final = {"capitale_nationale": 12.0, "chaudiere_appalaches": 8, "mauricie": 3, "bas_saint_laurent": 2}
_AUTUMN_AND_SPRING: Final = (7.0, 8, 9, 8, 5, 2, 1, 4, 12, 11, 10, 9)

ORGANISATIONS: Final = (
    Organisation(
        id="theatre_fleuve",
        name="Théâtre du Fleuve",
        weight=6.0,
        near=_GREATER_MONTREAL,
        elsewhere=0.6,
        programme={"theatre": 10, "litterature": 1, "humour": 1, "cirque": 0.5},
        months=_AUTUMN_AND_SPRING,
        channels=(62, 24, 11, 3),
        price=1.0,
    ),
    Organisation(
        id="nuits_claires",
        name="Festival Les Nuits claires",
        weight=9.0,
        near=_GREATER_MONTREAL | {"outaouais": 2.0, "estrie": 2.0, "capitale_nationale": 1.5},
        elsewhere=0.8,
        programme={"musique": 10, "humour": 3, "cirque": 2, "danse": 0.7},
        months=(2.0, 3, 8, 14, 22, 34, 20, 4, 1, 1, 2, 5),
        channels=(81, 6, 1, 12),
        price=0.85,
    ),
    Organisation(
        id="musee_rives",
        name="Musée des Rives",
        weight=7.0,
        near=_AROUND_QUEBEC,
        elsewhere=1.0,
        programme={"arts_visuels": 10, "cinema": 2, "litterature": 1},
        months=(5.0, 5, 8, 7, 8, 10, 15, 14, 8, 8, 6, 6),
        channels=(45, 47, 1, 7),
        price=0.95,
    ),
    Organisation(
        id="maison_elan",
        name="Maison Élan, danse et cirque",
        weight=3.0,
        near={"estrie": 14.0, "monteregie": 4, "montreal": 3, "centre_du_quebec": 3},
        elsewhere=0.3,
        programme={"danse": 10, "cirque": 4, "musique": 0.5},
        months=_AUTUMN_AND_SPRING,
        channels=(66, 21, 9, 4),
        price=0.9,
    ),
    Organisation(
        id="guichet_nord",
        name="Le Guichet du Nord, billetterie et magazine",
        weight=14.0,
        near={},
        elsewhere=3.5,
        programme={name: weight for name, (weight, _) in DISCIPLINES.items()},
        months=(7.0, 8, 9, 9, 9, 10, 8, 7, 9, 9, 8, 10),
        channels=(78, 4, 9, 9),
        price=1.1,
    ),
    Organisation(
        id="salle_grange",
        name="La Grange, salle de Rimouski",
        weight=1.0,
        near={"bas_saint_laurent": 40.0, "gaspesie_iles_de_la_madeleine": 12, "cote_nord": 6},
        elsewhere=0.05,
        programme={"musique": 6, "humour": 4, "theatre": 4, "cinema": 2, "danse": 1.5, "arts_visuels": 1}
        | {"litterature": 1.0, "cirque": 1.0},
        months=_AUTUMN_AND_SPRING,
        channels=(38, 41, 19, 2),
        price=0.75,
    ),
)

PARTIES: Final = tuple(organisation.id for organisation in ORGANISATIONS)


def declaration(party: str) -> str:
    """Return a table's file (DESIGN §9), with its comments in French."""
    house = ORGANISATIONS[PARTIES.index(party)]
    return _DECLARATION.format(
        name=house.name,
        table=f"{party}.{TABLE}",
        regions=_wrapped(tuple(REGIONS)),
        disciplines=", ".join(DISCIPLINES),
        channels=", ".join(CHANNELS),
        first=FIRST_DAY,
        last=LAST_DAY,
    )


_DECLARATION: Final = """\
# {name} : ce que contient la table, et qui peut en demander quoi.
# Le propriétaire signe les octets de ce fichier : le signer, c'est approuver.
table: {table}

# La personne : tirée du courriel, qui devient un jeton chez le membre et ne voyage jamais.
unit: {{name: person, from: courriel, kind: email}}

# Les colonnes déclarées ; toute autre colonne du fichier (commentaire, téléphone…) est laissée chez le membre.
# Les domaines de région et de discipline sont communs à tout le secteur.
columns:
  region:
    type: category
    domain:
{regions}
  discipline: {{type: category, domain: [{disciplines}]}}
  channel: {{type: category, domain: [{channels}]}}
  purchased: {{type: date, range: [{first}, {last}]}}          # jour de l'achat
  tickets: {{type: integer, bounds: [1, 12]}}                         # billets d'un achat
  amount: {{type: decimal, resolution: 0.01, bounds: [0, 500], unit: CAD}}

# Au plus 200 lignes d'une même personne sont lues.
limits: {{max_rows_per_person: 200}}

# Ce qu'une personne pèse dans une réponse : 10 lignes par case, et l'équivalent de 4 cases.
defaults: {{max_rows_contributed: 10, max_groups_contributed: 4}}

# Le budget de vie privée de la table, pour toujours.
budget: {{epsilon: 20, delta: 1e-7, window: never}}

rules:
  # Combien de nos spectateurs vont aussi chez un autre membre ?
  - name: overlaps between members
    parties: {{role: member}}
    purposes: [audience_overlap]
    analyses: [overlap, aggregate]
    functions: [count_persons, count_rows]
    dimensions: [region, discipline, "purchased:month"]
    threshold: 20                  # une case de moins de 20 personnes (compte bruité) n'est pas publiée
    default_epsilon: 0.2
    max_epsilon_per_question: 0.5

  # Les tableaux du secteur, sur trois organisations ou plus.
  - name: sector statistics
    parties: [observatoire]
    purposes: [sector_statistics]
    analyses: [sector]
    functions: [count_persons, count_rows, sum, avg]
    dimensions: [region, discipline, "purchased:month"]
    allowed_literals: [discipline, region, purchased]
    min_parties: 3
    threshold: 20
    default_epsilon: 1
"""


def _wrapped(values: tuple[str, ...], width: int = 4) -> str:
    lines = [", ".join(values[start : start + width]) for start in range(0, len(values), width)]
    return "      [" + ",\n       ".join(lines) + "]"
