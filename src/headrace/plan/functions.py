"""The scalar functions and operators that expressions may use, as data.

Allowed is what depends on nothing but its arguments, so that the same log gives the same result
on every machine, at every time and on every engine. What may fail on a row is in `safety.py`.
"""

from __future__ import annotations

_OPERATORS = "+ - * / // % ** ^ & | << >> ~ || ~~ !~~ ~~* !~~* ~~~ @ -> ->> ^@ && @> <@ !"
_TEXT = """
ascii bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein
editdist3 ends_with format format_bytes hamming instr jaccard jaro_similarity
jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein like_escape
not_like_escape ilike_escape not_ilike_escape lower lpad ltrim mismatches nfc_normalize
octet_length ord overlay parse_dirname parse_dirpath parse_filename parse_path position prefix
printf regexp_escape regexp_extract regexp_extract_all regexp_full_match regexp_matches
regexp_replace regexp_split_to_array repeat replace reverse right right_grapheme rpad rtrim split
split_part starts_with str_split str_split_regex string_split string_split_regex string_to_array
strip_accents strlen strpos substr substring substring_grapheme suffix translate trim ucase unicode
upper url_decode url_encode
"""
_BYTES = """
base64 bin decode encode from_base64 from_binary from_hex hex md5 sha1 sha256 to_base to_base64
to_binary to_hex unbin unhex
"""
_NUMBERS = """
abs acos acosh add asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees
divide even exp factorial fdiv floor fmod gamma gcd greatest greatest_common_divisor isfinite isinf
isnan lcm least least_common_multiple lgamma ln log log10 log2 mod multiply nextafter pi pow power
radians round round_even roundbankers sign signbit sin sinh sqrt subtract tan tanh trunc xor
"""
_TIMES = """
century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day
dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_us era
hour isodow isoyear julian last_day make_date make_time make_timestamp make_timestamp_ms
make_timestamp_ns microsecond millennium millisecond minute month monthname nanosecond
normalized_interval quarter second strftime strptime time_bucket timezone to_centuries to_days
to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters
to_seconds to_timestamp to_weeks to_years try_strptime week weekday weekofyear year yearweek
"""
_LISTS = """
aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat
array_contains array_distinct array_extract array_filter array_has array_has_all array_has_any
array_indexof array_intersect array_length array_pop_back array_pop_front array_position
array_prepend array_push_back array_push_front array_reduce array_resize array_reverse
array_reverse_sort array_select array_slice array_sort array_to_string array_transform array_unique
array_value array_where array_zip cardinality element_at filter flatten generate_series list_aggr
list_aggregate list_any_value list_append list_apply list_avg list_bit_and list_bit_or list_bit_xor
list_bool_and list_bool_or list_cat list_concat list_contains list_cosine_distance
list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element
list_extract list_filter list_first list_has list_has_all list_has_any list_indexof
list_inner_product list_intersect list_last list_max list_median list_min list_pack list_position
list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort list_select
list_slice list_sort list_stddev_pop list_stddev_samp list_sum list_transform list_unique
list_value list_var_pop list_var_samp list_where list_zip range reduce
"""
_STRUCTS = """
map map_concat map_contains map_contains_entry map_contains_value map_entries map_extract
map_extract_value map_from_entries map_keys map_values row struct_concat struct_contains
struct_extract struct_extract_at struct_has struct_indexof struct_insert struct_keys struct_pack
struct_position struct_update struct_values
"""
_JSON = """
array_to_json from_json from_json_strict json json_array json_array_length json_deep_merge
json_exists json_extract json_extract_path json_extract_path_text json_extract_string json_keys
json_merge_patch json_object json_quote json_structure json_transform json_transform_strict
json_type json_valid json_value row_to_json to_json
"""
_OTHER = "constant_or_null if ifnull nullif switch typeof"

ALLOWED: frozenset[str] = frozenset(
    " ".join((_OPERATORS, _TEXT, _BYTES, _NUMBERS, _TIMES, _LISTS, _STRUCTS, _JSON, _OTHER)).split()
)
"""Names in small letters; CASE, CAST, IN, BETWEEN, IS NULL and COALESCE are grammar, not names."""

_LAMBDAS = """
apply array_apply array_filter array_reduce array_transform filter list_apply list_filter
list_reduce list_transform reduce
"""
LAMBDA_TAKERS: frozenset[str] = frozenset(_LAMBDAS.split())
"""Functions whose arrow `x -> …` is a lambda; elsewhere an arrow reads JSON."""

DIVISIONS: frozenset[str] = frozenset(("/", "//", "%", "mod", "fmod", "fdiv", "divide"))
"""Functions whose second argument is made null when it is zero."""

PROCESSING_TIME = "processing_time"
PROCESSING_TIME_COLUMN = "_processing_time"
"""What `processing_time()` becomes: a TIMESTAMP column that the engine adds to the rows."""

_CLOCK = (
    "it depends on when it runs; an event's own time is in its fields, and the time of the epoch "
    "is processing_time(), in added columns of lakes and topics"
)
_CHANCE = "it gives another value each time"
_SESSION = "it depends on the session that runs it"
_OUTSIDE = "it reads what is outside of the event"
_VERSION = "its value may change with the version of DuckDB; write md5(…) or sha256(…)"

REASONS: dict[str, str] = {
    **dict.fromkeys(
        (
            *("now", "today", "current_date", "current_time", "current_timestamp", "localtime"),
            *("localtimestamp", "get_current_time", "get_current_timestamp", "current_localtime"),
            *("transaction_timestamp", "current_localtimestamp", "ago", "age", "sysdate"),
            *("getdate", "statement_timestamp", "clock_timestamp", "unix_timestamp"),
        ),
        _CLOCK,
    ),
    **dict.fromkeys(
        ("random", "rand", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval"),
        _CHANCE,
    ),
    **dict.fromkeys(
        (
            *("currval", "current_setting", "getvariable", "current_user", "session_user"),
            *("current_role", "current_catalog", "current_schema", "current_schemas", "version"),
            *("current_database", "current_query", "txid_current", "in_search_path", "stats"),
            *("current_connection_id", "current_query_id", "current_transaction_id", "setval"),
        ),
        _SESSION,
    ),
    **dict.fromkeys(
        (
            *("getenv", "read_text", "read_blob", "read_csv", "read_json", "read_parquet", "glob"),
            *("read_csv_auto", "read_json_auto", "parquet_scan", "query", "query_table"),
        ),
        _OUTSIDE,
    ),
    "epoch_ns": (
        "a time before 1678 or after 2262 has too many of them and would end the job; write "
        "epoch_us(…) * 1000"
    ),
    "json_contains": (
        "JSON that is nested deeply enough would end the process; compare what json_extract(…) "
        "gives"
    ),
    **dict.fromkeys(("hash", "md5_number", "md5_number_lower", "md5_number_upper"), _VERSION),
    **dict.fromkeys(
        ("error", "assert_true", "sleep_ms", "pg_sleep", "write_log"),
        "it is there for what it does, not for its value; write checks on the event class",
    ),
    "unnest": "it makes many rows of one; write explode(…) as a step",
    "unpivot_list": "it makes many rows of one; write explode(…) as a step",
    "generate_subscripts": "it makes many rows of one; write explode(…) as a step",
}
"""Why a function that DuckDB has is refused, where more can be said than that it is not known."""
