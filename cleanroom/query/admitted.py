"""Which scalar constructs are admitted: node classes with their arguments, functions with their spellings and arity."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

_ONE: Final = frozenset({"this"})
_BINARY: Final = frozenset({"this", "expression"})
_MANY: Final = frozenset({"this", "expressions"})

ADMITTED_SCALARS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    # Values
    exp.Column: frozenset({"this", "table", "db"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.Null: frozenset(),
    exp.Boolean: _ONE,
    exp.Placeholder: _ONE,
    exp.Paren: _ONE,
    exp.Var: _ONE,
    exp.Interval: frozenset({"this", "unit"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this", "nested", "expressions"}),
    exp.DataTypeParam: _ONE,
    # Arithmetic
    exp.Add: _BINARY,
    exp.Sub: _BINARY,
    exp.Mul: _BINARY,
    exp.Div: frozenset({"this", "expression", "typed", "safe"}),
    exp.IntDiv: _BINARY,
    exp.Mod: _BINARY,
    exp.Neg: _ONE,
    exp.Abs: _ONE,
    exp.Sign: _ONE,
    exp.Floor: _ONE,
    exp.Ceil: _ONE,
    exp.Trunc: _ONE,
    exp.Round: frozenset({"this", "decimals"}),
    exp.Least: frozenset({"this", "expressions", "ignore_nulls"}),
    exp.Greatest: frozenset({"this", "expressions", "ignore_nulls"}),
    # Conditions
    exp.And: _BINARY,
    exp.Or: _BINARY,
    exp.Not: _ONE,
    exp.EQ: _BINARY,
    exp.NEQ: _BINARY,
    exp.LT: _BINARY,
    exp.LTE: _BINARY,
    exp.GT: _BINARY,
    exp.GTE: _BINARY,
    exp.NullSafeEQ: _BINARY,
    exp.NullSafeNEQ: _BINARY,
    exp.Is: _BINARY,
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions", "query"}),
    exp.Like: frozenset({"this", "expression", "negate"}),
    exp.ILike: frozenset({"this", "expression", "negate"}),
    # Choices
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.If: frozenset({"this", "true", "false"}),
    exp.Coalesce: _MANY,
    exp.Nullif: _BINARY,
    # Texts
    exp.Lower: _ONE,
    exp.Upper: _ONE,
    exp.Trim: frozenset({"this", "position"}),
    exp.Substring: frozenset({"this", "start", "length"}),
    exp.Left: _BINARY,
    exp.Right: _BINARY,
    exp.Length: _ONE,
    exp.StrPosition: frozenset({"this", "substr"}),
    exp.Replace: frozenset({"this", "expression", "replacement"}),
    exp.DPipe: frozenset({"this", "expression", "safe"}),
    exp.Concat: frozenset({"expressions", "safe", "coalesce"}),
    exp.StartsWith: _BINARY,
    exp.EndsWith: _BINARY,
    exp.Contains: _BINARY,
    # Dates
    exp.Extract: _BINARY,
    exp.Year: _ONE,
    exp.Quarter: _ONE,
    exp.Month: _ONE,
    exp.Week: _ONE,
    exp.WeekOfYear: _ONE,
    exp.Day: _ONE,
    exp.DayOfMonth: _ONE,
    exp.DayOfWeek: _ONE,
    exp.DayOfWeekIso: _ONE,
    exp.DayOfYear: _ONE,
    exp.Dayname: _ONE,
    exp.Monthname: _ONE,
    exp.TimestampTrunc: frozenset({"this", "unit"}),
    exp.DateTrunc: frozenset({"this", "unit"}),
    exp.DateDiff: frozenset({"this", "expression", "unit", "date_part_boundary"}),
    exp.DateAdd: _BINARY,
    exp.LastDay: _ONE,
    exp.TimeToStr: frozenset({"this", "format"}),
    exp.ToDays: _ONE,
    exp.Anonymous: _MANY,
}
"""What `parse` lets through; an argument that is empty or False does not count as present."""

_1: Final = frozenset({1})
_2: Final = frozenset({2})
_3: Final = frozenset({3})
_SOME: Final = frozenset(range(1, 201))

CALLS: Final[dict[type[exp.Expr], dict[str, frozenset[int]]]] = {
    exp.Mod: {"mod": _2},
    exp.Abs: {"abs": _1},
    exp.Sign: {"sign": _1},
    exp.Floor: {"floor": _1},
    exp.Ceil: {"ceil": _1, "ceiling": _1},
    exp.Trunc: {"trunc": _1},
    exp.Round: {"round": _1 | _2},
    exp.Least: {"least": _SOME},
    exp.Greatest: {"greatest": _SOME},
    exp.If: {"if": _3},
    exp.Coalesce: {"coalesce": _SOME, "ifnull": _2},
    exp.Nullif: {"nullif": _2},
    exp.Lower: {"lower": _1, "lcase": _1},
    exp.Upper: {"upper": _1, "ucase": _1},
    exp.Trim: {"trim": _1, "ltrim": _1, "rtrim": _1},
    # `substring(x FROM 1 FOR 3)` has no comma.
    exp.Substring: {"substring": _1 | _2 | _3, "substr": _2 | _3},
    exp.Left: {"left": _2},
    exp.Right: {"right": _2},
    exp.Length: {"length": _1, "len": _1, "char_length": _1, "character_length": _1},
    # `position('a' IN x)` has no comma.
    exp.StrPosition: {"strpos": _2, "instr": _2, "position": _1},
    exp.Replace: {"replace": _3},
    exp.Concat: {"concat": _SOME},
    exp.StartsWith: {"starts_with": _2},
    exp.EndsWith: {"ends_with": _2},
    exp.Contains: {"contains": _2},
    exp.Extract: {"extract": _1},
    exp.Year: {"year": _1},
    exp.Quarter: {"quarter": _1},
    exp.Month: {"month": _1},
    exp.Week: {"week": _1},
    exp.WeekOfYear: {"weekofyear": _1},
    exp.Day: {"day": _1},
    exp.DayOfMonth: {"dayofmonth": _1},
    exp.DayOfWeek: {"dayofweek": _1},
    exp.DayOfWeekIso: {"isodow": _1},
    exp.DayOfYear: {"dayofyear": _1},
    exp.Dayname: {"dayname": _1},
    exp.Monthname: {"monthname": _1},
    exp.TimestampTrunc: {"date_trunc": _2, "datetrunc": _2},
    exp.DateTrunc: {"date_trunc": _2, "datetrunc": _2},
    exp.DateDiff: {"date_diff": _3, "datediff": _3},
    exp.DateAdd: {"date_add": _2},
    exp.LastDay: {"last_day": _1},
    exp.TimeToStr: {"strftime": _2},
    exp.ToDays: {"to_days": _1},
    exp.Anonymous: {
        "date_part": _2,
        "datepart": _2,
        "isoyear": _1,
        "weekday": _1,
        "yearweek": _1,
        "prefix": _2,
        "suffix": _2,
        "to_weeks": _1,
        "to_months": _1,
        "to_quarters": _1,
        "to_years": _1,
    },
}
"""How each function may be written, and with how many arguments: sqlglot's tree may hold fewer (attacks §2)."""

ADMITTED_NAMES: Final = frozenset(CALLS[exp.Anonymous])
"""Functions that sqlglot has no node for."""

AGGREGATES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Sum: _ONE,
    exp.Avg: _ONE,
    exp.Min: _ONE,
    exp.Max: _ONE,
    exp.VariancePop: _ONE,
    exp.Variance: _ONE,
    exp.StddevPop: _ONE,
    exp.StddevSamp: _ONE,
    exp.Stddev: _ONE,
    exp.LogicalAnd: _ONE,
    exp.LogicalOr: _ONE,
    exp.CountIf: _ONE,
    exp.Count: frozenset({"this", "big_int"}),
    exp.Distinct: frozenset({"expressions"}),
    exp.Median: frozenset({"this"}),
    exp.PercentileCont: frozenset({"this", "expression"}),
    exp.PercentileDisc: frozenset({"this", "expression"}),
    exp.WithinGroup: frozenset({"this", "expression"}),
    exp.First: frozenset({"this"}),
    exp.Last: frozenset({"this"}),
    exp.ArgMin: frozenset({"this", "expression"}),
    exp.ArgMax: frozenset({"this", "expression"}),
    exp.Filter: frozenset({"this", "expression"}),
    exp.Order: frozenset({"this", "expressions"}),
    exp.Ordered: frozenset({"this", "desc", "nulls_first"}),
}
"""Node classes of aggregates and their arguments, for the closed list of `parse`."""

WINDOWS: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Window: frozenset({"this", "partition_by", "order", "spec", "over"}),
    exp.WindowSpec: frozenset({"kind", "start", "start_side", "end", "end_side"}),
    exp.RowNumber: frozenset(),
    exp.Rank: frozenset(),
    exp.DenseRank: frozenset(),
    exp.Lag: frozenset({"this", "offset", "default"}),
    exp.Lead: frozenset({"this", "offset", "default"}),
    exp.NthValue: frozenset({"this", "offset"}),
    exp.Ntile: _ONE,
    exp.PercentRank: frozenset(),
    exp.CumeDist: frozenset(),
    exp.FirstValue: frozenset({"this"}),
    exp.LastValue: frozenset({"this"}),
}
"""Node classes of windows and their arguments, for the closed list of `parse`."""

_SET: Final = frozenset({"this", "expression", "distinct", "by_name", "with_", "order", "limit", "offset"})
_SELECT: Final = frozenset({"expressions", "from_", "joins", "where", "group", "having", "kind"}) | frozenset(
    {"order", "limit", "offset", "distinct", "with_", "qualify"}
)
_LISTED: Final = frozenset({"expressions"})
RELATIONAL: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Select: _SELECT,
    exp.With: frozenset({"expressions"}),
    exp.CTE: frozenset({"this", "alias", "materialized"}),
    exp.From: _ONE,
    exp.Table: frozenset({"this", "db", "alias"}),
    exp.TableAlias: _ONE,
    exp.Subquery: frozenset({"this", "alias"}),
    exp.Join: frozenset({"this", "on", "using", "kind", "side", "method"}),
    exp.Where: _ONE,
    exp.Group: frozenset({"expressions", "all"}),
    exp.Rollup: _LISTED,
    exp.Cube: _LISTED,
    exp.GroupingSets: _LISTED,
    exp.Grouping: _LISTED,
    exp.GroupingId: _LISTED,
    exp.Qualify: _ONE,
    exp.Tuple: _LISTED,
    exp.Having: _ONE,
    exp.Limit: frozenset({"expression"}),
    exp.Offset: frozenset({"expression"}),
    exp.Union: _SET,
    exp.Intersect: _SET,
    exp.Except: _SET,
    exp.Exists: _ONE,
    exp.Alias: frozenset({"this", "alias"}),
    exp.Star: frozenset(),
    exp.Sqrt: _ONE,
    exp.Ln: _ONE,
    exp.Exp: _ONE,
    exp.Log: frozenset({"this", "expression"}),
}
ADMITTED: Final = {**ADMITTED_SCALARS, **AGGREGATES, **WINDOWS, **RELATIONAL}
"""Node classes and their arguments; an argument that is empty or False does not count as present."""

_A_DAY: Final = ("écrivez le jour : DATE '2025-01-31'", "write the day: DATE '2025-01-31'")
_LIKE: Final = ("LIKE '%…%'", "LIKE '%…%'")
_COMMONEST: Final = (
    "SELECT x, COUNT(DISTINCT person) AS n … GROUP BY x ORDER BY n DESC LIMIT 1",
    "SELECT x, COUNT(DISTINCT person) AS n … GROUP BY x ORDER BY n DESC LIMIT 1",
)
HINTS: Final[dict[type[exp.Expr], tuple[str, str]]] = {
    exp.CurrentDate: _A_DAY,
    exp.CurrentTimestamp: _A_DAY,
    exp.CurrentTime: _A_DAY,
    exp.DateFromParts: ("DATE '2025-01-31', ou date_trunc('month', …)", "DATE '2025-01-31', or date_trunc('month', …)"),
    exp.DateBin: ("date_trunc('month', …)", "date_trunc('month', …)"),
    exp.RegexpLike: _LIKE,
    exp.SimilarTo: _LIKE,
    exp.Glob: _LIKE,
    exp.Escape: ("LIKE sans ESCAPE", "LIKE without ESCAPE"),
    exp.Pow: ("x * x", "x * x"),
    exp.ConcatWs: ("x || ' ' || y", "x || ' ' || y"),
    exp.Mode: _COMMONEST,
    exp.AnyValue: _COMMONEST,
    exp.Corr: (
        "AVG(x * y) - AVG(x) * AVG(y), sur STDDEV_POP(x) * STDDEV_POP(y)",
        "AVG(x * y) - AVG(x) * AVG(y), over STDDEV_POP(x) * STDDEV_POP(y)",
    ),
    exp.CovarPop: ("AVG(x * y) - AVG(x) * AVG(y)", "AVG(x * y) - AVG(x) * AVG(y)"),
    exp.Array: ("QUANTILE_CONT(x, 0.25), QUANTILE_CONT(x, 0.5), …", "QUANTILE_CONT(x, 0.25), QUANTILE_CONT(x, 0.5), …"),
    exp.Collate: ("lower(x)", "lower(x)"),
    exp.ApproxDistinct: ("COUNT(DISTINCT person)", "COUNT(DISTINCT person)"),
    exp.Values: ("une table publique (reference add)", "a public table (reference add)"),
    exp.ApproxQuantile: ("QUANTILE_DISC(x, 0.5)", "QUANTILE_DISC(x, 0.5)"),
    exp.SplitPart: ("LEFT(x, 3), ou CASE WHEN x LIKE … THEN … END", "LEFT(x, 3), or CASE WHEN x LIKE … THEN … END"),
    exp.RegexpExtract: _LIKE,
    exp.RegexpReplace: _LIKE,
    exp.All: ("x >= (SELECT MAX(y) FROM … WHERE …)", "x >= (SELECT MAX(y) FROM … WHERE …)"),
}
"""What may be written instead of some constructs that are not admitted."""

_FIRST: Final = "QUALIFY row_number() OVER (PARTITION BY person ORDER BY purchased) = 1"

ARGUMENT_HINTS: Final[dict[tuple[type[exp.Expr], str], tuple[str, str]]] = {
    (exp.Distinct, "on"): (_FIRST, _FIRST),
    (exp.Between, "symmetric"): ("BETWEEN 2 AND 4", "BETWEEN 2 AND 4"),
    (exp.Select, "sample"): ("toutes les lignes : le bruit protège déjà", "all rows: noise protects them already"),
}
"""What may be written instead of some parts of constructs that are not admitted."""
