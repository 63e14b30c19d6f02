"""Apache's and nginx's combined (and common) log lines as columns, and as user activity."""

from __future__ import annotations

import pyarrow as pa

from headrace.ops.ingest.mapping import LINE, Column, Shape
from headrace.values.schema import literal, quote

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = (
    r"(\S+) (\S+) (.+?) \[([^\]]+)\] "
    + _QUOTED
    + r" (\d{3}) (\d+|-)(?: "
    + _QUOTED
    + " "
    + _QUOTED
    + r")?\s*"
)
_PARTS = ("ip", "ident", "user", "time", "request", "status", "bytes", "referer", "agent")
_REQUEST = r"([A-Za-z]+) (\S+)(?: (\S+))?"
_TIME = "%d/%b/%Y:%H:%M:%S %z"
# What a page loads, or a visitor downloads, is not a page.
_NOT_PAGES = (
    "css js mjs map json xml rss atom txt png jpg jpeg gif svg webp avif ico bmp tif tiff woff "
    "woff2 ttf otf eot mp3 mp4 m4a webm ogg ogv wav avi mov pdf zip gz tgz bz2 xz tar jar exe "
    "dmg iso wasm"
)

_LINE_AS, _REQUEST_AS = '("headrace: line parts")', '("headrace: request parts")'


def combined_shape() -> Shape:
    """The shape of tables of one binary column `LINE`, a log line per row.

    Columns: ip, ident, user, time (UTC), method, path, protocol, status, bytes, referer, agent.
    """
    line = literal(f"^{_LINE}$")
    names = ", ".join(literal(part) for part in _PARTS)
    request = literal(f"^{_REQUEST}$")

    def part(name: str) -> str:
        return f"nullif({_LINE_AS}.{name}, '-')"

    def text(name: str, value: str) -> Column:
        return Column(name, "VARCHAR", value)

    return Shape(
        columns=(
            text("ip", f"{_LINE_AS}.ip"),
            text("ident", part("ident")),
            text("user", part("user")),
            Column("time", "TIMESTAMP", f"try_strptime({_LINE_AS}.time, '{_TIME}')::timestamp"),
            text("method", f"nullif({_REQUEST_AS}.method, '')"),
            text("path", f"coalesce(nullif({_REQUEST_AS}.path, ''), {_LINE_AS}.request)"),
            text("protocol", f"nullif({_REQUEST_AS}.protocol, '')"),
            Column("status", "INTEGER", f"try_cast({_LINE_AS}.status AS integer)"),
            Column("bytes", "BIGINT", f"try_cast({_LINE_AS}.bytes AS bigint)"),
            text("referer", part("referer")),
            text("agent", part("agent")),
        ),
        raw=quote(LINE),
        empty=pa.table({LINE: pa.array([], pa.binary())}),
        prepare=(
            f"regexp_extract(try(decode({quote(LINE)})), {line}, [{names}]) "
            'AS "headrace: line parts", '
            f"regexp_extract({_LINE_AS}.request, {request}, ['method', 'path', 'protocol']) "
            'AS "headrace: request parts"'
        ),
        fits=f"{_LINE_AS}.ip <> '' AND \"time\" IS NOT NULL",
        defaults=_activity(),
    )


def _activity() -> dict[str, str]:
    """A request as an event of user activity: a page that was viewed, or else a click."""
    ending = f"\\.({'|'.join(_NOT_PAGES.split())})$"
    page = "split_part(path, '?', 1)"
    return {
        "event_time": "time",
        "user_id": "ip",
        "page_url": f"coalesce(nullif({page}, ''), path)",
        "event_type": (
            "CASE WHEN method = 'GET' AND status < 400 "
            f"AND NOT regexp_matches(lower({page}), {literal(ending)}) "
            "THEN 'page_view' ELSE 'click' END"
        ),
    }
