"""Every door of the room: what it appends to the log, in order, and which effects wait until which entry is durable."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from door_scenes import DETAILS, FILE, KEY, ROWS, SEALED, Door, Scene
from room_samples import LATE, MEMBER, OVERLAP, Place, ask, visits

from audit_log import RETENTION_SECONDS, Retention
from audit_log import EventType as E
from cleanroom.errors import CleanroomError, Fault, NotVerified, Refused
from cleanroom.identifiers import ErasureGround, Role, party_id
from cleanroom.partition.intent import Replace
from cleanroom.room import (
    Room,
    declaring,
    erasure,
    intake,
    log_reading,
    log_retention,
    mandate_list,
    mandates,
    member_facts,
    own_uploads,
    question,
    reading_key,
    references,
    sending,
    upload,
    views,
    withdrawal,
    witnesses,
)
from cleanroom.room.access_register import access_register
from cleanroom.room.backup import backup
from cleanroom.room.erasure_order import order_erasure
from cleanroom.room.home import Home
from cleanroom.room.log_reading import Wanted
from cleanroom.room.member_facts import facts_in
from cleanroom.room.restoration import restore
from key_management import TransportKey

if TYPE_CHECKING:
    from pathlib import Path

    from cleanroom.identifiers import PartyId


def broken_draw(scene: Scene, _room: Room) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    scene.patch.setattr(question, "draw", fail)


def cut_short(scene: Scene, room: Room) -> None:
    """Leave a question charged, as a crash does."""

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with scene.patch.context() as patch:
        patch.setattr(question, "open_data_keys", fail)
        patch.setattr(question, "log_failure", lambda *_: None)
        with suppress(KeyboardInterrupt):
            ask(room)


def reopen(scene: Scene, _room: Room) -> None:
    scene.place.open().close()


def forged(_scene: Scene, room: Room) -> None:
    request = own_uploads.sign_reading(room, _party(MEMBER), None)
    own_uploads.own_uploads(room, dataclasses.replace(request, content={"table": "others"}))


def _party(name: str) -> PartyId:
    return party_id(name)


def _erase(room: Room) -> object:
    order = order_erasure(room, _party(MEMBER), ErasureGround.QC_28, ["quelqu.un@courriel.example"])
    return erasure.erase(room, order)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def damaged_package(scene: Scene, room: Room) -> object:
    package = _package(scene, room)
    package.write_bytes(package.read_bytes()[:-1])
    return intake(room, package)


def _package(scene: Scene, room: Room) -> Path:
    path = scene.tmp / "late.package"
    sending.pack(room.home, facts_in(room, visits(LATE)), scene.place.csv(LATE), path)
    return path


def year_later(_scene: Scene, room: Room) -> None:
    room.session(MEMBER).catalog()
    now = Room.now() + 2 * (RETENTION_SECONDS[Retention.ACCESS_1Y] or 0)
    room.now = lambda: now  # type: ignore[method-assign]


def policy(url: str) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from audit_log import Cosigner

    key = Cosigner("a.example/witness", Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier.vkey
    return f"witness a {key} {url}\nquorum a\n".encode()


SILENT = "http://127.0.0.1:9/none"


def first_steps(scene: Scene, _room: Room) -> None:
    """Make a room of its own and bring in the first member; its log is the scene's from then on."""
    place = Place(scene.tmp / "first", Home(scene.tmp / "keys"), scene.place.inputs)
    with Room.create(place.path, home=place.home) as room:
        room.add_party(MEMBER, Role.MEMBER)
        room.declare(place.yaml(MEMBER).replace(b"sector_statistics", b"statistics"))
        upload(room, visits(MEMBER), place.csv(MEMBER))
    scene.place, scene.start = place, 0


def signed(room: Room, name: str = MEMBER, action: str = log_reading.ACTION) -> Any:
    return log_reading.sign_log_reading(room, _party(name), Wanted(), action=action)


def restored(scene: Scene, room: Room) -> None:
    backup(room, scene.tmp / "room.backup")
    restore(scene.tmp / "room.backup", scene.tmp / "restored", scene.place.home)
    scene.place = dataclasses.replace(scene.place, path=scene.tmp / "restored")


def _rekeyed(_scene: Scene, room: Room) -> None:
    public = TransportKey.generate().public_bytes()
    reading_key.register_reading_key(
        room, public, reading_key.sign_reading_key(room.home, room.room_id, _party(MEMBER), public, at=room.now())
    )


def _vera(_scene: Scene, room: Room) -> None:
    room.add_party("vera", Role.AUDITOR)


def _mandated(room: Room) -> None:
    terms = mandates.Terms(_party("vera"))
    mandates.give_mandate(
        room, terms, mandates.sign_mandate(room.home, room.room_id, _party(MEMBER), terms, at=room.now())
    )


ANSWERED = (E.QUERY_CHARGED, E.KEY_USED, E.QUERY_RELEASED)
DOORS: dict[str, Door] = {
    "init, party add, declare, upload of the first": Door(
        first_steps,
        (E.ROOM_CREATED, E.PARTY_ADDED, E.TABLE_DECLARED, E.LINKAGE_REGISTERED, E.DATASET_UPLOADED),
    ),
    "query": Door(lambda _, room: ask(room), ANSWERED, {KEY: E.KEY_USED, ROWS: E.KEY_USED}),
    "query answered already": Door(lambda _, room: ask(room), (E.QUERY_REUSED,), {}, None, lambda _, room: ask(room)),
    "query that adds precision": Door(
        lambda _, room: ask(room, epsilon=0.2),
        ANSWERED,
        {KEY: E.KEY_USED, ROWS: E.KEY_USED},
        None,
        lambda _, room: ask(room),
    ),
    "query that fails": Door(
        lambda _, room: ask(room),
        (E.QUERY_CHARGED, E.KEY_USED, E.QUERY_FAILED),
        {KEY: E.KEY_USED, ROWS: E.KEY_USED},
        Fault,
        broken_draw,
    ),
    "query that a crash cut short, at the next opening": Door(
        reopen, (E.QUERY_FAILED,), {DETAILS: None}, None, cut_short
    ),
    "query refused": Door(lambda _, room: ask(room, "SELECT 1"), (E.QUERY_REFUSED,), {}, Refused),
    "preview": Door(
        lambda _, room: room.session(MEMBER).preview(OVERLAP, purpose="audience_overlap"), (E.QUERY_PREVIEWED,)
    ),
    "preview refused": Door(
        lambda _, room: room.session(MEMBER).preview("SELECT 1", purpose="statistics"),
        (E.QUERY_REFUSED,),
        {},
        Refused,
    ),
    "check": Door(
        lambda _, room: room.session(MEMBER).check([{"id": 1, "sql": OVERLAP}], purpose="audience_overlap"),
        (E.QUERY_PREVIEWED,),
    ),
    "catalog": Door(lambda _, room: room.session(MEMBER).catalog(), (E.CATALOG_READ,)),
    "budget": Door(lambda _, room: views.budgets(room), (E.BUDGET_READ,)),
    "reference list": Door(lambda _, room: views.reference_tables(room), (E.CATALOG_READ,)),
    "reference add, show": Door(
        lambda scene, room: (_reference(scene, room), views.reference_values(room, "villes")),
        (E.REFERENCE_ADDED, E.CATALOG_READ),
    ),
    "party key": Door(_rekeyed, (E.KEY_REGISTERED,)),
    "log mandate give": Door(lambda _, room: _mandated(room), (E.MANDATE_GIVEN,), {}, None, _vera),
    "log mandate withdraw": Door(
        lambda _, room: mandates.withdraw_mandates(
            room, mandates.sign_withdrawal(room.home, room.room_id, _party(MEMBER), _party("vera"), at=room.now())
        ),
        (E.MANDATE_WITHDRAWN,),
        {},
        None,
        lambda scene, room: (_vera(scene, room), _mandated(room)),
    ),
    "party add": Door(lambda _, room: room.add_party("vera", Role.AUDITOR), (E.PARTY_ADDED,)),
    "declare": Door(lambda scene, room: room.declare(scene.place.yaml(MEMBER)), (E.TABLE_DECLARED,)),
    "declare signed at home": Door(
        lambda scene, room: declaring.declare(room, _signed_at_home(scene, room)), (E.TABLE_DECLARED,)
    ),
    "a forged declaration": Door(
        lambda scene, room: declaring.declare(
            room, dataclasses.replace(_signed_at_home(scene, room), request=signed(room))
        ),
        (E.ACCESS_REFUSED,),
        {},
        NotVerified,
    ),
    "upload": Door(lambda scene, room: upload(room, visits(LATE), scene.place.csv(LATE)), (E.DATASET_UPLOADED,)),
    "upload --replace": Door(
        lambda scene, room: upload(room, visits(MEMBER), scene.place.csv(MEMBER), intent=Replace()),
        (E.DATASET_UPLOADED, E.KEY_DESTROYED),
    ),
    "upload refused": Door(damaged_package, (E.UPLOAD_REFUSED,), {}, CleanroomError),
    "uploads": Door(
        lambda _, room: own_uploads.own_uploads(room, own_uploads.sign_reading(room, _party(MEMBER), None)),
        (E.CATALOG_READ,),
        {DETAILS: E.CATALOG_READ},
    ),
    "withdraw": Door(
        lambda _, room: withdrawal.withdraw(room, withdrawal.sign_withdrawal(room, _party(MEMBER), visits(MEMBER))),
        (E.DATASET_WITHDRAWN, E.KEY_DESTROYED),
    ),
    "erase": Door(
        lambda _, room: _erase(room),
        (E.KEY_USED, E.DATASET_ERASED, E.KEY_DESTROYED),
        {KEY: E.KEY_USED, ROWS: E.KEY_USED},
    ),
    "erase, the disk full": Door(
        lambda _, room: _erase(room),
        (E.KEY_USED,),
        {KEY: E.KEY_USED},
        Fault,
        lambda scene, _: scene.patch.setattr(erasure, "rewrite", full_disk),
    ),
    "a forged request": Door(forged, (E.ACCESS_REFUSED,), {}, NotVerified),
    "facts": Door(lambda _, room: member_facts.sign_facts(room, visits(MEMBER)), (E.CATALOG_READ,)),
    "log mandate list": Door(
        lambda _, room: mandate_list.mandates_of(log_reading.read(room, mandate_list.ENTRIES)),
        (E.LOG_READ,),
        {DETAILS: E.LOG_READ},
        None,
        lambda scene, room: (_vera(scene, room), _mandated(room)),
    ),
    "log mandate list --as": Door(
        lambda _, room: mandate_list.mandates_of(
            log_reading.read(
                room,
                mandate_list.ENTRIES,
                request=log_reading.sign_log_reading(room, _party(MEMBER), mandate_list.ENTRIES),
            )
        ),
        (E.LOG_READ,),
        {DETAILS: E.LOG_READ},
        None,
        lambda scene, room: (_vera(scene, room), _mandated(room)),
    ),
    "log": Door(lambda _, room: list(log_reading.read(room)), (E.LOG_READ,), {DETAILS: E.LOG_READ}),
    "log --as": Door(
        lambda _, room: list(log_reading.read(room, request=signed(room))), (E.LOG_READ,), {DETAILS: E.LOG_READ}
    ),
    "log watch": Door(
        lambda _, room: log_reading.details_for(room, log_reading.sign_watching(room, _party(MEMBER)))(
            2, room.journal.log.entry(room.connection, 2)
        ),
        (E.LOG_READ,),
    ),
    "log register access": Door(lambda _, room: access_register(room, Wanted()), (E.LOG_READ,), {DETAILS: E.LOG_READ}),
    "log export": Door(
        lambda scene, room: log_reading.export(room, scene.tmp / "out"), (E.LOG_EXPORTED,), {FILE: E.LOG_EXPORTED}
    ),
    "log export --details": Door(
        lambda scene, room: log_reading.export(room, scene.tmp / "out", details=True),
        (E.LOG_EXPORTED,),
        {FILE: E.LOG_EXPORTED, SEALED: E.LOG_EXPORTED},
    ),
    "log witnesses": Door(lambda _, room: witnesses.set_witnesses(room, policy(SILENT)), (E.WITNESSES_SET,)),
    "log cosign, a witness silent": Door(
        lambda _, room: witnesses.cosign(room),
        (E.WITNESS_FAILED,),
        {},
        None,
        lambda _, room: witnesses.set_witnesses(room, policy(SILENT)),
    ),
    "log retention": Door(
        lambda _, room: log_retention.retention(room, dry_run=False), (E.RETENTION_EXECUTED,), {}, None, year_later
    ),
    "backup": Door(lambda scene, room: backup(room, scene.tmp / "room.backup"), (E.ROOM_SAVED,)),
    "restore": Door(
        restored,
        (E.ROOM_SAVED, E.ROOM_RESTORED),
        {DETAILS: None},  # state and log are compared before the room is opened again
    ),
}


def _signed_at_home(scene: Scene, room: Room) -> declaring.SignedDeclaration:
    return declaring.sign_declaration(room.home, room.room_id, scene.place.yaml(MEMBER), at=room.now())


def _reference(scene: Scene, room: Room) -> None:
    path = scene.tmp / "villes.csv"
    path.write_text("ville,region\nlaval,laval\nmontreal,montreal\n")
    references.add(room, "villes", path, source="liste fictive de la demonstration")
