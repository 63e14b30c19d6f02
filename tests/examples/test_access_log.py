"""The activity app over a web server's log, against a count by hand."""

from __future__ import annotations

import gzip
import re
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.examples.real_input import Ran, check_proved, fed, recorded, window, windows

FILE = recorded("activity/apache_access.log.gz")
_LINE = re.compile(r'^(\S+) \S+ \S+ \[(.+?)\] "(\S+) (\S+).*?" (\d+) \S+ ".*" ".*"$')
# Whatever ends like this is loaded by a page, or downloaded.
_NO_PAGE = re.compile(
    r"\.(css|js|xml|rss|atom|txt|png|jpe?g|gif|svg|ico|ttf|otf|eot|woff2?|mp[34]|webm|og[gv]|pdf"
    r"|zip|gz|tgz|bz2|xz|tar|jar|exe|dmg|iso|json|map|tiff?)$",
    re.IGNORECASE,
)


class Request(NamedTuple):
    ip: str
    at: datetime
    page: str
    view: bool


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    found = []
    with gzip.open(FILE, "rt", encoding="utf-8") as lines:
        for line in lines:
            parts = _LINE.match(line.rstrip("\n"))
            if parts is not None:
                ip, time, method, path, status = parts.groups()
                at = datetime.strptime(time, "%d/%b/%Y:%H:%M:%S %z").replace(tzinfo=None)
                page = path.split("?")[0]
                view = method == "GET" and int(status) < 400 and not _NO_PAGE.search(page)
                found.append(Request(ip, at, page, view))
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    data: Path = tmp_path_factory.mktemp("access-log")
    return fed("activity", "user_activity", FILE, data, "--format", "combined")


def test_the_malformed_line_is_a_dead_letter(ran: Ran, requests: list[Request]) -> None:
    source = ran.sums("source", "user_activity")
    assert (source["read"], source["accepted"]) == (10_000, len(requests))
    with gzip.open(FILE, "rb") as lines:
        malformed = [x.rstrip(b"\n") for x in lines if not _LINE.match(x.decode().rstrip("\n"))]
    letters = ran.rows("select reason, value from dead_letters")
    assert [x["value"] for x in letters] == malformed
    assert [x["reason"] for x in letters] == ["is not JSON"]


def test_page_views_and_users(ran: Ran, requests: list[Request]) -> None:
    views: Counter[tuple[datetime, str]] = Counter()
    users: dict[datetime, set[str]] = defaultdict(set)
    for request in requests:
        if request.view:
            views[window(request.at, timedelta(minutes=1)), request.page] += 1
        for start in windows(request.at, timedelta(minutes=5), timedelta(minutes=1)):
            users[start].add(request.ip)
    served = ran.table("page_view_counts", "window_start", "page_url")
    assert {k: row["view_count"] for k, row in served.items()} == views
    active = ran.table("active_users", "window_start")
    assert {k[0] for k in active} == set(users)
    for (start,), row in active.items():
        # An estimate: a few percent, and no less than one.
        assert abs(row["active_user_count"] - len(users[start])) <= max(1, len(users[start]) / 10)


def test_times_shuffled_within_the_minute_lose_nothing(ran: Ran) -> None:
    late = ran.rows("select sum(late)::bigint as late from conservation")
    assert late == [{"late": 0}]
    check_proved(ran)
