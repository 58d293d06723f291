"""Say what to do about a value that cannot be uploaded; a suggestion to a person, never a replacement."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from cleanroom.catalog import Category, Date, Number
from cleanroom.client.day_forms import DateForm, MomentForm
from cleanroom.client.number_forms import NumberForm
from cleanroom.client.values import ReasonKind
from cleanroom.errors import Bilingual

if TYPE_CHECKING:
    from cleanroom.catalog import ColumnType
    from cleanroom.client.written import WrittenForm

_ALIKE: Final = 0.75
_FEW_VALUES: Final = 6
_FORM_MATTERS: Final = frozenset({ReasonKind.MIXED_DATES, ReasonKind.NOT_A_DATE, ReasonKind.MIXED_MARKS})
_NOT_READ: Final = frozenset({ReasonKind.NOT_IN_DOMAIN, ReasonKind.NOT_A_DATE, ReasonKind.NOT_A_NUMBER})
_NOTHING_WORDS: Final = frozenset(
    {
        "",
        "na",
        "n a",
        "nd",
        "n d",
        "null",
        "nil",
        "none",
        "nan",
        "nat",
        "so",
        "s o",
        "vide",
        "blank",
        "inconnu",
        "unknown",
    }
)
"""What people and programs write where there is nothing, folded; signs alone fold to nothing at all."""

_EXCEL_ERRORS: Final = frozenset(
    {"#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!"}
)
NOBODY: Final = sorted(
    {"NULL", "NONE", "NAN", "NIL", "N/A", "NA", "N/D", "ND", "S/O", "-", "--", "—", "0", "?", "INCONNU", "UNKNOWN"}
    | _EXCEL_ERRORS
)
"""What stands for no customer where a number should be, in capitals."""

_SERIAL: Final = re.compile(r"[1-9][0-9]{4}(?:[.,][0-9]+)?", re.ASCII)
_UNPADDED: Final = re.compile(r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}\b.*", re.ASCII)
_THOUSAND: Final = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}", re.ASCII)
_LONG_FRACTION: Final = re.compile(r"[^.,]*[.,][0-9]{9,}", re.ASCII)


def hint(value: str | None, reason: ReasonKind, kind: ColumnType | None, form: WrittenForm | None) -> Bilingual | None:
    """Return what may be meant or done, or None where the reason says it all.

    Args:
        value: as it is written, perhaps shortened; None for nothing.
        kind: the column's declared type; None for the identifier's column.
        form: in which form the column is read; None where it has none.
    """
    if value is None:
        return _missing() if reason is ReasonKind.MISSING and kind is not None else None
    if kind is None:
        named = reason is ReasonKind.NO_IDENTIFIER and value.strip()
        return Bilingual("cela ne nomme personne", "that names nobody") if named else None
    text = value.strip()
    if reason is ReasonKind.NOT_IN_DOMAIN and isinstance(kind, Category):
        near = near_category(text, kind)
        if near is not None:
            return Bilingual(f"serait-ce « {near} » ?", f"is it {near!r}?")
    if reason in _NOT_READ:
        if text.upper() in _EXCEL_ERRORS:
            return Bilingual("erreur d'Excel : corrigez la formule", "an Excel error: mend the formula")
        if is_word_for_nothing(text):
            return _nothing_meant(kind)
        if isinstance(kind, Category):
            return _declared(kind)
    match kind:
        case Date():
            return _about_date(text, reason, kind, form)
        case Number():
            return _about_number(text, reason, kind, form)
    return None


def is_word_for_nothing(text: str) -> bool:
    """Tell whether a value is what people write where there is nothing: N/D, NULL, a dash."""
    return len(text) <= 12 and fold_text(text.replace(".", "")) in _NOTHING_WORDS


def near_category(text: str, kind: Category) -> str | None:
    """Return the value of the domain that is nearest: the same but for case, accents and signs, else much alike."""
    folded: dict[str, str] = {}
    for value in kind.domain:
        folded.setdefault(fold_text(value), value)
    wanted = fold_text(text)
    if wanted in folded:
        return folded[wanted]
    near = difflib.get_close_matches(wanted, folded, n=1, cutoff=_ALIKE)
    return folded[near[0]] if near else None


def _missing() -> Bilingual:
    return Bilingual("remplissez-la, ou déclarez « nullable: true »", "fill it in, or declare 'nullable: true'")


def _declared(kind: Category) -> Bilingual:
    if len(kind.domain) <= _FEW_VALUES:
        values = ", ".join(kind.domain)
        return Bilingual(f"déclaré : {values} ; traduisez par --map", f"declared: {values}; translate by --map")
    return Bilingual(
        "traduisez par --map, ou ajoutez-la à la déclaration", "translate by --map, or add it to the declaration"
    )


def _nothing_meant(kind: ColumnType) -> Bilingual:
    if kind.nullable:
        return Bilingual(
            "si cela veut dire « rien », laissez la case vide", "if that means nothing, leave the cell empty"
        )
    return Bilingual(
        "si cela veut dire « rien », la colonne doit être déclarée « nullable: true » et la case vide",
        "if that means nothing, declare the column with 'nullable: true' and leave the cell empty",
    )


def _about_date(text: str, reason: ReasonKind, kind: Date, form: WrittenForm | None) -> Bilingual | None:
    day = form.day if isinstance(form, MomentForm) else form
    match reason:
        case ReasonKind.MIXED_DATES if day is DateForm.ISO and "/" in text:
            return Bilingual(
                "la colonne est lue en AAAA-MM-JJ ; si Excel l'a faite, il a pu y intervertir jours et mois : "
                "importez-la de nouveau comme texte",
                "the column is read as YYYY-MM-DD; if Excel made it, days and months may be swapped in it: import it "
                "again as text",
            )
        case ReasonKind.SHORT_YEAR:
            return Bilingual(
                "dites l'ordre : --dates JJ/MM/AA, --dates AA-MM-JJ…",
                "say the order: --dates DD/MM/YY, --dates YY-MM-DD…",
            )
        case ReasonKind.ZONED_TIME:
            return Bilingual("exportez l'heure locale, sans fuseau", "export the local time, without a zone")
        case ReasonKind.NO_SUCH_DAY if day is DateForm.SLASHES:
            return Bilingual(
                "la colonne est lue en JJ/MM/AAAA ; si le mois est d'abord : --dates MM/JJ/AAAA",
                "the column is read as DD/MM/YYYY; if the month comes first: --dates MM/DD/YYYY",
            )
        case ReasonKind.OUT_OF_BOUNDS:
            return Bilingual(f"déclaré : de {kind.first} à {kind.last}", f"declared: {kind.first} to {kind.last}")
    if reason is ReasonKind.NOT_A_DATE and _SERIAL.fullmatch(text) is not None:
        return Bilingual(
            "numéro de jour d'Excel ? mettez la colonne au format Date et exportez de nouveau",
            "an Excel day number? format the column as Date and export again",
        )
    if reason is ReasonKind.NOT_A_DATE and form is None and _UNPADDED.fullmatch(text) is not None:
        return Bilingual(
            "dites l'ordre : --dates J/M/AAAA ou --dates M/J/AAAA",
            "say the order: --dates D/M/YYYY or --dates M/D/YYYY",
        )
    return _read_as(reason, form)


def _about_number(text: str, reason: ReasonKind, kind: Number, form: WrittenForm | None) -> Bilingual | None:
    match reason:
        case ReasonKind.OUT_OF_BOUNDS:
            lower, upper = kind.value(kind.lower), kind.value(kind.upper)
            return Bilingual(f"déclaré : de {lower:f} à {upper:f}", f"declared: {lower:f} to {upper:f}")
        case ReasonKind.NOT_A_MULTIPLE:
            if _THOUSAND.fullmatch(text) is not None:
                return Bilingual(
                    "mille, ou des décimales ? écrivez 1000 ou 1,00", "a thousand, or decimals? write 1000 or 1.00"
                )
            if _LONG_FRACTION.fullmatch(text) is not None:
                return Bilingual(
                    f"résultat d'un calcul ? arrondissez à {kind.resolution:f} avant d'exporter",
                    f"the result of a calculation? round to {kind.resolution:f} before you export",
                )
            return Bilingual(f"déclaré : {kind.resolution:f}", f"declared: {kind.resolution:f}")
        case ReasonKind.MIXED_CURRENCIES:
            currency = form.currency if isinstance(form, NumberForm) else None
            if currency is None:
                return Bilingual("la colonne est lue sans devise", "the column is read without a currency")
            return Bilingual(f"la colonne est lue avec « {currency} »", f"the column is read with {currency!r}")
        case ReasonKind.OTHER_CURRENCY:
            return Bilingual(f"déclarée : {kind.unit}", f"declared: {kind.unit}")
    return _read_as(reason, form)


def _read_as(reason: ReasonKind, form: WrittenForm | None) -> Bilingual | None:
    if form is None or not form.shown.fr or reason not in _FORM_MATTERS:
        return None
    return Bilingual(f"la colonne est lue en {form.shown.fr}", f"the column is read as {form.shown.en}")


def fold_text(text: str) -> str:
    """Return letters and digits in one case, without accents; a blank for whatever else stands between them."""
    spelled = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae"))
    letters = "".join(letter for letter in spelled if not unicodedata.combining(letter))
    return " ".join("".join(letter if letter.isalnum() else " " for letter in letters).split())
