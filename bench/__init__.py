"""Measure what the room costs: uploads, questions, admission, charges, beside raw DuckDB and peers.

`python -m bench [--quick] [--prepare] [--without SECTION...] [--write]`, or `make bench`. CPU-seconds are what to
compare; nothing here asserts on time. The exact numbers are asserted: where no bound binds, the room's exact vector is
raw DuckDB's answer.
"""
