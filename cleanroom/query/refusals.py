"""Every reason to refuse a question: its code, its words in French and English.

Messages name constructs, catalog names that the asker may see, and owners; never a value from data (S12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.errors import AtEachDoor, Bilingual, Refusal

if TYPE_CHECKING:
    from cleanroom.errors import Position

MESSAGES: Final[dict[str, tuple[str, str]]] = {
    # The text (query.parse)
    "text_too_long": (
        "la question dépasse {limit} caractères",
        "the question exceeds {limit} characters",
    ),
    "too_many_tokens": ("la question dépasse {limit} mots SQL", "the question exceeds {limit} SQL tokens"),
    "too_deep": ("plus de {limit} niveaux de parenthèses", "more than {limit} levels of brackets"),
    "odd_character": (
        "caractère {shown} hors d'une chaîne ou d'un nom entre guillemets",
        "character {shown} outside a string or a quoted name",
    ),
    "unreadable": ("SQL illisible à cet endroit", "SQL cannot be read at this place"),
    "several_statements": ("une seule question à la fois", "one question at a time"),
    "not_a_select": ("seul SELECT est admis", "only SELECT is admitted"),
    "not_admitted": ("« {what} » n'est pas admis", "{what!r} is not admitted"),
    "parameters": ("les paramètres ne correspondent pas : {why_fr}", "the parameters do not fit: {why_en}"),
    # Names (query.resolve)
    "unknown_name": ("nom inconnu : {name}", "unknown name: {name}"),
    "unqualified_table": (
        "une table s'écrit « membre.table » : {name}",
        "a table is written 'member.table': {name}",
    ),
    "ambiguous_name": ("plusieurs colonnes s'appellent {name}", "several columns are called {name}"),
    "duplicate_name": ("deux relations s'appellent {name}", "two relations are called {name}"),
    # Privacy unit and types (query.unit)
    "picks_rows": (
        "{what} choisirait des lignes de personnes ; seul un résultat publié se trie ou se coupe",
        "{what} would pick rows of people; only a released result is sorted or cut",
    ),
    "window_without_unit": (
        "une fenêtre mêlerait les lignes de plusieurs personnes ; PARTITION BY doit nommer la personne",
        "a window would mix rows of several people; PARTITION BY must name the person",
    ),
    "distinct_without_unit": (
        "DISTINCT n'est admis que si la personne est parmi les colonnes",
        "DISTINCT is admitted only if the person is among the columns",
    ),
    "unit_may_be_absent": (
        "cette jointure peut laisser « {unit} » vide ; le nom sans préfixe désigne la personne des deux côtés",
        "this join may leave {unit!r} empty; the name without prefix is the person of both sides",
    ),
    "correlated": (
        "une sous-requête ne voit les lignes autour d'elle que par l'égalité des personnes",
        "a subquery sees the rows around it by the equality of persons only",
    ),
    "release_in_personal": (
        "un résultat publié ne revient pas parmi les lignes de personnes dans la même question",
        "a released result does not return among rows of people in the same question",
    ),
    "public_first": (
        "une table publique se joint à droite d'une table de personnes",
        "a public table is joined on the right of a table of people",
    ),
    "too_many_sets": ("plus de {limit} ensembles de groupement", "more than {limit} grouping sets"),
    "too_many_columns": ("plus de {limit} colonnes", "more than {limit} columns"),
    "too_many_relations": (
        "plus de {limit} relations une fois les noms de WITH écrits en entier",
        "more than {limit} relations once the names of WITH are written out",
    ),
    "public_types": (
        "{function} n'est pas admis pour {type_fr} dans un résultat publié",
        "{function} is not admitted for {type_en} in a released result",
    ),
    "row_output": (
        "la question rendrait des lignes de personnes ; seuls des agrégats sortent",
        "the question would return rows of people; only aggregates leave",
    ),
    "no_people": (
        "la question ne lit aucune table de personnes ; une table publique se lit avec « cleanroom reference show »",
        "the question reads no table of people; a public table is read with `cleanroom reference show`",
    ),
    "unit_use": (
        "« {unit} » ne sert que de clé de jointure, dans COUNT(DISTINCT {unit}) et dans {unit} IN (SELECT {unit} …)",
        "{unit!r} serves only as a join key, in COUNT(DISTINCT {unit}) and in {unit} IN (SELECT {unit} …)",
    ),
    "join_without_unit": (
        "la jointure doit égaler les personnes des deux côtés",
        "the join must equate the persons of both sides",
    ),
    "kinds_differ": (
        "ces tables désignent les personnes par des identifiants différents ({kinds}) qui ne se rencontrent jamais",
        "these tables name persons by different identifiers ({kinds}) that never meet",
    ),
    "epochs_differ": (
        "ces tables sont d'époques différentes ; leurs personnes ne se rencontrent pas",
        "these tables are of different epochs; their persons do not meet",
    ),
    "set_operation": (
        "{operation} n'est admis que pour {shape}",
        "{operation} is admitted only for {shape_en}",
    ),
    "union_types": (
        "la colonne {number} n'a pas le même type dans toutes les branches de l'union",
        "column {number} does not have the same type in all arms of the union",
    ),
    "aggregate_not_admitted": (
        "l'agrégat {function} n'est pas admis ici",
        "the aggregate {function} is not admitted here",
    ),
    "measure_required": (
        "{function} demande une colonne numérique à bornes déclarées",
        "{function} needs a numeric column with declared bounds",
    ),
    "not_grouped": (
        "{name} n'est ni un agrégat ni une clé de GROUP BY",
        "{name} is neither an aggregate nor a GROUP BY key",
    ),
    "key_without_domain": (
        "{name} n'a pas de domaine public : ses valeurs pourraient révéler des personnes",
        "{name} has no public domain: its values could reveal people",
    ),
    "comparison_types": (
        "cette comparaison n'est pas admise pour {type_fr}",
        "this comparison is not admitted for {type_en}",
    ),
    # Terms (query.terms, query.binding.scalars)
    "argument_type": (
        "{function} n'est pas admis pour {type_fr}",
        "{function} is not admitted for {type_en}",
    ),
    "date_range": (
        "le résultat pourrait sortir des années 1 à 9999",
        "the result could leave the years 1 to 9999",
    ),
    "domain_too_large": (
        "l'expression aurait plus de {limit} valeurs publiques",
        "the expression would have more than {limit} public values",
    ),
    "text_value_too_long": (
        "le texte, ou une valeur de l'expression, dépasse {limit} caractères, ou toutes ensemble un million",
        "the text, or a value of the expression, exceeds {limit} characters, or all of them together a million",
    ),
    "nested_too_deep": (
        "trop d'opérations ou de sous-requêtes les unes dans les autres",
        "too many operations or subqueries inside each other",
    ),
    "too_much_work": (
        "la question demande trop de calcul avant même d'être décidée",
        "the question takes too much computation before it is even decided",
    ),
    "statement_too_long": (
        "la question, écrite en entier, dépasse {limit} caractères",
        "the question, written out in full, exceeds {limit} characters",
    ),
    "term_too_large": (
        "l'expression a plus de {limit} opérations une fois écrite en entier",
        "the expression has more than {limit} operations once written out",
    ),
    "division_by_zero": ("le diviseur peut être 0", "the divisor can be 0"),
    "kinds_mixed": (
        "ces valeurs ne sont pas d'un même type : {first_fr} et {second_fr}",
        "these values are not of one type: {first_en} and {second_en}",
    ),
    "cast_can_fail": (
        "CAST en {target} n'est pas admis pour {type_fr} : il pourrait échouer, ou n'aurait pas de domaine public",
        "CAST to {target} is not admitted for {type_en}: it could fail, or would have no public domain",
    ),
    # Bounds (query.bound)
    "too_many_cells": (
        "{cells} cases ; au plus {limit} sont admises",
        "{cells} cells; at most {limit} are admitted",
    ),
    "bounds_too_wide": (
        "les bornes de la mesure, fois les lignes comptées, dépassent ce qui se somme exactement",
        "the measure's bounds, times the rows counted, exceed what can be summed exactly",
    ),
    # Rules (query.gate)
    "nothing_allowed": (
        "rien n'est permis à {party} pour le but « {purpose} »",
        "nothing is allowed to {party} for the purpose {purpose!r}",
    ),
    "analysis_not_allowed": (
        "{owner} n'admet pas d'analyse « {analysis} » de {table} pour ce but",
        "{owner} does not admit an {analysis!r} analysis of {table} for this purpose",
    ),
    "function_not_allowed": (
        "{owner} n'admet pas {function} sur {table} (règle « {rule} »)",
        "{owner} does not admit {function} on {table} (rule {rule!r})",
    ),
    "dimension_not_allowed": (
        "{owner} n'admet pas de grouper {table} par {dimension} (règle « {rule} »)",
        "{owner} does not admit grouping {table} by {dimension} (rule {rule!r})",
    ),
    "literal_not_allowed": (
        "{owner} n'admet pas de filtrer {table} par {column} (règle « {rule} »)",
        "{owner} does not admit filtering {table} by {column} (rule {rule!r})",
    ),
    "too_few_parties": (
        "{owner} demande au moins {minimum} autres organisations dans la question ; il y en a {count}",
        "{owner} requires at least {minimum} other organisations in the question; there are {count}",
    ),
    "filter_inside_union": (
        "{owner} demande que les tables d'une question sectorielle y entrent entières",
        "{owner} requires the tables of a sector question to enter it whole",
    ),
    "cohort_too_close": (
        "à moins de {minimum} près, ces organisations sont celles d'une question déjà répondue",
        "these organisations are, but for fewer than {minimum}, those of a question already answered",
    ),
    "isolates_owner": (
        "une case ou un filtre ne peut venir que de {count} organisations ; {owner} en demande {minimum}",
        "a cell or a filter can only come from {count} organisations; {owner} requires {minimum}",
    ),
    "epsilon_over_limit": (
        "{owner} limite epsilon à {limit} par question sur {table}",
        "{owner} limits epsilon to {limit} a question on {table}",
    ),
    "precision": ("précision refusée : {why_fr}", "precision refused: {why_en}"),
    "budget_insufficient": (
        "il ne reste pas assez de budget : {why_fr}",
        "not enough budget is left: {why_en}",
    ),
}


class _Parameter:
    """How one door calls a parameter: `{margin}` in a text is its name, `{margin:50}` that it is given as 50."""

    def __init__(self, name: str, given: str) -> None:
        self._name = name
        self._given = given

    def __format__(self, value: str) -> str:
        return f"{self._name}{self._given}{value}" if value else self._name


_OPTIONS: Final = {
    "epsilon": "--epsilon",
    "margin": "--margin",
    "max_rows_contributed": "--max-rows",
    "max_groups_contributed": "--max-groups",
    "max_sum": "--max-sum",
    "weights": "--weights",
}
"""What a question is asked with, in Python and on the command line."""
_IN_PYTHON: Final = {name: _Parameter(name, "=") for name in _OPTIONS}
_TYPED: Final = {name: _Parameter(option, " ") for name, option in _OPTIONS.items()}


def at_each_door(fr: str, en: str) -> Bilingual:
    """Return words that name parameters, in braces, as each door calls them."""
    in_python, typed = (Bilingual(fr.format(**names), en.format(**names)) for names in (_IN_PYTHON, _TYPED))
    return in_python if in_python == typed else AtEachDoor(in_python.fr, in_python.en, typed)


def refusal(
    code: str, position: Position | None = None, *, hint: tuple[str, str] | Bilingual | None = None, **evidence: object
) -> Refusal:
    """Return the refusal `code` with its words filled in.

    Args:
        hint: what would be allowed, in French and in English.
        evidence: what the message names.
    """
    french, english = MESSAGES[code]
    return Refusal(
        code,
        Bilingual(french.format(**evidence), english.format(**evidence)),
        position,
        Bilingual(*hint) if isinstance(hint, tuple) else hint,
    )


def described(reason: Refusal) -> dict[str, object]:
    """Return a refusal as JSON has it, in both languages."""
    hint = reason.hint
    return {
        "code": reason.code,
        "message": {"fr": reason.message.fr, "en": reason.message.en},
        "position": None
        if reason.position is None
        else {"line": reason.position.line, "column": reason.position.column},
        "hint": None if hint is None else {"fr": hint.fr, "en": hint.en},
    }
