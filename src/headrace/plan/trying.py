"""What DuckDB has to leave alone so that `try(…)` catches what raises in it.

Some of its optimizers compute parts of an expression elsewhere: what two parts share in a step
before, the left side of a long IN as that of a join. There it raises outside of any try(…), and
ends the query instead of failing one row. Whoever runs expressions of a plan switches them off.
"""

LEFT_OUT = "common_subexpressions,in_clause"
"""The optimizers to switch off, as DuckDB's setting disabled_optimizers takes them."""
