"""Table files are read strictly: whatever YAML would guess at is refused, with its line, in both languages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.catalog import Date, Number, read_catalog, strict_yaml
from cleanroom.catalog.strict_yaml import Mapping, Scalar, Sequence, parse
from cleanroom.errors import InvalidDeclaration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def scalar(text: str) -> Scalar:
    node = parse(f"key: {text}\n".encode()).required("key")
    assert isinstance(node, Scalar)
    return node


REFUSED: dict[str, tuple[bytes, int]] = {
    "anchor": (b"a: 1\nb: &x 2\n", 2),
    "alias": (b"a: &x 1\nb: *x\n", 1),
    "alias alone": (b"a: 1\nb: *x\n", 2),
    "tag": (b"a: !!python/object:os.system 1\n", 1),
    "own tag": (b"a: 1\nb: !region x\n", 2),
    "directive": (b"%YAML 1.1\n---\na: 1\n", 1),
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", 3),
    "duplicate key, other quotes": (b"a: 1\n'a': 3\n", 2),
    "duplicate key inside": (b"x:\n  a: 1\n  a: 2\n", 3),
    "duplicate key in flow": (b"x: {a: 1, a: 2}\n", 1),
    "merge of an alias": (b"a: &x {c: 1}\nb:\n  <<: *x\n", 1),
    "list as key": (b"? [a]\n: 1\n", 1),
    "mapping as key": (b"{a: 1}: 2\n", 1),
    "two documents": (b"a: 1\n---\nb: 2\n", 2),
    "tab": (b"a:\n\tb: 1\n", 2),
    "not UTF-8": (b"a: 1\nb: \xff\n", 2),
    "NUL": (b"a: 1\nb: \0\n", 1),
    "empty": (b"", 1),
    "comment only": (b"# rien\n", 1),
    "list": (b"- 1\n- 2\n", 1),
    "word": (b"bonjour\n", 1),
    "open bracket": (b"a: [1, 2\n", 2),
    "over a megabyte": (b"a: " + b"x" * (1 << 20), 1),
    "deep": (b"a: " + b"[" * 40 + b"]" * 40, 1),
    "very deep": (b"a: " + b"[" * 2_000 + b"]" * 2_000, 1),
    "deep blocks": ("".join(f"{' ' * n}a:\n" for n in range(40)).encode() + b" " * 40 + b"1\n", 17),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_outside_the_subset_is_refused_with_its_line(name: str) -> None:
    content, line = REFUSED[name]
    with pytest.raises(InvalidDeclaration) as caught:
        parse(content)
    error = caught.value
    assert error.line == line
    assert error.message.fr.startswith(f"ligne {line} : ")
    assert error.message.en.startswith(f"line {line}: ")
    assert error.exit_code == 2


def test_a_merge_key_is_a_key_like_others_and_unknown() -> None:
    root = parse(b"<<: {a: 1}\nb: 2\n")
    assert [name for name, _ in root.entries] == ["<<", "b"]
    assert root.get("a") is None
    with pytest.raises(InvalidDeclaration):
        root.only("a", "b")


def test_a_byte_order_mark_hides_no_key() -> None:
    """It is read as no part of the first key, or refused; never kept in a name."""
    try:
        root = parse("\ufeffa: 1\n".encode())
    except InvalidDeclaration:
        return
    assert [name for name, _ in root.entries] == ["a"]


NOT_NUMBERS = [
    "1_000", "0x10", "0b1", "0o7", "1:30", ".inf", "-.inf", ".nan", "inf", "nan", "Infinity", "1,5", "1e", "e5", "--1",
    "1.2.3", "+", ".", "1 000", "'12'", '"12"', "１２", "٣", "1e9999", "yes", "true", "~", "null", "0x1p3", "1d", "1L",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_only_plain_numbers_are_numbers(text: str) -> None:
    node = scalar(text)
    for read in (node.as_decimal, node.as_integer):
        with pytest.raises(InvalidDeclaration) as caught:
            read()
        assert caught.value.line == 1


@pytest.mark.parametrize("text", ["1.0", "1e3", "1.", "12345678901234567890"])
def test_integers_are_written_as_integers(text: str) -> None:
    scalar(text).as_decimal()
    with pytest.raises(InvalidDeclaration):
        scalar(text).as_integer()


@pytest.mark.parametrize(
    ("text", "value"), [("007", "7"), ("-0", "0"), ("1e-7", "0.0000001"), ("+.5", "0.5"), ("1E3", "1000")]
)
def test_numbers_are_exact(text: str, value: str) -> None:
    assert scalar(text).as_decimal() == Decimal(value)


@pytest.mark.parametrize(
    "text", ["yes", "no", "on", "off", "True", "FALSE", "y", "1", "'true'", '"false"', "null", "~"]
)
def test_only_true_and_false_are_booleans(text: str) -> None:
    with pytest.raises(InvalidDeclaration):
        scalar(text).as_boolean()
    assert scalar("true").as_boolean()
    assert not scalar("false").as_boolean()


@pytest.mark.parametrize("text", ["no", "yes", "null", "~", "1e5", "2024-01-01", "0x10", "NaN", "on"])
def test_a_domain_keeps_words_as_they_are_written(text: str) -> None:
    node = parse(f"domain: [{text}, 'a']\n".encode()).required("domain")
    assert isinstance(node, Sequence)
    assert [item.text for item in node.scalars()] == [text, "a"]


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2023-02-29", "2024-1-1", "20240101", "2024-01-01T00:00:00", "2024/01/01", "24-01-01", "x"]
)
def test_only_days_are_days(text: str) -> None:
    with pytest.raises(InvalidDeclaration):
        scalar(text).as_date()


@given(st.dates(min_value=date(1000, 1, 1)))
@settings(max_examples=50, deadline=None)
def test_days_are_read_as_written(day: date) -> None:
    assert scalar(day.isoformat()).as_date() == day


@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,? \n\t0é", max_size=60).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused_with_a_line(content: bytes) -> None:
    assert 1 <= line_of(content) <= content.count(b"\n") + content.count(b"\r") + 4


def line_of(content: bytes) -> int:
    try:
        return parse(content).line
    except InvalidDeclaration as error:
        return error.line


def test_depth_is_refused_before_the_rest_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    scanned: list[object] = []
    whole = yaml.scan

    def scan(*arguments: Any, **rest: Any) -> Iterator[object]:
        for token in whole(*arguments, **rest):
            scanned.append(token)
            yield token

    monkeypatch.setattr(yaml, "scan", scan)
    with pytest.raises(InvalidDeclaration):
        parse(b"a: " + b"[" * 900 + b"]" * 900)
    assert len(scanned) < 100


TABLE = """\
table: tnm.visits
unit: {{name: person, from: courriel, kind: email}}
columns:
  x: {column}
limits: {{max_rows_per_person: 200}}
defaults: {{max_rows_contributed: 10, max_groups_contributed: 4}}
"""


def column(text: str) -> Any:
    (only,) = read_catalog(parse(TABLE.format(column=text).encode())).columns
    return only.type


WRONG_COLUMNS = [
    "{type: integer, bounds: [5, 1]}",
    "{type: integer, bounds: [1]}",
    "{type: integer, bounds: [1, 2, 3]}",
    "{type: integer, bounds: [0.5, 3]}",
    "{type: integer, bounds: [0, 2147483648]}",
    "{type: integer, bounds: [-2147483648, 0]}",
    "{type: integer, bounds: [0, .inf]}",
    "{type: integer, bounds: ['0', '3']}",
    "{type: integer, resolution: 1, bounds: [0, 3]}",
    "{type: decimal, bounds: [0, 3]}",
    "{type: decimal, resolution: 0, bounds: [0, 3]}",
    "{type: decimal, resolution: -0.01, bounds: [0, 3]}",
    "{type: decimal, resolution: 0.3, bounds: [0, 1]}",
    "{type: decimal, resolution: 1e-9, bounds: [0, 3]}",
    "{type: decimal, resolution: 1e-999, bounds: [0, 1e999]}",
    "{type: category, domain: []}",
    "{type: category, domain: [a, a]}",
    "{type: category, domain: [a, '']}",
    "{type: category, domain: public.regions.code}",
    '{type: category, domain: ["a\\u200b"]}',
    '{type: category, domain: ["a\\n"]}',
    "{type: date, range: [2024-01-02, 2024-01-01]}",
    "{type: date, range: [2024-01-01]}",
    "{type: text, domain: [a]}",
    "{type: float}",
    "{type: category, domain: [a], nullable: yes}",
    "{type: category, domaine: [a]}",
    "{domain: [a]}",
    "[a]",
    "text",
]


@pytest.mark.parametrize("text", WRONG_COLUMNS)
def test_a_wrong_column_is_refused_at_its_line(text: str) -> None:
    with pytest.raises(InvalidDeclaration) as caught:
        column(text)
    assert caught.value.line == 4
    assert caught.value.message.fr != caught.value.message.en


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("table: tnm.visits", "table: visits"), 1),
        (("table: tnm.visits", "table: TNM.visits"), 1),
        (("table: tnm.visits", "table: public.visits"), 1),
        (("table: tnm.visits", "table: tnm.visits.x"), 1),
        (("kind: email", "kind: fax"), 2),
        (("name: person", "name: Person"), 2),
        (("name: person", "name: x"), 4),
        (("from: courriel", "from: x"), 4),
        (("  x:", "  u:"), 4),
        (("  x:", "  X:"), 4),
        (("  x:", "  é:"), 4),
        (("200", "0"), 5),
        (("200", "65536"), 5),
        (("200", "1e2"), 5),
        (("max_rows_contributed: 10", "max_rows_contributed: 0"), 6),
        (("limits: {max_rows_per_person: 200}\n", ""), 1),
    ],
)
def test_a_wrong_catalog_is_refused_at_its_line(change: tuple[str, str], line: int) -> None:
    text = TABLE.format(column="{type: text}")
    assert change[0] in text
    with pytest.raises(InvalidDeclaration) as caught:
        read_catalog(parse(text.replace(*change).encode()))
    assert caught.value.line == line


@given(
    st.integers(0, 6).flatmap(
        lambda places: st.tuples(
            st.just(Decimal(1).scaleb(-places)),
            st.integers(-(2**31) + 1, 2**31 - 1),
            st.integers(-(2**31) + 1, 2**31 - 1),
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_bounds_and_resolutions_are_exact(drawn: tuple[Decimal, int, int]) -> None:
    resolution, one, other = drawn
    lower, upper = sorted((one, other))
    text = f"{{type: decimal, resolution: {resolution}, bounds: [{lower * resolution}, {upper * resolution}]}}"
    kind = column(text)
    assert isinstance(kind, Number)
    assert (kind.lower, kind.upper) == (lower, upper)
    assert Fraction(kind.resolution) == Fraction(resolution)
    for steps in (lower, upper):
        assert Fraction(kind.value(steps)) == steps * Fraction(resolution)
        assert kind.steps(kind.value(steps)) == steps


@given(st.integers(-(2**31) + 1, 2**31 - 2), st.fractions(min_value=Fraction(1, 100), max_value=Fraction(99, 100)))
@settings(max_examples=60, deadline=None)
def test_bounds_between_two_steps_are_refused(steps: int, part: Fraction) -> None:
    inside = Decimal(steps) + Decimal(int(part * 100)) / 100
    with pytest.raises(InvalidDeclaration):
        column(f"{{type: integer, bounds: [{inside}, 2147483647]}}")


@given(st.dates(), st.dates())
@settings(max_examples=60, deadline=None)
def test_ranges_are_exact(one: date, other: date) -> None:
    first, last = sorted((one, other))
    kind = column(f"{{type: date, range: [{first.isoformat()}, {last.isoformat()}]}}")
    assert isinstance(kind, Date)
    assert (kind.first, kind.last) == (first, last)
    assert kind.upper - kind.lower == (last - first).days


def test_a_near_miss_is_named() -> None:
    with pytest.raises(InvalidDeclaration, match="domain"):
        column("{type: category, domian: [a]}")


def test_the_limits_are_what_they_say() -> None:
    limit: Callable[[bytes], Mapping] = strict_yaml.parse
    filler = b"a: " + b"x" * ((1 << 20) - 4)
    assert limit(filler + b"\n").required("a")
    with pytest.raises(InvalidDeclaration):
        limit(filler + b"\n\n")
