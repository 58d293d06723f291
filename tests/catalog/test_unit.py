"""The unit of a table's file: kinds, number spaces and countries, and what does not go together."""

from __future__ import annotations

import pytest

from cleanroom.catalog import PrivacyUnit, read_catalog
from cleanroom.catalog.strict_yaml import parse
from cleanroom.errors import InvalidDeclaration
from cleanroom.identifiers import IdentifierKind

FILE = """\
table: tnm.visits
unit: {{name: person, from: id, {}}}
columns: {{seats: {{type: integer, bounds: [1, 12]}}}}
limits: {{max_rows_per_person: 200}}
defaults: {{max_rows_contributed: 10, max_groups_contributed: 4}}
"""


def unit(text: str) -> PrivacyUnit:
    return read_catalog(parse(FILE.format(text).encode())).unit


def test_units() -> None:
    assert unit("kind: email") == PrivacyUnit("person", "id", IdentifierKind.EMAIL)
    assert unit("kind: phone") == PrivacyUnit("person", "id", IdentifierKind.PHONE, region="CA")
    assert unit("kind: phone, region: FR") == PrivacyUnit("person", "id", IdentifierKind.PHONE, region="FR")
    assert unit("kind: opaque") == PrivacyUnit("person", "id", IdentifierKind.OPAQUE)
    assert unit("kind: opaque, namespace: tnm").namespace == "tnm"
    labels = ["kind: email", "kind: phone, region: FR", "kind: opaque", "kind: opaque, namespace: tnm"]
    assert [unit(text).token_kind for text in labels] == ["email", "phone", "opaque", "opaque:tnm"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: fax", "unknown kind 'fax' (email, phone, opaque)"),
        ("kind: phone, region: ca", "country in two capital letters"),
        ("kind: phone, region: QC", "country in two capital letters"),
        ("kind: phone, region: [CA, US]", "a single value is expected"),
        ("kind: email, region: CA", "region goes with kind: phone only"),
        ("kind: opaque, region: CA", "region goes with kind: phone only"),
        ("kind: phone, namespace: tnm", "namespace goes with kind: opaque only"),
        ("kind: email, namespace: tnm", "namespace goes with kind: opaque only"),
        ("kind: opaque, namespace: TNM", "is not a name"),
        ("kind: opaque, namespace: 'a:b'", "is not a name"),
        ("kind: opaque, space: tnm", "unknown key 'space'"),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidDeclaration) as caught:
        unit(text)
    assert said in caught.value.message.en
    assert caught.value.line == 2
