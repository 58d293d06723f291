"""Row-wise terms: what a personal relation computes from the columns of one row, in whole numbers, without failing.

`types` says what a term's values are, `language` what a term is, `typed` how terms are put together so that the type
holds, `evaluate` what a term means, `duckdb_terms` how it is printed. A term looks at one row and at nothing else,
so a relation that computes terms stays personal (DESIGN §3).
"""
