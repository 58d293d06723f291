"""A member at home: the signed file of facts is all it needs, and a false one seals nothing to anybody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from room_samples import LATE, MEMBER, Place, audit, visits

from cleanroom.errors import CleanroomError, Fault, NotVerified, UsageError
from cleanroom.identifiers import PartyId
from cleanroom.partition.intent import Replace
from cleanroom.room import Home, Room, intake, registry, sending
from cleanroom.room.member_facts import LABEL, facts_here, facts_in, read_facts, sign_facts
from cleanroom.room.signed_request import SignedRequest
from key_management import TransportKey

if TYPE_CHECKING:
    from collections.abc import Callable

TABLE = visits(LATE)


@dataclass(frozen=True)
class AtHome:
    """A member's machine: its signing key, the linkage key, a file of facts; and the operator's key as it was told."""

    home: Home
    facts: Path
    operator_key: str


@pytest.fixture
def member(room: Room, place: Place, tmp_path: Path) -> AtHome:
    home = tmp_path / "member"
    for part in (f"parties/{LATE}", f"rooms/{room.room_id}/linkage"):
        shutil.copytree(place.home.path / part, home / part)
    facts = tmp_path / "late.facts"
    facts.write_bytes(sign_facts(room, TABLE))
    return AtHome(Home(home), facts, room.home.operator_public_key())


def test_a_member_uploads_with_its_home_and_the_facts_alone(room: Room, place: Place, member: AtHome) -> None:
    facts = read_facts(member.facts, member.home, operator_key=member.operator_key)
    assert replace(facts, at=0) == replace(facts_in(room, TABLE), at=0) == replace(facts_here(place.path, TABLE), at=0)
    prepared = sending.pack(member.home, facts, place.csv(LATE), member.facts.with_name("a.package"))
    assert intake(room, prepared.package).number == 1
    # The version moved on: a replacement needs facts that know it.
    stale = sending.pack(member.home, facts, place.csv(LATE), member.facts.with_name("b.package"), Replace())
    with pytest.raises(CleanroomError) as caught:
        intake(room, stale.package)
    assert caught.value.code == "table_moved_on"
    member.facts.write_bytes(sign_facts(room, TABLE))
    facts = read_facts(member.facts, member.home)
    again = sending.pack(member.home, facts, place.csv(LATE), member.facts.with_name("c.package"), Replace())
    assert intake(room, again.package).retires == 1
    audit(place)


def test_the_command_at_home_needs_neither_engine_nor_room(
    room: Room, place: Place, member: AtHome, tmp_path: Path
) -> None:
    hidden = place.path.rename(tmp_path / "elsewhere")
    package = tmp_path / "out.package"
    heavy = "{'duckdb', 'opendp', 'sqlglot', 'numba', 'Crypto'}"
    command = ["upload", "--facts", str(member.facts), str(TABLE), str(place.csv(LATE)), "--operator-key"]
    script = (
        "import sys; from cleanroom.cli import main\n"
        f"codes = [main({[*command, member.operator_key, '--dry-run']!r}), "
        f"main({[*command[:-1], '--package', str(package)]!r})]\n"
        f"sys.exit(0 if codes == [0, 0] and not {heavy} & set(sys.modules) else 9)"
    )
    environment = {**os.environ, "CLEANROOM_HOME": str(member.home.path), "CLEANROOM_LANG": "en"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env=environment, text=True)
    assert done.returncode == 0, done.stderr
    assert "dry run" in done.stdout
    hidden.rename(place.path)
    assert intake(room, package).number == 1


def test_an_operator_that_was_not_compared_is_not_believed(member: AtHome) -> None:
    with pytest.raises(UsageError) as caught:
        read_facts(member.facts, member.home)
    assert caught.value.code == "operator_unknown"
    assert member.operator_key in caught.value.message.en
    assert member.home.operator_key(_room(member)) is None
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    for wrong in (other, "00" * 32, "none"):
        with pytest.raises(NotVerified):
            read_facts(member.facts, member.home, operator_key=wrong)
    assert member.home.operator_key(_room(member)) is None
    read_facts(member.facts, member.home, operator_key=member.operator_key)
    read_facts(member.facts, member.home)
    with pytest.raises(NotVerified):
        read_facts(member.facts, member.home, operator_key=other)
    assert member.home.operator_key(_room(member)) == member.operator_key


def _room(member: AtHome) -> Any:
    return json.loads(member.facts.read_bytes().split(b"\n")[1])["room"]


def rewritten(member: AtHome, key: Ed25519PrivateKey, **changed: object) -> None:
    """Write the facts anew, signed by whoever holds `key`, with other contents."""
    signed = SignedRequest.decode(member.facts.read_bytes().split(b"\n")[1])
    forged = SignedRequest.sign(
        key,
        room=signed.room,
        party=PartyId("operator"),
        action="facts",
        content={**signed.content, **changed},
        at=signed.at,
    )
    member.facts.write_bytes(LABEL.encode() + b"\n" + forged.encode() + b"\n")


def test_a_false_transport_key_is_sealed_to_by_nobody(member: AtHome) -> None:
    """The attack that matters: facts that name the attacker's transport key, signed by the attacker."""
    attacker = Ed25519PrivateKey.generate()
    transport = TransportKey.generate().public_bytes().hex()
    claimed = attacker.public_key().public_bytes_raw().hex()
    whole = member.facts.read_bytes()
    for claim in (member.operator_key, claimed):
        rewritten(member, attacker, transport_key=transport, operator_key=claim)
        for told in (member.operator_key, None):
            with pytest.raises(CleanroomError) as caught:
                read_facts(member.facts, member.home, operator_key=told)
            assert caught.value.code in {"request_not_signed", "operator_key_changed", "operator_unknown"}
    member.facts.write_bytes(whole)
    read_facts(member.facts, member.home, operator_key=member.operator_key)
    rewritten(member, attacker, transport_key=transport, operator_key=claimed)
    with pytest.raises(NotVerified):
        read_facts(member.facts, member.home)


def test_not_even_the_operator_widens_a_declaration(room: Room, place: Place, member: AtHome) -> None:
    operator = room.home.signing_key(PartyId("operator"))
    declared = registry.declaration_request(room.connection, visits(MEMBER))[1].decode()
    wider = place.yaml(LATE).replace(b"tickets:", b"courriel_clair: {type: text, nullable: true}\n  tickets:")
    assert wider != place.yaml(LATE)
    for changed in (
        {"declaration": wider.decode()},
        {"declaration": place.yaml(MEMBER).decode(), "declared": declared},
        {"declared": declared},
    ):
        whole = member.facts.read_bytes()
        rewritten(member, operator, **changed)
        with pytest.raises(NotVerified):
            read_facts(member.facts, member.home, operator_key=member.operator_key)
        member.facts.write_bytes(whole)


def test_facts_of_another_log_than_the_known_one_are_refused(room: Room, member: AtHome, tmp_path: Path) -> None:
    operator = room.home.signing_key(PartyId("operator"))
    with Room.create(tmp_path / "other", home=room.home) as other:
        vkey, note = other.journal.log.verifier.vkey, other.journal.log.checkpoint(other.connection).decode()
    whole = member.facts.read_bytes()
    for changed in ({"log_key": vkey}, {"checkpoint": note}, {"log_key": vkey, "checkpoint": note}, {"log_key": "x"}):
        rewritten(member, operator, **changed)
        with pytest.raises(NotVerified) as caught:
            read_facts(member.facts, member.home, operator_key=member.operator_key)
        assert caught.value.code == "log_key_changed"
        member.facts.write_bytes(whole)
    read_facts(member.facts, member.home, operator_key=member.operator_key)
    remembered = member.home.room(room.room_id) / "checkpoint"
    assert remembered.read_bytes() == json.loads(whole.split(b"\n")[1])["content"]["checkpoint"].encode()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no label": lambda whole: whole.split(b"\n", 1)[1],
    "another label": lambda whole: whole.replace(b"/v1\n", b"/v2\n", 1),
    "cut": lambda whole: whole[:-40],
    "more": lambda whole: whole + b"x",
    "not JSON": lambda _: LABEL.encode() + b"\n{\n",
    "a list": lambda _: LABEL.encode() + b"\n[]\n",
    "deep": lambda _: LABEL.encode() + b"\n" + b"[" * 100_000 + b"\n",
    "a field less": lambda whole: whole.replace(b'"epoch"', b'"epoque"', 1),
    "another spelling": lambda whole: whole.replace(b'":"', b'": "', 1),
    "a bit": lambda whole: whole[:500] + bytes([whole[500] ^ 1]) + whole[501:],
}


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_facts_are_refused_with_a_clear_error(how: str, member: AtHome) -> None:
    member.facts.write_bytes(DAMAGES[how](member.facts.read_bytes()))
    with pytest.raises(CleanroomError) as caught:
        read_facts(member.facts, member.home, operator_key=member.operator_key)
    assert caught.value.code in {"invalid_facts", "request_not_signed", "operator_key_changed"}
    assert caught.value.message.fr != caught.value.message.en


def test_facts_of_another_members_table_are_of_no_use(room: Room, member: AtHome) -> None:
    member.facts.write_bytes(sign_facts(room, visits(MEMBER)))
    with pytest.raises(Fault) as caught:
        read_facts(member.facts, member.home, operator_key=member.operator_key)
    assert caught.value.code == "signing_key_missing"


def test_a_database_with_another_transport_key_makes_no_facts(room: Room) -> None:
    room.connection.execute("UPDATE room SET transport_key = ?", (TransportKey.generate().public_bytes(),))
    with pytest.raises(NotVerified) as caught:
        sign_facts(room, TABLE)
    assert caught.value.code == "transport_key_changed"


def test_without_the_other_members_linkage_key_nothing_is_made(member: AtHome, place: Place, tmp_path: Path) -> None:
    facts = read_facts(member.facts, member.home, operator_key=member.operator_key)
    (key,) = (member.home.path / "rooms").glob("*/linkage/*.key")
    content = key.read_text()
    key.unlink()
    with pytest.raises(Fault) as caught:
        sending.pack(member.home, facts, place.csv(LATE), tmp_path / "x.package")
    assert caught.value.code == "linkage_key_missing"
    key.write_text("\n".join([*content.split("\n")[:3], "0" * 64, ""]))
    key.chmod(0o600)
    with pytest.raises(UsageError) as wrong:
        sending.pack(member.home, facts, place.csv(LATE), tmp_path / "x.package")
    assert wrong.value.code == "wrong_linkage_key"
    assert not (tmp_path / "x.package").exists()
