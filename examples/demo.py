"""Show the whole way on invented people: hand in, ask, be refused, see the account, verify the log.

    python examples/demo.py [--lang fr|en] [--persons N] [--keep DIRECTORY]

Every number printed is computed by the room while you watch; the true values beside them are known only because the
people are invented (`season.py`). Ends with status 1 if anything that must hold does not.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cleanroom
from audit_log import explain
from cleanroom.errors import Language
from cleanroom.identifiers import Role, TableName, party_id
from cleanroom.room import log_reading, logbook, upload, views
from examples.demo_details import read_at_home
from examples.demo_questions import (
    HOUSES,
    OBSERVATOIRE,
    THEATRE,
    Stage,
    ask_for_an_overlap,
    ask_for_the_sector,
    be_refused,
)
from examples.season import PARTIES, TABLE, make_season
from examples.story import Story

if TYPE_CHECKING:
    from examples.season import Season


def main(arguments: list[str] | None = None) -> int:
    """Play the demonstration; return the exit status."""
    options = _options(arguments)
    story = Story(Language(options.lang))
    with ExitStack() as stack:
        if options.keep is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cleanroom-demo-")))
        else:
            directory = options.keep
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        season = prologue(story, options.persons)
        files = season.write(directory / "members")
        home = cleanroom.Home(directory / "home")
        room = stack.enter_context(cleanroom.Room.create(directory / "room", home=home))
        stage = Stage(story, season, directory, files, room, home)
        found_a_room(stage)
        hand_in(stage)
        search_the_disk(stage)
        entry = ask_for_an_overlap(stage)
        ask_for_the_sector(stage)
        be_refused(stage)
        read_the_budget(stage)
        verify_the_log(stage, entry)
        read_at_home(stage, entry)
    return epilogue(story, options.keep)


def prologue(story: Story, persons: int) -> Season:
    """Invent the people."""
    title = story.words("La salle blanche, de bout en bout", "The clean room, end to end")
    print(f"{title}\n{'═' * len(title)}")
    story.say(
        f"Six organisations culturelles veulent savoir ensemble ce qu'aucune ne sait seule : combien de spectateurs "
        f"elles partagent, ce que vend le secteur. Aucune ne veut montrer ses gens aux autres. Les organisations et "
        f"les {story.number(persons)} personnes ci-dessous sont inventées ; tout le reste est vrai : chiffrement, "
        f"questions, bruit, journal.",
        f"Six cultural organisations want to learn together what none knows alone: how many visitors they share, what "
        f"the sector sells. None wants to show its people to the others. The organisations and the "
        f"{story.number(persons)} persons below are invented; all else is real: encryption, questions, noise, log.",
    )
    season = make_season(persons=persons)
    story.table(
        (story.words("organisation", "organisation"), story.words("id", "id"), *_people_and_rows(story)),
        (
            (
                HOUSES[party],
                party,
                story.number(season.at(party)["person"].n_unique()),
                story.number(season.at(party).height),
            )
            for party in PARTIES
        ),
        left=2,
    )
    return season


def found_a_room(stage: Stage) -> None:
    """Make the room, its parties, and what each owner declares."""
    story = stage.story
    story.chapter("Une salle, et ce que chaque propriétaire permet", "A room, and what each owner allows")
    story.command("cleanroom init room")
    for party in PARTIES:
        stage.room.add_party(party, Role.MEMBER)
    stage.room.add_party(OBSERVATOIRE, Role.OBSERVATOIRE)
    story.command(
        f"cleanroom party add room {THEATRE} --role member",
        "…",
        f"cleanroom party add room {OBSERVATOIRE} --role observatoire",
    )
    for declared, _ in stage.files.values():
        stage.room.declare(declared.read_bytes())
    story.command(f"cleanroom declare room members/{stage.files[THEATRE][0].name}")
    story.say(
        "Chaque membre signe un fichier lisible : ses colonnes, leurs valeurs possibles, qui peut demander quoi, et "
        "un budget de vie privée (epsilon 20, pour toujours). Voici la règle du Théâtre du Fleuve pour les autres "
        "membres :",
        "Each member signs a file that people can read: its columns, their possible values, who may ask what, and a "
        "privacy budget (epsilon 20, for ever). This is Théâtre du Fleuve's rule for the other members:",
    )
    lines = stage.files[THEATRE][0].read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if "- name: overlaps" in line)
    print("\n" + "\n".join(f"    {line.partition('#')[0].rstrip()}" for line in lines[start : start + 9]))


def hand_in(stage: Stage) -> None:
    """Hand in each member's sales."""
    story = stage.story
    story.chapter("Les membres déposent leurs ventes", "The members hand in their sales")
    story.command(f"cleanroom upload room {THEATRE}.{TABLE} members/{stage.files[THEATRE][1].name}")
    lines, rows = [], 0
    left_home: set[str] = set()
    began = time.monotonic()
    for party, (_, sales) in stage.files.items():
        start = time.monotonic()
        prepared, taken = upload(stage.room, TableName(party_id(party), TABLE), sales)
        rate = prepared.rows / (time.monotonic() - start)
        assert taken is not None  # noqa: S101 -- it was handed in, not kept as a package
        lines.append((party, story.number(prepared.rows), story.number(rate), f"n° {taken.receipt.index}"))
        rows += prepared.rows
        left_home.update(prepared.dropped_columns)
    rate = rows / (time.monotonic() - began)
    whole = (story.words("ensemble", "together"), story.number(rows), story.number(rate), "")
    story.table(
        (
            "table",
            story.words("lignes", "rows"),
            story.words("lignes/s", "rows/s"),
            story.words("reçu : entrée", "receipt: entry"),
        ),
        [*lines, whole],
    )
    dropped = ", ".join(sorted(left_home))
    story.say(
        f"Chez le membre, chaque courriel devient un jeton (HMAC sous une clé que seuls les membres ont, sauf dans un "
        f"essai comme celui-ci), les colonnes non déclarées ({dropped}) sont laissées sur place, le reste est chiffré, "
        f"scellé pour la salle et signé. Le courriel ne voyage jamais.",
        f"At the member's, each e-mail becomes a token (HMAC under a key that only members have, but in a trial like "
        f"this one), undeclared columns ({dropped}) stay behind, the rest is encrypted, sealed to the room and signed. "
        f"The e-mail itself never travels.",
    )


def search_the_disk(stage: Stage) -> None:
    """Look for people and keys in the room's directory."""
    story = stage.story
    story.chapter("Ce qui est sur le disque de la salle", "What lies on the room's disk")
    files = sorted(path for path in stage.room.path.rglob("*") if path.is_file())
    story.table(
        (story.words("fichier", "file"), story.words("octets", "bytes"), story.words("commence par", "begins with")),
        (
            (
                _short(str(path.relative_to(stage.room.path)), 46),
                story.number(path.stat().st_size),
                path.read_bytes()[:12].hex(" ") if path.suffix != ".yaml" else story.words("(texte)", "(text)"),
            )
            for path in files
            if path.stat().st_size
        ),
    )
    story.say(
        "« 50 41 52 45 » (PARE) marque un Parquet chiffré jusqu'à son pied. room.db tient en clair les "
        "déclarations, les manifestes des dépôts, les comptes et les entrées du journal ; chiffrés, les clés et les "
        "détails du journal.",
        "'50 41 52 45' (PARE) marks a Parquet file encrypted down to its footer. room.db holds declarations, uploads' "
        "manifests, accounts and log entries in clear, keys and the log's details encrypted.",
    )
    # Every invented address, however it is written, contains this word, and so does no other text.
    mark = b"fictif"
    sales = sum(csv.read_bytes().lower().count(mark) for _, csv in stage.files.values())
    content = [path.read_bytes() for path in files]
    found = sum(each.lower().count(mark) for each in content)
    story.command("grep -ric fictif members room")
    story.check(
        found == 0 < sales,
        f"« fictif » est dans chaque adresse : {story.number(sales)} fois dans les fichiers des membres, "
        f"{story.number(found)} fois dans la salle",
        f"'fictif' is in each address: {story.number(sales)} times in the members' files, "
        f"{story.number(found)} times in the room",
    )
    keys = [path for path in stage.home.path.rglob("*") if path.suffix == ".key"]
    secrets = [bytes.fromhex(path.read_text("ascii").split()[-1]) for path in keys]
    story.check(
        len(secrets) > len(PARTIES)
        and not any(secret in each or secret.hex().encode() in each for secret in secrets for each in content),
        f"aucune des {len(secrets)} clés (signature, appariement, racine) n'y est",
        f"none of the {len(secrets)} keys (signing, linkage, root) is there",
    )


def read_the_budget(stage: Stage) -> None:
    """Show what was spent."""
    story = stage.story
    story.chapter("Ce que les réponses ont coûté", "What the answers cost")
    story.command("cleanroom budget room")
    accounts = views.budgets(stage.room)
    story.table(
        (
            story.words("compte", "account"),
            story.words("accordé", "granted"),
            story.words("dépensé", "spent"),
            story.words("reste du budget", "of the budget left"),
        ),
        (
            (
                story.words("la salle entière", "the whole room") if each.account == "room" else each.account,
                f"ε {story.number(float(each.epsilon_granted))}",
                f"ε {story.number(each.epsilon_spent, 2)}",
                story.percent(float(each.rho_left) / float(each.rho_max), 1),
            )
            for each in accounts
        ),
    )
    story.say(
        "La ligne de la salle dit ce qu'une personne peut perdre au plus, toutes réponses réunies. Une table paie "
        "chaque question qui la lit, et davantage quand d'autres sont lues avec elle : la réponse ne doit pas non plus "
        "dire à un membre lequel de ses propres spectateurs va aussi chez un autre. Les epsilons de plusieurs "
        "questions ne s'additionnent pas : le compte exact, et ce qui reste, est tenu en ρ (docs/adr/0003).",
        "The room's line says what a person can lose at most, all answers together. A table pays for each question "
        "that reads it, and more when others are read with it: nor must the answer tell a member which of its own "
        "visitors also goes to another. Epsilons of several questions do not add up: the exact account, and "
        "what is left, is kept in ρ (docs/adr/0003).",
    )
    tables = [each for each in accounts if each.account != "room"]
    story.check(
        len(tables) == len(PARTIES) and all(0 < each.epsilon_spent <= float(each.epsilon_granted) for each in accounts),
        "chaque compte a payé, aucun n'est dépassé",
        "each account has paid, none is overdrawn",
    )


def verify_the_log(stage: Stage, entry: int) -> None:
    """Verify the log in place, exported, and tampered with."""
    story = stage.story
    language: Final = "fr" if story.language is Language.FR else "en"
    story.chapter("Le journal, vérifié, puis falsifié", "The log, verified, then falsified")
    story.command("cleanroom log room")
    lines = list(log_reading.read(stage.room))
    story.table(
        (story.words("entrée", "entry"), story.words("qui", "who"), story.words("quoi", "what")),
        (
            (f"{line.index:>6}", str(line.actor), line.envelope.event.type.value)
            for line in lines
            if line.index >= entry - 2
        ),
        left=3,
    )
    story.say(
        "Chaque question est d'abord payée (query.charged), puis les clés s'ouvrent (key.used), puis la réponse sort "
        "(query.released) : trois entrées, écrites avant ce qu'elles consignent. Le texte des questions est chiffré.",
        "Each question is first paid for (query.charged), then keys open (key.used), then the answer leaves "
        "(query.released): three entries, written before what they record. The texts of questions are encrypted.",
    )
    text = b"COUNT(DISTINCT nous.person)"
    story.check(
        not any(text in path.read_bytes() for path in stage.room.path.rglob("*") if path.is_file()),
        "le texte de la question du théâtre ne se trouve dans aucun fichier de la salle",
        "the text of the theatre's question is in no file of the room",
    )
    story.command("cleanroom log verify room")
    found = logbook.verify(stage.room.path, stage.home)
    said = explain(found.verdict, language)
    story.check(
        found.ok and found.reconciled,
        f"{said} Chaque octet des partitions est celui qui fut déposé ; budgets, dépenses, déclarations, dépôts et "
        f"parties sont ce que dit le journal.",
        f"{said} Each byte of the partitions is as it was handed in; budgets, spending, declarations, uploads and "
        f"parties are what the log says.",
    )

    story.say(
        "Une auditrice reçoit une copie exportée et la clé publique du journal ; sa machine ne sait rien d'autre de la "
        "salle.",
        "An auditor receives an exported copy and the log's public key; her machine knows nothing else of the room.",
    )
    export, auditor = stage.directory / "export", cleanroom.Home(stage.directory / "auditor")
    log_reading.export(stage.room, export)
    story.command("cleanroom log export room export", "cleanroom log verify export --vkey log.vkey")
    vkey = stage.directory / "log.vkey"
    shutil.copyfile(stage.room.path / "log.vkey", vkey)
    verdict = logbook.verify(export, auditor, vkey_file=vkey).verdict
    story.check(verdict.ok, explain(verdict, language), explain(verdict, language))

    story.say(
        f"Quelqu'un voudrait que la réponse au théâtre (entrée {entry}) n'ait pas été donnée, et change un seul bit de "
        f"la copie :",
        f"Somebody would like the answer to the theatre (entry {entry}) not to have been given, and changes one bit of "
        f"the copy:",
    )
    falsified = stage.directory / "falsified"
    falsify(export, falsified, entry, of=len(lines) + 1)
    story.command("cleanroom log verify falsified --vkey log.vkey")
    verdict = logbook.verify(falsified, auditor, vkey_file=vkey).verdict
    said = explain(verdict, language)
    story.check(
        not verdict.ok and verdict.index == entry,
        f"trouvé : {said}" if not verdict.ok else "la falsification n'a pas été trouvée",
        f"found: {said}" if not verdict.ok else "the falsification was not found",
    )


def falsify(export: Path, copy: Path, entry: int, *, of: int) -> None:
    """Copy an exported log and flip one bit of an entry; entries have one length, so its place is known."""
    shutil.copytree(export, copy)
    bundle = sorted(path for path in (copy / "tile" / "entries").rglob("*") if path.is_file())[entry // 256]
    content = bytearray(bundle.read_bytes())
    entries = min(256, of - entry // 256 * 256)
    content[len(content) // entries * (entry % 256) + len(content) // entries // 4] ^= 1
    bundle.write_bytes(content)


def epilogue(story: Story, kept: Path | None) -> int:
    """Say how it went; return the exit status."""
    if story.failed:
        story.say(
            f"{len(story.failed)} vérification(s) sur {story.checked} ont échoué ({story.seconds()}).",
            f"{len(story.failed)} of {story.checked} checks failed ({story.seconds()}).",
        )
        return 1
    story.say(
        f"Fin : {story.checked} vérifications sur {story.checked} tiennent, en {story.seconds()}. Tout s'est passé sur "
        f"une seule machine, avec toutes les clés au même endroit : cela montre le mécanisme et ne sépare personne. Ce "
        f"que la salle promet, et à qui il faut se fier : docs/privacy-promise.md, docs/threat-model.md.",
        f"The end: {story.checked} of {story.checked} checks hold, in {story.seconds()}. All of it took place on one "
        f"machine, with all keys in one place: this shows the mechanism and separates nobody. What the room promises, "
        f"and who must be trusted: docs/privacy-promise.md, docs/threat-model.md.",
    )
    if kept is not None:
        story.say("La salle est gardée ; posez-lui vos questions :", "The room is kept; ask it your own questions:")
        story.command(f"export CLEANROOM_HOME={kept}/home", f"cleanroom catalog {kept}/room --as {THEATRE}")
    return 0


def _people_and_rows(story: Story) -> tuple[str, str]:
    return story.words("personnes", "persons"), story.words("ventes", "sales")


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 9]}…{text[-8:]}"


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show the clean room end to end, on invented people.")
    parser.add_argument("--lang", choices=[each.value for each in Language], default=Language.FR.value)
    parser.add_argument("--persons", type=_persons, default=200_000, help="200 to 1 000 000 (default: 200 000)")
    parser.add_argument("--keep", type=_empty, metavar="DIR", help="work in DIR, which must be empty, and keep it")
    return parser.parse_args(arguments)


def _persons(text: str) -> int:
    number = int(text)
    if not 200 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("200 to 1 000 000")
    return number


def _empty(text: str) -> Path:
    path = Path(text).absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise argparse.ArgumentTypeError(f"{text} is not an empty directory")
    return path


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    sys.exit(main())
