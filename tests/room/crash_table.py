"""What can befall a table's life, what is found then, what to do: the table of docs/operators.md, and its tests.

`python tests/room/crash_table.py` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        found: what the driver finds on the disk after a kill or on a full disk: taken, waits, pending; None if the row
            is of another kind.
        tests: what shows it.
    """

    happens: str
    finds: str
    do: str
    found: tuple[tuple[bool, bool, bool], ...] = ()
    tests: tuple[str, ...] = ()


KILLED = "killed, or the disk full, "
POINTS = "tests/room/test_crash_table.py::test_nothing_acknowledged_is_lost_and_nothing_is_half_there"
HERE = "tests/room/test_crash_table.py"
OUTBOX, LIFE = "tests/room/test_outbox.py", "tests/room/test_table_life.py"
INTAKE = "tests/room/test_room_intake.py"
ERASURE = "tests/room/test_erasure_trouble.py"

ROWS = (
    Row(
        f"{KILLED}before the package is whole",
        "the room as it was; nothing waits",
        "the same command again",
        ((False, False, False),),
        (POINTS,),
    ),
    Row(
        f"{KILLED}after that, before the room's commit",
        "the room as it was; the package waits in the member's outbox",
        "the same command again, or `cleanroom upload --resume ROOM`",
        ((False, True, False),),
        (POINTS,),
    ),
    Row(
        f"{KILLED}after the commit, before the receipt is kept",
        "the upload is in; its package still waits",
        "the same: it gives the receipt of that upload, and makes no second one",
        ((True, True, False), (True, True, True)),
        (POINTS, f"{OUTBOX}::test_a_lost_receipt_is_given_again"),
    ),
    Row(
        f"{KILLED}while files are written anew without somebody who is erased",
        "the tables as they were; the log says that keys were opened; what was written opens with no key there is",
        "the same command again",
        ((False, False, False),),
        (POINTS, f"{ERASURE}::test_a_full_disk_leaves_the_tables_as_they_were"),
    ),
    Row(
        f"{KILLED}while keys are destroyed and files removed",
        "the new version is in force; old keys and files are still there",
        "nothing: the next opening of the room finishes it",
        ((True, False, True), (True, True, True)),
        (POINTS,),
    ),
    Row(
        f"{KILLED}after all of it",
        "the upload is in, the table withdrawn, or the person erased; the receipt may be missing",
        "nothing; `intake` of the same package gives the receipt again",
        ((True, False, False),),
        (POINTS,),
    ),
    Row(
        "a write torn in its middle",
        "as if killed before it: digests and SQLite's checksums leave it out",
        "the same command again",
        (),
        (f"{HERE}::test_a_torn_write_is_as_none",),
    ),
    Row(
        "two uploads of one table at once",
        "one after the other; both are in",
        "nothing",
        (),
        (f"{HERE}::test_two_uploads_at_once",),
    ),
    Row(
        "two uploads of two tables at once",
        "both are in",
        "nothing",
        (),
        (f"{HERE}::test_two_uploads_at_once",),
    ),
    Row(
        "one package handed in twice, also at once",
        "one upload; the same receipt twice",
        "nothing",
        (),
        (f"{HERE}::test_two_uploads_at_once", f"{INTAKE}::test_a_package_is_taken_once_and_its_receipt_is_given_again"),
    ),
    Row(
        "two replacements at once",
        "the first is in; the second is refused: `table_moved_on`",
        "look at `cleanroom uploads`, then make it again if it is still meant",
        (),
        (f"{HERE}::test_two_uploads_at_once",),
    ),
    Row(
        "two erasures at once, or an erasure and an upload",
        "the first is done; the second was made on what is no more, and is refused: `table_moved_on`",
        "the second command again",
        (),
        (f"{ERASURE}::test_two_erasures_at_once", f"{ERASURE}::test_an_erasure_and_an_upload_at_once"),
    ),
    Row(
        "a package cut short or changed, anywhere",
        "refused and logged; the part is named; nothing is kept",
        "make it again",
        (),
        (
            f"{HERE}::test_a_package_cut_at_any_boundary_is_refused",
            f"{INTAKE}::test_every_flipped_byte_of_a_package_is_refused",
        ),
    ),
    Row(
        "a package of another room, table, epoch, declaration, member or linkage key",
        "refused and logged; nothing is kept",
        "make it again for this room",
        (),
        (
            f"{INTAKE}::test_a_package_for_another_room_is_refused",
            f"{INTAKE}::test_a_package_for_another_declaration_is_refused",
            f"{INTAKE}::test_a_package_with_another_linkage_key_is_refused",
            f"{INTAKE}::test_a_package_signed_by_another_member_is_refused",
            f"{HERE}::test_a_package_of_another_epoch_or_table_is_refused",
        ),
    ),
    Row(
        "an old package again, after it was replaced, corrected or withdrawn",
        "its receipt, and in which version it was retired; nothing comes back",
        "nothing",
        (),
        (f"{LIFE}::test_an_old_package_handed_in_again_stays_retired",),
    ),
    Row(
        "a package made before the table was replaced or withdrawn or somebody erased, handed in after",
        "refused and logged: `table_moved_on`",
        "make it again, with new facts",
        (),
        (
            f"{LIFE}::test_a_package_held_back_is_not_taken_after_the_table_began_anew",
            "tests/room/test_erasure_orders.py::test_a_package_held_back_does_not_bring_them_back",
        ),
    ),
    Row(
        "a replacement or an erasure while a question is under way",
        "the question answers on the version that it charged, or fails, charged; never a mix",
        "nothing",
        (),
        (
            f"{LIFE}::test_a_replacement_waits_for_questions",
            f"{LIFE}::test_without_patience_the_question_fails_charged",
            f"{ERASURE}::test_a_question_under_way_answers_on_the_version_it_charged",
        ),
    ),
)


def lines() -> list[str]:
    """Return the table as the guide has it."""
    head = ["| what happens | what is found | what to do |", "|---|---|---|"]
    return head + [f"| {row.happens} | {row.finds} | {row.do} |" for row in ROWS]


if __name__ == "__main__":
    print("\n".join(lines()))
