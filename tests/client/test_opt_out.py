"""Those who said no: their rows stay at home, they are remembered as tokens, and a damaged list stops the upload."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.catalog import Category, Column, Contribution, PrivacyUnit, TableCatalog
from cleanroom.client import LinkageKey, Options, OptOut, OptOutMemory, read_identifiers
from cleanroom.client.gather import gather
from cleanroom.client.tokens import token
from cleanroom.errors import Fault, InvalidUpload, UsageError
from cleanroom.identifiers import Epoch, IdentifierKind, PartyId, RoomId, TableName
from key_management.secret import SecretKey

UNIT = PrivacyUnit("person", "courriel", IdentifierKind.EMAIL)
CATALOG = TableCatalog(
    TableName.parse("tnm.visits"),
    UNIT,
    (Column("region", Category(("laval", "estrie"), nullable=False)),),
    max_rows_per_person=9,
    contribution=Contribution(1, 1),
)
KIND = UNIT.token_kind
KEY = LinkageKey(RoomId("salle"), Epoch("2025"), SecretKey.generate())
PEOPLE = [f"p{number}@b.ca" for number in range(8)]


def those(*people: str) -> OptOut:
    return OptOut.of(pl.Series(people, dtype=pl.String), KIND, KEY)


def memory(home: Path, party: str = "tnm", key: LinkageKey = KEY) -> OptOutMemory:
    return OptOutMemory(home, PartyId(party), key)


@given(st.lists(st.sampled_from(PEOPLE), max_size=12), st.lists(st.sampled_from(PEOPLE), max_size=6), st.integers(1, 5))
def test_their_rows_stay_at_home(rows: list[str], no: list[str], batch_rows: int) -> None:
    frame = pl.DataFrame({"courriel": rows, "region": ["laval"] * len(rows)}, schema_overrides={"courriel": pl.String})
    gathered = gather(frame, CATALOG, KEY, Options(opt_out=those(*no), batch_rows=batch_rows))
    assert gathered.runs.rows == sum(who not in no for who in rows)
    assert (gathered.left_out.opted_out, gathered.left_out.listed) == (sum(who in no for who in rows), len(set(no)))


def test_another_kind_of_identifier_is_another_person() -> None:
    frame = pl.DataFrame({"courriel": [PEOPLE[0]], "region": ["laval"]})
    opaque = PrivacyUnit("person", "courriel", IdentifierKind.OPAQUE).token_kind
    listed = OptOut.of(pl.Series([PEOPLE[0]]), opaque, KEY)
    gathered = gather(frame, CATALOG, KEY, Options(opt_out=listed))
    assert (gathered.runs.rows, gathered.left_out.listed) == (1, 0)


def test_the_list_is_remembered_as_tokens_for_its_owner_alone(tmp_path: Path) -> None:
    assert len(memory(tmp_path).read()) == 0
    assert list(tmp_path.iterdir()) == []
    assert len(memory(tmp_path).add(those(*PEOPLE[:3]))) == 3
    assert len(memory(tmp_path).add(those(*PEOPLE[2:5]))) == 5
    assert len(memory(tmp_path).remove(those(PEOPLE[0], PEOPLE[7]))) == 4
    path = tmp_path / "rooms" / "salle" / "opt-out" / "tnm.2025"
    assert memory(tmp_path).path == path
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    content = path.read_text("ascii")
    assert "@" not in content
    expected = {token(KEY.secret, kind=KIND, epoch=KEY.epoch, value=who).hex() for who in PEOPLE[1:5]}
    assert set(memory(tmp_path).read().tokens(KIND)) == expected
    assert content.split("\n")[7:-1] == sorted(f"{KIND} {digits}" for digits in expected)
    assert len(memory(tmp_path, "francos").read()) == 0
    assert len(memory(tmp_path, "tn").read()) == 0


def test_an_emptied_list_is_a_list(tmp_path: Path) -> None:
    memory(tmp_path).add(those(PEOPLE[0]))
    assert len(memory(tmp_path).remove(those(PEOPLE[0]))) == 0
    assert len(memory(tmp_path).read()) == 0


def test_a_damaged_list_is_a_fault_wherever_it_is_damaged(tmp_path: Path) -> None:
    memory(tmp_path).add(those(*PEOPLE))
    path = memory(tmp_path).path
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Fault, match="opt-out list"):
            memory(tmp_path).read()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(Fault, match="opt-out list"):
            memory(tmp_path).read()
    for more in (b"\n", whole.split(b"\n")[-2] + b"\n", b"\xff"):
        path.write_bytes(whole + more)
        with pytest.raises(Fault, match="opt-out list"):
            memory(tmp_path).add(those("x@y.ca"))
    assert path.read_bytes() == whole + b"\xff"
    path.write_bytes(whole)
    assert len(memory(tmp_path).read()) == len(PEOPLE)


def test_a_list_of_another_room_party_or_key_is_a_fault(tmp_path: Path) -> None:
    memory(tmp_path).add(those(PEOPLE[0]))
    content = memory(tmp_path).path.read_bytes()
    other = LinkageKey(KEY.room, KEY.epoch, SecretKey.generate())
    with pytest.raises(Fault, match="of another linkage key"):
        memory(tmp_path, key=other).read()
    stolen = memory(tmp_path, "francos").path
    stolen.write_bytes(content)
    stolen.chmod(0o600)
    with pytest.raises(Fault, match="opt-out list"):
        memory(tmp_path, "francos").read()


def test_what_others_can_change_is_not_believed(tmp_path: Path) -> None:
    memory(tmp_path).add(those(PEOPLE[0]))
    path = memory(tmp_path).path
    path.chmod(0o622)
    with pytest.raises(Fault, match="chmod 600"):
        memory(tmp_path).read()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Fault, match="opt-out list"):
        memory(tmp_path).read()
    path.unlink()
    path.mkdir()
    with pytest.raises(Fault, match="opt-out list"):
        memory(tmp_path).read()
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(Fault, match="opt-out list"):
        memory(tmp_path).read()


def test_nobody_is_forgotten_when_the_epoch_changes(tmp_path: Path) -> None:
    memory(tmp_path).add(those(*PEOPLE[:2]))
    later = LinkageKey(KEY.room, Epoch("2026.1"), SecretKey.generate())
    with pytest.raises(Fault, match="is of epoch 2025") as stopped:
        memory(tmp_path, key=later).read()
    assert stopped.value.code == "opt_out_of_other_epoch"
    assert memory(tmp_path, key=later).of_other_epochs() == [("2025", 2)]
    again = OptOut.of(pl.Series(PEOPLE[:2]), KIND, later)
    assert len(memory(tmp_path, key=later).add(again)) == 2
    assert len(memory(tmp_path, key=later).read()) == 2
    memory(tmp_path).path.write_bytes(b"cut")
    with pytest.raises(Fault, match="opt-out list"):
        memory(tmp_path, key=LinkageKey(KEY.room, Epoch("2027"), SecretKey.generate())).read()


def test_an_empty_list_of_an_earlier_epoch_stops_nothing(tmp_path: Path) -> None:
    memory(tmp_path).add(those(PEOPLE[0]))
    memory(tmp_path).remove(those(PEOPLE[0]))
    assert len(memory(tmp_path, key=LinkageKey(KEY.room, Epoch("2026"), SecretKey.generate())).read()) == 0


def test_two_at_once_lose_nobody(tmp_path: Path) -> None:
    people = [f"q{number}@b.ca" for number in range(24)]
    threads = [threading.Thread(target=lambda who=who: memory(tmp_path).add(those(who))) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory(tmp_path).read()) == len(people)


def test_a_failing_disk_leaves_the_former_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory(tmp_path).add(those(PEOPLE[0]))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        memory(tmp_path).add(those(*PEOPLE))
    monkeypatch.undo()
    assert len(memory(tmp_path).read()) == 1
    assert len(list(memory(tmp_path).path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A@b.ca\r\n\r\n c@d.ca \n", ["a@b.ca", "c@d.ca"]),
        ("Courriel\na@b.ca", ["a@b.ca"]),
        ("a@b.ca", ["a@b.ca"]),
        ('nom;courriel\n"An;ne";a@b.ca\nLuc;C@d.ca\n', ["a@b.ca", "c@d.ca"]),
        ("courriel\n", []),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_lists_are_lines_or_a_column(tmp_path: Path, content: str, expected: list[str], encoding: str) -> None:
    path = tmp_path / "non.txt"
    path.write_bytes(content.encode(encoding))
    assert read_identifiers(path, UNIT).to_list() == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a@b.ca\nn/a\nc@d.ca\nAnne\n", "lines that are no identifiers: 2\n  line 2, 'n/a'\n  line 4, 'Anne'"),
        ("adresse\na@b.ca\n", "line 1, 'adresse'"),
        ("nom,courriel\nAnne,\n", "line 1, —"),
        ("nom,adresse\nAnne,a@b.ca\n", "or a column 'courriel'; there is: nom, adresse"),
        ("nom,courriel\nAnne\n", "too few fields"),
        ("", "the file is empty"),
    ],
)
def test_a_list_with_what_is_no_identifier_is_not_taken(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "non.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(InvalidUpload) as wrong:
        read_identifiers(path, UNIT)
    assert said in wrong.value.message.en
    with pytest.raises(UsageError):
        read_identifiers(tmp_path / "nulle part", UNIT)
