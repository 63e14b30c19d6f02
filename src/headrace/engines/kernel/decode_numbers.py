"""SQL over a number as JSON writes it: what it is exactly, without a way through a double."""

from __future__ import annotations

# Sign, digits before and behind the point, exponent.
_PARTS = r"(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?)0*(\d{1,4}))?"
_NAMES = "['sign', 'before', 'behind', 'power_sign', 'power']"
_DIGITS_MAX = 38


def written(text: str, then: str) -> str:
    """`then` over the number in `text`: `n.behind` and `n.text`. Null where it is no number.

    `behind` is how many digits the number has behind its point, its exponent counted and zeros at
    its end not: 0 or less for a whole one. `text` is the number without an exponent, null where 38
    digits do not do: DuckDB reads 1234567890123456789.01e-11 by way of more digits than it has
    room for.
    """
    digits = "n.before || n.behind"
    power = "coalesce(try_cast(n.power_sign || n.power as integer), 0)"
    taken = (
        f"struct_pack(sign := n.sign, digits := {digits}, kept := trim({digits}, '0'), "
        f"behind := length(n.behind) - {power})"
    )
    # Zeros at the end are not counted; zero itself has none.
    behind = (
        "case when n.kept = '' then 0 "
        "else n.behind - length(n.digits) + length(rtrim(n.digits, '0')) end"
    )
    counted = f"struct_pack(sign := n.sign, kept := n.kept, behind := {behind})"
    said = f"struct_pack(behind := n.behind, text := {_TEXT})"
    parts = f"regexp_extract({text}, '^{_PARTS}$', {_NAMES})"
    # One behind the other: DuckDB binds a lambda inside of a lambda again for each of them.
    exact = in_turn("n", parts, taken, counted, said, then)
    return f"case when regexp_full_match({text}, '{_PARTS}') then {exact} end"


_FILLED = "lpad(n.kept, greatest(length(n.kept), n.behind + 1)::integer, '0')"
_TEXT = (
    f"case when n.kept = '' then '0' when length(n.kept) - n.behind <= {_DIGITS_MAX} "
    "then n.sign || case when n.behind <= 0 then n.kept || repeat('0', -n.behind) "
    f"else left({_FILLED}, -n.behind) || '.' || right({_FILLED}, n.behind) end end"
)


def in_turn(name: str, value: str, *steps: str) -> str:
    """`value`, and each step over what came before it, which it knows as `name`: each once."""
    made = f"[{value}]"
    for step in steps:
        made = f"list_transform({made}, lambda {name}: {step})"
    return f"{made}[1]"
