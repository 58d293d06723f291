"""What questions make of a public table, and that it is the one that was signed."""
# ruff: noqa: S608 - no text here comes from outside

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from reference_samples import BY_ZONE, ISQ, SHARED, ZONES, csv
from room_samples import MEMBER, OVERLAP, SECTOR, Place, ask, entries, kinds, spent

from audit_log import EventType, Outcome
from cleanroom.errors import Fault, Refused
from cleanroom.identifiers import Digest, party_id
from cleanroom.query.contribution import exact_vector
from cleanroom.query.reuse import Source
from cleanroom.room import Room, logbook, references, views
from cleanroom.room.signed_request import SignedRequest
from examples.season import PARTIES, Season

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_sector_questions_without_it_are_as_ever(room: Room, zones: references.Reference) -> None:
    assert ask(room, SECTOR).provenance.references == ()
