"""The topic's key out of JSON lines, vectorised by DuckDB's JSON reader."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from headrace.values.schema import literal


class KeyReader:
    """Reads the value at `path` ("user_id", "info.gameId") as the key of each line.

    What is not a JSON object in valid UTF-8, or has no such value, gets a null key.
    """

    def __init__(self, path: str) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        quoted = ".".join('"' + part.replace('"', '\\"') + '"' for part in path.split("."))
        self._of_text, self._of_bytes = (
            f"try(json_extract_string({line}, {literal('$.' + quoted)})) AS key"
            for line in ("value", "decode(value)")
        )

    def __call__(self, values: pa.Array) -> pa.Array:
        """The keys of `values` (binary), as a binary array of the same length."""
        try:
            columns, key = pa.table({"value": values.cast(pa.string())}), self._of_text
        except pa.ArrowInvalid:
            # Some line is not UTF-8; asked line by line which.
            columns, key = pa.table({"value": values}), self._of_bytes
        keys = self._connection.from_arrow(columns).project(key).to_arrow_table()["key"]
        return keys.combine_chunks().cast(pa.binary())
