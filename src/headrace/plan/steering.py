"""Texts that steer a function: formats of times and of numbers, paths into JSON.

Such a text, or what stands at its place in an event, may say how large a result is, or ask for what
no try(…) catches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import duckdb

from headrace.plan.parse import Text, Tree, fill, one_value, render
from headrace.plan.safety import is_constant
from headrace.plan.types import INTEGERS

_EXTRACTING = "-> ->> json_extract json_extract_string json_extract_path json_extract_path_text"
_LOOKING = "json_type json_keys json_array_length json_exists json_value"
JSON_PATHS = frozenset((*_EXTRACTING.split(), *_LOOKING.split()))
"""Functions whose second argument is a path into JSON."""
_ALL_OF_IT = frozenset(_EXTRACTING.split())

_TIME_PART = re.compile(r"%-?(.)", re.DOTALL)
_PRINTF_PART = re.compile(r"%([^%a-zA-Z]*)")
_FORMAT_PART = re.compile(r"\{([^}]*)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_WIDTH_MAX = 32_767


def check_steering_text(text: Text, node: Tree, name: str, arguments: list[Tree]) -> None:
    """Refuses a constant text by which an event could end the job."""
    if name == "strptime" and not is_constant(arguments[0]):
        # One text, or a list of some.
        if any("Z" in _TIME_PART.findall(_value(f)) for f in arguments[1:]):
            raise text.refused(
                "strptime() with %Z ends the job where an event has a zone that is not known",
                node,
                remedy="Write try_strptime(…): the time is null then.",
            )
    elif name in ("format", "printf") and arguments:
        _check_widths(text, arguments[0], name)
    elif name in _ALL_OF_IT and len(arguments) == 2:
        _check_path(text, arguments[1])


def _check_path(text: Text, path: Tree) -> None:
    """Refuses a path of any depth: a value would be there once for each in which it is nested."""
    written = _value(path)
    if written.startswith("$") and ".." in _QUOTED.sub("", written):
        raise text.refused(
            "a path with .. may ask for all the memory there is, of one event",
            path,
            remedy="Name the keys on the way: $.items[*].price.",
        )


def check_index(text: Text, node: Tree, types: Mapping[int, Any]) -> None:
    """Refuses JSON in brackets where `plain_path` would be needed."""
    value, index = node["children"]
    is_json, is_number = str(types[id(value)]) == "JSON", str(types[id(index)]) in INTEGERS
    if is_json and not is_number and not is_constant(index):
        raise text.refused(
            "a path into JSON in brackets has to be constant: a wrong one would end the job",
            index,
            remedy="Write json_extract(…, …).",
        )


def plain_path(path: Tree) -> Tree:
    """A path that an event gives; the one that DuckDB cannot take, and does not try, as null."""
    sql = "case when cast(path as varchar) = '*' then null else path end"
    return fill(sql, "", path=path)


def _check_widths(text: Text, format: Tree, name: str) -> None:
    written = _value(format)
    if name == "printf":
        parts = _PRINTF_PART.findall(written.replace("%%", ""))
        given = any("*" in part for part in parts)
    else:
        parts = _FORMAT_PART.findall(written.replace("{{", "").replace("}}", ""))
        given = any("{" in part for part in parts)
    if given:
        raise text.refused(
            f"the width in this text of {name}() has to be constant: one in an event would "
            "have no bound",
            format,
            remedy="Write it out, or fill the text up with lpad(…) or rpad(…).",
        )
    if any(int(n) > _WIDTH_MAX for part in parts for n in re.findall(r"\d+", part)):
        raise text.refused(f"{name}() makes at most {_WIDTH_MAX:,} characters of one value", format)


def _value(node: Tree) -> str:
    """The text that a constant gives; nothing where it is none, or fails."""
    if not is_constant(node):
        return ""
    try:
        return str(one_value(f"select cast({render(node)} as varchar)") or "")
    except duckdb.Error:
        return ""
