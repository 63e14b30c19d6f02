"""The aggregate functions that views can keep, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Aggregate:
    """A function known in `agg`.

    `canonical` is the name in the plan; `arguments` counts row expressions, after them come
    `constants` literals (a quantile's fraction). `given` are constants that the name implies.
    `distinct`: "own" changes the value and is kept (count), "same" does not change it and is
    dropped (min), "refused" would need more state than is kept.
    """

    canonical: str
    arguments: int = 1
    constants: int = 0
    given: tuple[str, ...] = ()
    distinct: str = "refused"


_STDDEV, _VARIANCE = Aggregate("stddev_samp"), Aggregate("var_samp")
_ARG_MIN, _ARG_MAX = Aggregate("arg_min", 2), Aggregate("arg_max", 2)

AGGREGATES: dict[str, Aggregate] = {
    "count_star": Aggregate("count_star", 0),
    "count": Aggregate("count", distinct="own"),
    "sum": Aggregate("sum"),
    "avg": Aggregate("avg"),
    "mean": Aggregate("avg"),
    "min": Aggregate("min", distinct="same"),
    "max": Aggregate("max", distinct="same"),
    **dict.fromkeys(("arg_min", "argmin", "min_by"), _ARG_MIN),
    **dict.fromkeys(("arg_max", "argmax", "max_by"), _ARG_MAX),
    **dict.fromkeys(("stddev", "stddev_samp"), _STDDEV),
    "stddev_pop": Aggregate("stddev_pop"),
    **dict.fromkeys(("variance", "var_samp"), _VARIANCE),
    "var_pop": Aggregate("var_pop"),
    "approx_count_distinct": Aggregate("approx_count_distinct", distinct="same"),
    "approx_quantile": Aggregate("approx_quantile", constants=1),
    "quantile_cont": Aggregate("quantile_cont", constants=1),
    **dict.fromkeys(("quantile", "quantile_disc"), Aggregate("quantile_disc", constants=1)),
    "median": Aggregate("quantile_cont", given=("0.5",)),
    "first": Aggregate("first"),
    "last": Aggregate("last"),
    **dict.fromkeys(("list", "array_agg"), Aggregate("list")),
    "bool_and": Aggregate("bool_and", distinct="same"),
    "bool_or": Aggregate("bool_or", distinct="same"),
    "bit_and": Aggregate("bit_and", distinct="same"),
    "bit_or": Aggregate("bit_or", distinct="same"),
    "bit_xor": Aggregate("bit_xor"),
    # count_if(c) becomes count(*) filter (where c); see plan/aggregation.py.
    **dict.fromkeys(("count_if", "countif"), Aggregate("count_if")),
}

_ORDER = "its value would depend on the order of the rows"
_STATE = "it cannot be kept row by row as events arrive"
_DIGITS = "its digits would depend on the order of the rows"

REFUSED: dict[str, str] = {
    "any_value": f"{_ORDER}; write first(x), which goes by event time",
    "arbitrary": f"{_ORDER}; write first(x), which goes by event time",
    **dict.fromkeys(
        ("string_agg", "group_concat", "listagg"),
        f"{_ORDER}; write array_to_string(list(x), ', '), which goes by event time",
    ),
    **dict.fromkeys(
        ("histogram", "histogram_exact", "mode", "entropy", "reservoir_quantile", "lttb"), _STATE
    ),
    "approx_top_k": f'{_STATE}; write by(…).agg(n="count(*)").top(k, by="n")',
    **dict.fromkeys(("fsum", "kahan_sum", "sumkahan", "favg"), f"{_DIGITS}; write sum or avg"),
    **dict.fromkeys(
        (
            *("product", "mad", "corr", "covar_pop", "covar_samp", "kurtosis", "kurtosis_pop"),
            *("skewness", "sem", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept"),
            *("regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "bitstring_agg"),
            *("arg_max_null", "arg_min_null", "arg_max_nulls_last", "arg_min_nulls_last"),
            *("geomean", "geometric_mean", "wavg", "weighted_avg", "sum_no_overflow"),
            *("json_group_array", "json_group_object", "json_group_structure"),
            *("variant_group_array", "variant_group_object", "combine_aggr", "grouping"),
        ),
        "it is not among the aggregates that views keep",
    ),
}


def is_aggregate(name: str) -> bool:
    """Whether `name` (small letters) computes one value from many rows, allowed or not."""
    return name in AGGREGATES or name in REFUSED
