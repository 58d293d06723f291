"""Every way that we know to falsify a register of accesses."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

A, B, C = "theatre_fleuve", "nuits_claires", "guichet_nord"


def without_row(said: dict[str, Any]) -> None:
    del said["rows"][0]


def without_row_and_counters(said: dict[str, Any]) -> None:
    """Leave an access out wherever it shows, and count on."""
    gone = said["rows"].pop(0)
    for each in said["completeness"].values():
        kept = [entry for entry in each["entries"] if entry[1] != gone["entry"]]
        each["entries"] = [[each["before"] + 1 + at, *entry[1:]] for at, entry in enumerate(kept)]
    said["rows"] = [row for row in said["rows"] if row["entry"] != gone["entry"]]


def narrower(said: dict[str, Any]) -> None:
    said["wanted"]["first"] = said["rows"][-1]["entry"]


def smaller(said: dict[str, Any]) -> None:
    said["size"] = said["rows"][-1]["entry"]


def invented(said: dict[str, Any]) -> None:
    row = deepcopy(said["rows"][0])
    row["entry"] -= 1
    said["rows"].append(row)


def field(name: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(said: dict[str, Any]) -> None:
        assert said["rows"][0][name] != value
        said["rows"][0][name] = value

    return change


def change(ended: str, /, **values: object) -> Callable[[dict[str, Any]], None]:
    """Change a row of those that end in a certain way."""

    def changed(said: dict[str, Any]) -> None:
        row = next(each for each in said["rows"] if each["outcome"] == ended)
        assert any(row[name] != value for name, value in values.items())
        row.update(values)

    return changed


def without(outcome: str, member: str, at: int) -> Callable[[dict[str, Any]], None]:
    def leave_out(said: dict[str, Any]) -> None:
        said["rows"].remove(
            [each for each in said["rows"] if (each["outcome"], each["member"]) == (outcome, member)][at]
        )

    return leave_out


def told_as_charge(said: dict[str, Any]) -> None:
    row = next(each for each in said["rows"] if each["outcome"] == "reused")
    row.update({name: said["rows"][0][name] for name in ("outcome", "key_entry", "outcome_entry", "cost")})


def anothers_charge(said: dict[str, Any]) -> None:
    """Name, of a stored answer from the data of B, a charge that opened the data of A alone."""
    entries = [row["entry"] for row in said["rows"] if row["outcome"] == "released"]
    alone = next(entry for entry in entries if entries.count(entry) == 1)
    row = [row for row in said["rows"] if (row["outcome"], row["member"]) == ("reused", B)][-1]
    assert alone < row["entry"]
    row["charged_by"] = [alone]


def keys_of_the_other_part(said: dict[str, Any]) -> None:
    row = next(each for each in said["rows"] if each["outcome"] == "released" and each["key_entry"] is None)
    row["key_entry"] = next(each for each in said["rows"] if each["entry"] == row["entry"] and each != row)["key_entry"]


def own_row_of_a_reuse(said: dict[str, Any]) -> None:
    """Leave out, of an answer that a member has again from its own data and others', the row for itself."""
    own = [each for each in said["rows"] if each["outcome"] == "reused" and each["member"] == each["party"]]
    among_others = [each for each in own if sum(other["entry"] == each["entry"] for other in said["rows"]) > 1]
    said["rows"].remove(among_others[0])


FALSIFIED: dict[str, Callable[[dict[str, Any]], None]] = {
    "an access left out": without_row,
    "an access left out of the counters too": without_row_and_counters,
    "an erasure left out": lambda said: said["erasures"].clear(),
    "an erasure told twice": lambda said: said["erasures"].append(deepcopy(said["erasures"][0])),
    "an erasure of another member": lambda said: said["erasures"][0].update(member=A),
    "an erasure on another ground": lambda said: said["erasures"][0].update(legal="qc-23"),
    "an erasure at another time": lambda said: said["erasures"][0].update(at=1),
    "an access told twice": lambda said: said["rows"].append(deepcopy(said["rows"][0])),
    "an access invented": invented,
    "another period than was drawn": narrower,
    "a smaller log": smaller,
    "another asker": field("party", "vera"),
    "another member": field("member", "vera"),
    "another purpose": field("purpose", "statistics"),
    "another legal ground": field("legal", "qc-21"),
    "another time": field("at", 1),
    "other rules": field("policy", "sha256:" + "0" * 64),
    "another counter": field("counter", 1),
    "another outcome": field("outcome", "failed"),
    "another entry of the outcome": lambda said: said["rows"][0].update(outcome_entry=said["rows"][0]["key_entry"]),
    "another entry of the keys": field("key_entry", 1),
    "no entry of the keys": field("key_entry", None),
    "keys of the part that was drawn for the one that was stored": keys_of_the_other_part,
    "an outcome kept silent": change("released", outcome="open", outcome_entry=None, answered_at=None),
    "a reused answer of a member left out": without("reused", A, 0),
    "a reused answer of a member left out, asked by the other": without("reused", B, 1),
    "a reused answer left out, asked by the one that it touches": without("reused", A, 2),
    "a reused answer left out whole": lambda said: said.update(
        rows=[row for row in said["rows"] if row["entry"] != said["rows"][-1]["entry"]]
    ),
    "a reused answer told as a charge": told_as_charge,
    "a charge told as a reused answer": change("released", outcome="reused", cost="0", key_entry=None),
    "a reused answer without outcome": change("reused", outcome="open", outcome_entry=None),
    "a reused answer at a cost": change("reused", cost="0.1"),
    "a first charge that is none": change("reused", charged_by=[1]),
    "a first charge of another's data": anothers_charge,
    "first charges kept silent": change("reused", charged_by=[]),
    "the asker's own row of a reused answer left out": own_row_of_a_reuse,
    "a first charge that comes later": change("released", charged_by=[1 << 20]),
    "a receipt of another entry": lambda said: said["receipts"].update(
        {str(said["rows"][0]["entry"]): said["receipts"][str(said["rows"][0]["key_entry"])]}
    ),
    "a receipt missing": lambda said: said["receipts"].clear(),
    "another state of the log": lambda said: said.update(checkpoint=said["checkpoint"].replace("\n", "\n1", 1)),
}
