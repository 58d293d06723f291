"""Which persons may meet in a question: of one kind, one epoch, by the unit, and no others."""

# ruff: noqa: S608, E501, ISC004 - questions are what is tested here, one a line
from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from refusal_samples import bound, reasons
from rooms import FRANCOS, MUSEE, TNM, admit, catalog_of

from cleanroom.catalog import PrivacyUnit
from cleanroom.errors import Refused
from cleanroom.identifiers import Epoch, IdentifierKind


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON a.region = b.region",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b ON TRUE",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (region)",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE a.person = b.person OR TRUE",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE NOT a.person = b.person",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE a.person = a.person",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE a.person <> b.person",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b USING (person) JOIN tnm.visits AS c ON a.person = b.person",
        "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN (SELECT region FROM francos.visits) AS b USING (person)",
        "SELECT COUNT(*) AS n FROM (SELECT person AS p FROM tnm.visits) AS a JOIN (SELECT person AS q FROM francos.visits) AS b USING (p)",
    ],
)
def test_joins_that_do_not_equate_persons_are_refused(sql: str) -> None:
    assert reasons(sql)


def test_a_unit_of_another_name_joins_by_on() -> None:
    made = {TNM: catalog_of(TNM), FRANCOS: catalog_of(FRANCOS, unit="visiteur")}
    joined = "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN francos.visits AS b {}"
    assert admit(joined.format("ON a.person = b.visiteur"), None, made)
    with pytest.raises(Refused):
        admit(joined.format("USING (person)"), None, made)
    with pytest.raises(Refused):
        admit(joined.format("USING (visiteur)"), None, made)


MEETINGS = (
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN {}.visits AS b USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE person IN (SELECT person FROM {}.visits)",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits UNION ALL SELECT person FROM {}.visits) AS t",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits INTERSECT SELECT person FROM {}.visits) AS t",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN (SELECT person FROM {}.visits WHERE FALSE) AS b USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN tnm.visits AS b ON a.person = b.person AND a.person IN (SELECT "
    "person FROM {}.visits)",
)
OTHER_MEETINGS = (
    "SELECT COUNT(*) AS n FROM tnm.visits AS a FULL JOIN {}.visits AS b USING (person)",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a LEFT JOIN {}.visits AS b ON a.person = b.person",
    "SELECT COUNT(*) AS n FROM tnm.visits AS a WHERE EXISTS (SELECT 1 FROM {}.visits AS b WHERE b.person = a.person)",
    "SELECT COUNT(*) AS n FROM tnm.visits WHERE person NOT IN (SELECT person FROM {}.visits)",
    "SELECT COUNT(*) AS n FROM (SELECT person FROM tnm.visits EXCEPT SELECT person FROM {}.visits) AS t",
    "WITH b AS (SELECT person FROM {}.visits) SELECT COUNT(*) AS n FROM tnm.visits AS a JOIN b USING (person)",
)
UNITS = (
    PrivacyUnit("person", "id", IdentifierKind.EMAIL),
    PrivacyUnit("person", "id", IdentifierKind.PHONE, region="CA"),
    PrivacyUnit("person", "id", IdentifierKind.OPAQUE),
    PrivacyUnit("person", "id", IdentifierKind.OPAQUE, namespace="tnm"),
    PrivacyUnit("person", "id", IdentifierKind.OPAQUE, namespace="francos"),
)


@pytest.mark.parametrize("shape", [*MEETINGS, *OTHER_MEETINGS])
def test_each_kind_and_number_space_meets_itself_alone(shape: str) -> None:
    """S10: e-mails, phones, the room's numbers and every organisation's own numbers are kept apart."""
    question = shape.format("francos")
    for one, other in product(UNITS, repeat=2):
        tables = {name: replace(catalog_of(name), unit=unit) for name, unit in ((TNM, one), (FRANCOS, other))}
        if one == other:
            assert bound(question, tables)
            continue
        with pytest.raises(Refused) as caught:
            bound(question, tables)
        assert caught.value.code == "kinds_differ"
        assert str(one.token_kind) in caught.value.refusals[0].message.fr
    # Phones written for two countries are one kind: both are E.164.
    regions = {
        name: replace(catalog_of(name), unit=replace(UNITS[1], region=r)) for name, r in ((TNM, "FR"), (FRANCOS, "CA"))
    }
    assert bound(question, regions)


def test_kinds_and_epochs_never_meet() -> None:
    """A person's e-mail token and opaque token, or tokens of two epochs, are different strings (S10)."""
    tables = {TNM: catalog_of(TNM), FRANCOS: catalog_of(FRANCOS), MUSEE: catalog_of(MUSEE, kind=IdentifierKind.OPAQUE)}
    old, new = Epoch("2024"), Epoch("2025")
    for shape in (*MEETINGS, *OTHER_MEETINGS):
        francos, musee = shape.format("francos"), shape.format("musee")
        assert bound(francos, tables, {TNM: old, FRANCOS: old})
        assert bound(francos, tables, {TNM: old})
        with pytest.raises(Refused) as caught:
            bound(francos, tables, {TNM: old, FRANCOS: new})
        assert caught.value.code == "epochs_differ"
        with pytest.raises(Refused) as caught:
            bound(musee, tables, {TNM: old, MUSEE: old})
        assert caught.value.code == "kinds_differ"


@pytest.mark.parametrize(
    "where",
    ["COALESCE(b.person, b.person) = b.person", "COALESCE(b.person, b.person) = b.person AND b.seats > 0"],
)
def test_a_coalesce_of_one_source_joins_no_other(where: str) -> None:
    found = reasons(f"SELECT COUNT(*) AS n FROM tnm.visits AS a, francos.visits AS b WHERE {where}")
    assert "join_without_unit" in {each.code for each in found.refusals}
