"""Public tables: who adds them, what the log says, what a question makes of them, what is refused (S19, S30)."""

# ruff: noqa: S608 - no text here comes from outside

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from room_samples import MEMBER, OVERLAP, SECTOR, Place, ask, entries, kinds, sector, spent

from audit_log import EventType, Outcome
from cleanroom.catalog.reference import MOST_COLUMNS, MOST_ROWS
from cleanroom.errors import CleanroomError, Fault, InvalidUpload, NotVerified, Refused, UsageError
from cleanroom.identifiers import Digest, party_id
from cleanroom.query.contribution import exact_vector
from cleanroom.query.reuse import Source
from cleanroom.room import Room, logbook, references, registry, views
from cleanroom.room.home import OPERATOR, Home
from cleanroom.room.journal import Journal
from cleanroom.room.signed_request import SignedRequest
from examples.season import PARTIES, REGIONS, Season

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ISQ = "Institut de la statistique du Québec, 2025"
NAMES = tuple(REGIONS)
ALONE = "bas_saint_laurent"
"""The region that the file of zones leaves out."""

ZONES = {name: ("est", "ouest")[at % 2] for at, name in enumerate(NAMES) if name != ALONE}
BY_ZONE = sector(
    "SELECT z.zone, SUM(tickets) AS billets FROM LEFT JOIN public.zones AS z ON s.region = z.region GROUP BY z.zone"
)
SHARED = (
    "SELECT z.zone, COUNT(DISTINCT person) AS n FROM theatre_fleuve.visits AS a JOIN nuits_claires.visits AS b"
    " USING (person) JOIN public.zones AS z ON a.region = z.region GROUP BY z.zone"
)


def csv(to: Path, rows: dict[str, str] | None = None, header: str = "region,zone") -> Path:
    """Write a file of zones."""
    lines = [header, *(f"{key},{value}" for key, value in (ZONES if rows is None else rows).items())]
    to.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return to


@pytest.fixture
def zones(room: Room, tmp_path: Path) -> references.Reference:
    return references.add(room, "zones", csv(tmp_path / "zones.csv"), source=ISQ)


def sees_nothing(room: Room, act: Callable[[], object], *error: type[CleanroomError]) -> CleanroomError:
    """Return the error of an act that changes nothing: no table, no entry, no request, no charge."""

    def state() -> object:
        stored = room.connection.execute("SELECT name, version FROM reference").fetchall()
        taken = room.connection.execute("SELECT count(*) FROM request").fetchone()
        return stored, taken, kinds(room), spent(room)

    before = state()
    with pytest.raises(error) as caught:
        act()
    assert state() == before
    assert not room.connection.in_transaction
    return caught.value


# Added, listed, shown


def test_a_table_is_added_signed_and_entered(place: Place, room: Room, zones: references.Reference) -> None:
    ((index, kind, details),) = [each for each in entries(room) if each[1] is EventType.REFERENCE_ADDED]
    assert (index, kind) == (zones.log_index, EventType.REFERENCE_ADDED)
    assert details["actor"] == OPERATOR
    assert (zones.name, zones.version, zones.source) == ("zones", 1, ISQ)
    said = {"name": "zones", "version": 1, "source": ISQ, "rows": len(ZONES), "columns": ["region", "zone"]}
    assert said.items() <= details.items()

    # An auditor checks the signature from the log alone.
    content = {"name": "zones", "digest": details["digest"], "rows": details["rows"], "source": details["source"]}
    request = SignedRequest(
        room.room_id,
        OPERATOR,
        references.ACTION,
        content,
        details["request"],
        details["requested_at"],
        bytes.fromhex(details["signature"]),
    )
    request.verify(registry.party_named(room.connection, OPERATOR).public_key, room.room_id, references.ACTION)

    # It is known by its content, and by nothing else.
    table = references.stored(room.connection, zones)
    assert Digest.of(table.content) == zones.digest == Digest.parse(str(details["digest"]))
    assert dict(table.shown.to_pandas().itertuples(index=False, name=None)) == ZONES
    assert logbook.verify(place.path, place.home).ok


def test_everybody_reads_it_and_that_is_entered(room: Room, zones: references.Reference) -> None:
    (listed,) = views.reference_tables(room)
    assert (listed.name, listed.source, listed.digest, listed.rows) == (
        "public.zones",
        ISQ,
        str(zones.digest),
        len(ZONES),
    )
    assert [each.name for each in listed.columns] == ["region", "zone"]
    assert views.reference_values(room, "zones").shown.num_rows == len(ZONES)
    reads = [said["read"] for _, kind, said in entries(room) if kind is EventType.CATALOG_READ]
    assert reads == ["references", "public.zones"]
    for name in ("zone", "public.zones", "Zones", ""):
        error = sees_nothing(room, lambda name=name: views.reference_values(room, name), UsageError)  # type: ignore[misc]
        assert error.code == "unknown_reference"


def test_only_who_has_the_operator_s_key_adds_one(place: Place, tmp_path: Path) -> None:
    """A member's machine has no such key, and the member's own signs for nobody else."""
    poor = Home(tmp_path / "poor")
    with place.open() as room:
        poor.write_root_key(room.room_id, place.home.root_key(room.room_id))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "home", poor)
            sees_nothing(room, lambda: references.add(room, "zones", csv(tmp_path / "z.csv"), source=ISQ), Fault)
        with pytest.MonkeyPatch.context() as patch:
            mine = place.home.signing_key(party_id(MEMBER))
            patch.setattr(Home, "signing_key", lambda *_: mine)
            before, log = spent(room), kinds(room)
            with pytest.raises(NotVerified) as caught:
                references.add(room, "zones", csv(tmp_path / "z.csv"), source=ISQ)
        assert caught.value.code == "request_not_signed"
        assert references.in_force(room.connection) == {}
        # That somebody tried is entered.
        assert (spent(room), kinds(room)) == (before, [*log, EventType.ACCESS_REFUSED])


@pytest.mark.parametrize("broken", ["log", "table"])
def test_entry_and_table_come_together_or_not_at_all(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    file = csv(tmp_path / "zones.csv")
    if broken == "log":

        def full(*_: object, **__: object) -> int:
            raise OSError("no space left")

        monkeypatch.setattr(Journal, "append", full)
    else:
        room.connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON main.reference BEGIN SELECT RAISE(ABORT, 'no space left'); END"
        )
    before = kinds(room)
    with pytest.raises((OSError, Fault)):
        references.add(room, "zones", file, source=ISQ)
    assert kinds(room) == before
    assert references.in_force(room.connection) == {}


def test_the_same_content_again_is_said_and_another_is_another_version(room: Room, tmp_path: Path) -> None:
    file = csv(tmp_path / "zones.csv")
    first = references.add(room, "zones", file, source=ISQ)
    again = csv(tmp_path / "copy.csv")
    again.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    error = sees_nothing(room, lambda: references.add(room, "zones", again, source=ISQ), UsageError)
    assert error.code == "reference_known"

    # The order of rows is part of the content: nobody has to wonder whether it matters.
    turned = csv(tmp_path / "turned.csv", dict(reversed(ZONES.items())))
    other = references.add(room, "zones", turned, source=ISQ)
    assert (first.version, other.version) == (1, 2)
    assert other.digest != first.digest
    assert references.in_force(room.connection) == {"zones": other}
    # Another source for the same values is another version of the same content.
    third = references.add(room, "zones", turned, source="Ville de Montréal, 2026")
    assert (third.version, third.digest) == (3, other.digest)
    versions = [said["version"] for _, kind, said in entries(room) if kind is EventType.REFERENCE_ADDED]
    assert versions == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "source", "code"),
    [
        ("Zones", ISQ, "invalid_name"),
        ("public.zones", ISQ, "invalid_name"),
        ("zönes", ISQ, "invalid_name"),
        ("", ISQ, "invalid_name"),
        ("zones; DROP TABLE reference", ISQ, "invalid_name"),
        ("zones", "", "source_required"),
        ("zones", " ", "source_required"),
        ("zones", "x" * 501, "source_required"),
        ("zones", "ISQ\n2025", "source_required"),
        ("zones", "ISQ\u202e", "source_required"),
    ],
)
def test_name_and_source_are_as_they_must_be(room: Room, tmp_path: Path, name: str, source: str, code: str) -> None:
    file = csv(tmp_path / "zones.csv")
    error = sees_nothing(room, lambda: references.add(room, name, file, source=source), UsageError)
    assert error.code == code
    assert error.message.fr != error.message.en


def test_a_room_has_so_many_public_tables(room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MOST_REFERENCES", 1)
    file = csv(tmp_path / "zones.csv")
    references.add(room, "zones", file, source=ISQ)
    error = sees_nothing(room, lambda: references.add(room, "autres", file, source=ISQ), UsageError)
    assert error.code == "too_many_references"
    references.add(room, "zones", file, source="ISQ, corrigé")


# Asked


def test_a_question_joins_it_and_groups_by_it(room: Room, zones: references.Reference, season: Season) -> None:
    """Within eight standard deviations of what the season's own table says: a false alarm is below 1e-14 a cell."""
    answer = ask(room, BY_ZONE, epsilon=8)
    mine = season.visits.filter(pl.col("organisation").is_in([p for p in PARTIES if p != "salle_grange"]))
    zone = pl.col("region").cast(pl.String).replace_strict(ZONES, default=None)
    truth = dict(mine.group_by(zone.alias("zone")).agg(pl.col("tickets").sum()).iter_rows())
    (scale,) = [found for label, found in answer.noise_scale if label == "billets"]
    assert scale is not None
    assert set(truth) == {"est", "ouest", None}
    shown = [None if isinstance(each, float) and math.isnan(each) else each for each in answer.table["zone"]]
    assert shown == ["est", "ouest", None]
    for at, value in enumerate(answer.table["billets"]):
        if not math.isnan(value):
            assert abs(value - truth[shown[at]]) < 8 * scale + 0.05 * truth[shown[at]]
    assert answer.table["billets"].notna().sum() >= 2
    # The digest is in the answer's provenance and in the entry of its charge.
    assert answer.provenance.references == (("public.zones", str(zones.digest)),)
    (charged,) = [said for _, kind, said in entries(room) if kind is EventType.QUERY_CHARGED]
    assert charged["references"] == [["zones", str(zones.digest)]]


def test_another_content_is_another_question_and_the_old_one_is_answered_still(room: Room, tmp_path: Path) -> None:
    file = csv(tmp_path / "zones.csv")
    references.add(room, "zones", file, source=ISQ)
    first = ask(room, SHARED)
    assert ask(room, SHARED).sources == (Source.STORED,)
    paid = spent(room)
    turned = csv(tmp_path / "turned.csv", {key: {"est": "ouest", "ouest": "est"}[zone] for key, zone in ZONES.items()})
    references.add(room, "zones", turned, source=ISQ)
    second = ask(room, SHARED)
    assert second.sources == (Source.DRAWN,)
    assert all(spent(room)[account] > paid[account] for account in ("room", f"{MEMBER}.visits"))
    paid = spent(room)
    # What names the content is its digest, not the version.
    references.add(room, "zones", file, source=ISQ)
    third = ask(room, SHARED)
    assert third.sources == (Source.STORED,)
    assert str(third.table) == str(first.table)
    assert spent(room) == paid
    plans = [said["plan"] for _, kind, said in entries(room) if kind is EventType.QUERY_CHARGED]
    assert len(set(plans)) == 2


JOINED = SHARED.split(" JOIN public", maxsplit=1)[0].replace("z.zone, ", "")
REFUSED = {
    "on the person": (SHARED.replace("a.region =", "a.person ="), "unit_use"),
    "using the person": (SHARED.replace("ON a.region = z.region", "USING (person)"), "unknown_name"),
    "RIGHT": (SHARED.replace("JOIN public", "RIGHT JOIN public"), "not_admitted"),
    "FULL": (SHARED.replace("JOIN public", "FULL JOIN public"), "not_admitted"),
    "SEMI": (f"{JOINED} SEMI JOIN public.zones AS z ON a.region = z.region", "not_admitted"),
    "ANTI": (f"{JOINED} ANTI JOIN public.zones AS z ON a.region = z.region", "not_admitted"),
    "IN": (f"{JOINED} WHERE a.region IN (SELECT region FROM public.zones)", "release_in_personal"),
    "NOT IN": (f"{JOINED} WHERE a.region NOT IN (SELECT region FROM public.zones)", "release_in_personal"),
    "EXISTS": (f"{JOINED} WHERE EXISTS (SELECT 1 FROM public.zones AS z WHERE z.region = a.region)", None),
    "person IN": (f"{JOINED} WHERE a.person IN (SELECT region FROM public.zones)", None),
    "UNION": (
        "SELECT COUNT(*) AS n FROM (SELECT person FROM nuits_claires.visits UNION SELECT zone FROM public.zones) AS t",
        "release_in_personal",
    ),
    "first": (
        "SELECT zone, COUNT(*) AS n FROM public.zones AS z JOIN nuits_claires.visits AS a USING (region) GROUP BY 1",
        "public_first",
    ),
    "filtered by people": (
        "SELECT zone FROM public.zones WHERE region IN (SELECT region FROM theatre_fleuve.visits)",
        None,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_s19_does_not_admit_is_refused(room: Room, zones: references.Reference, case: str) -> None:
    sql, code = REFUSED[case]
    before = spent(room)
    with pytest.raises(Refused) as caught:
        ask(room, sql, purpose="audience_overlap")
    assert code is None or code in {each.code for each in caught.value.refusals}
    assert spent(room) == before
    assert entries(room)[-1][1] is EventType.QUERY_REFUSED


def test_an_unknown_public_name_reads_as_any_unknown_name(room: Room, zones: references.Reference) -> None:
    said = []
    for name in ("public.secrets", "nuits_claires.secrets", "nullepart.secrets"):
        with pytest.raises(Refused) as caught:
            ask(room, SHARED.replace("public.zones", name))
        said.append([(r.code, r.message.en.replace(name, "…")) for r in caught.value.refusals])
    assert said[0] == said[1] == said[2] == [("unknown_name", "unknown name: …")]
    # A name that a person's table has is not one of a public table's.
    with pytest.raises(Refused):
        ask(room, SHARED.replace("public.zones", "public.visits"))


# Tampered with


def forged(room: Room, party: str) -> bytes:
    """Return a request for the same table that another party signed."""
    (content,) = [
        SignedRequest.decode(row[0]).content for row in room.connection.execute("SELECT request FROM reference")
    ]
    name = party_id(party)
    return SignedRequest.sign(
        room.home.signing_key(name),
        room=room.room_id,
        party=name,
        action=references.ACTION,
        content=dict(content),
        at=room.now(),
    ).encode()


TAMPERED: dict[str, tuple[str, Callable[[Room, bytes], object]]] = {
    "a zone": ("content", lambda _, held: held.replace(b'"ouest"', b'"est"', 1)),
    "another spelling of it": ("content", lambda _, held: held.replace(b",", b", ", 1)),
    "nothing": ("content", lambda *_: b""),
    "a digest": ("digest", lambda *_: str(Digest.of(b"other"))),
    "no digest": ("digest", lambda *_: "md5:00"),
    "a source": ("source", lambda *_: "Statistique Canada, 2025"),
    "a member's signature": ("request", lambda room, _: forged(room, MEMBER)),
    "no signature": ("request", lambda _, held: held.replace(b'"signature":"', b'"signature":"00')),
    "no request": ("request", lambda *_: b"{}"),
    "no JSON": ("request", lambda *_: b"\xff\x00"),
    "deep JSON": ("request", lambda *_: b"[" * 100_000),
    "a list": ("request", lambda *_: b"[1]"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_table_that_is_not_the_signed_one_refuses_before_anything_is_charged(
    room: Room, zones: references.Reference, case: str
) -> None:
    column, change = TAMPERED[case]
    (held,) = room.connection.execute(f"SELECT {column} FROM reference").fetchone()
    new = change(room, held)
    assert new != held
    room.connection.execute(f"UPDATE reference SET {column} = ?", (new,))
    before, log = spent(room), kinds(room)
    session = room.session(MEMBER)
    for act in (
        lambda: session.query(SHARED, purpose="audience_overlap", epsilon=0.1),
        lambda: session.preview(SHARED, purpose="audience_overlap", epsilon=0.1),
        lambda: session.check([{"id": 1, "sql": SHARED}], purpose="audience_overlap"),
    ):
        with pytest.raises(Fault) as caught:
            act()
        assert caught.value.code == "reference_damaged"
        assert "public.zones" in caught.value.message.fr
        assert "public.zones" in caught.value.message.en
    assert spent(room) == before
    assert kinds(room) == [*log, *[EventType.QUERY_REFUSED] * 3]
    index, _, said = entries(room)[-3]
    assert said["reasons"] == ["reference_damaged"]
    assert room.journal.log.entry(room.connection, index).event.outcome is Outcome.ERROR
    with pytest.raises(Fault):
        views.reference_tables(room)
    # It is mended by adding it anew, and a question that does not name it never minded.
    if case != "no digest":
        assert len(ask(room, OVERLAP).table)


def test_an_auditor_sees_a_table_that_nobody_added(place: Place, room: Room, zones: references.Reference) -> None:
    room.connection.execute("DELETE FROM reference")
    found = logbook.verify(place.path, place.home)
    assert not found.ok
    assert any("zones" in str(each) for each in found.contradictions)


def test_a_question_is_answered_with_the_table_that_admitted_it(
    room: Room, zones: references.Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table replaced while the question runs is not the question's."""
    other = csv(tmp_path / "other.csv", dict.fromkeys(ZONES, "nord"))

    def late(*given: Any, **named: Any) -> Any:
        references.add(room, "zones", other, source=ISQ)
        return exact_vector(*given, **named)

    monkeypatch.setattr("cleanroom.room.question.exact_vector", late)
    answer = ask(room, SHARED, epsilon=0.5)
    assert list(answer.table["zone"]) == ["est", "ouest"]
    assert answer.provenance.references == (("public.zones", str(zones.digest)),)


# Files

HEX = "0123456789abcdef"
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank": (b"\n\n\n", ""),
    "no rows": (b"region,zone\n", "no row"),
    "no header": (b"12,est\n13,ouest\n", "'12'"),
    "a header twice": (b"zone,zone\na,b\n", "'zone'"),
    "names that fold": ("Région,region\na,b\n".encode(), "'region'"),
    "names in two cases": (b"Zone,ZONE\na,b\n", "'zone'"),
    "uneven rows": (b"region,zone\na\nb,c,d\n", "fields"),
    "a null byte": (b"region,zone\na\x00,b\n", "0x00"),
    "no text": (bytes(range(256)) * 8, ""),
    "an empty column": (b"region,zone\na,\nb,\n", "'zone' is empty"),
    "a long text": (b"region,zone\na," + b"x" * 201 + b"\n", "more than 200"),
    "an invisible character": ("region,zone\na,b\u200bc\n".encode(), "unprintable"),
    "text turned round": ("region,zone\na,b\u202ec\n".encode(), "unprintable"),
    "too many rows": (b"n\n" + b"1\n" * (MOST_ROWS + 1), f"more than {MOST_ROWS} rows"),
    "too many columns": (
        ",".join(f"c{at}" for at in range(MOST_COLUMNS + 1)).encode() + b"\n" + b"1," * MOST_COLUMNS + b"1\n",
        f"more than {MOST_COLUMNS} columns",
    ),
    "an address": (b"region,contact\na,rien\nb,x@exemple.ca\n", "e-mail"),
    "a fullwidth address": ("region,contact\na,x\uff20exemple.ca\n".encode(), "e-mail"),
    "a token": (f"region,h\na,{HEX * 2}\n".encode(), "token"),
    "a digest in capitals": (f"region,h\na,{(HEX * 4).upper()}\n".encode(), "token"),
    "a UUID": (b"region,h\na,6ba7b810-9dad-11d1-80b4-00c04fd430c8\n", "token"),
    "phones": (b"region,ligne\na,514-555-0199\nb,418 555-0123\n", "phone"),
    "named courriel": (b"Courriel,zone\na,b\n", "'courriel'"),
    "named for a client's address": (b"courriel du client,zone\na,b\n", "'courriel_du_client'"),
    "named for a client's number": (b"No client,zone\na,b\n", "'no_client'"),
    "named as the room's person": (b"person,zone\na,b\n", "'person'"),
    "named as the token": (b"u,zone\na,b\n", "'u'"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_public_table_is_refused(room: Room, tmp_path: Path, case: str) -> None:
    content, said = FILES[case]
    file = tmp_path / "zones.csv"
    file.write_bytes(content)
    error = sees_nothing(room, lambda: references.add(room, "zones", file, source=ISQ), InvalidUpload)
    assert said in error.message.en
    assert error.message.fr != error.message.en
    assert not (b"exemple.ca" in content and "exemple.ca" in error.message.en), "the refusal repeats an address"


def test_a_huge_text_is_refused_by_its_size(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "zones.csv"
    file.write_text("zone\n" + "\n".join(f"{at:06d}{'x' * 190}" for at in range(MOST_ROWS)), encoding="utf-8")
    error = sees_nothing(room, lambda: references.add(room, "zones", file, source=ISQ), InvalidUpload)
    assert "MiB" in error.message.en


def test_ordinary_columns_of_people_s_numbers_are_no_identifiers(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "revenus.csv"
    file.write_text("region,revenu_par_personne,personnes_par_menage\na,41000,2.2\nb,39500,\n", encoding="utf-8")
    assert references.add(room, "revenus", file, source=ISQ).version == 1


def test_sector_questions_without_it_are_as_ever(room: Room, zones: references.Reference) -> None:
    assert ask(room, SECTOR).provenance.references == ()
