"""The distributions behind the simulated site, as tables: one draw is one look-up.

Tables make draws fast and keep a seed's events the same wherever they are made.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

SIZE = 1 << 16
_QUANTILES = (np.arange(SIZE) + 0.5) / SIZE

# Page views and clicks of a session, between its start and its end.
_STEPS_MEAN = 9.0
END_SHARE = 0.85
EVENTS_PER_SESSION = 1 + _STEPS_MEAN + END_SHARE
PAGE_VIEW_SHARE = 0.72

_GAP_SECONDS_MIN, _GAP_SECONDS_MEAN = 1.0, 15.0
# Above this rate people click faster instead of becoming more, so that memory stays bounded.
_RATE_OF_FULL_HOUSE = 20_000.0
_USERS_PER_RATE, _USERS_MIN, _USERS_MAX = 150, 10_000, 1_000_000

# Sessions begun by hour of the day (UTC), relative to the mean.
_DAY = np.array(
    [0.55, 0.42, 0.34, 0.30, 0.30, 0.36, 0.52, 0.76, 0.98, 1.12, 1.20, 1.24,
     1.26, 1.22, 1.18, 1.18, 1.22, 1.30, 1.42, 1.52, 1.56, 1.45, 1.15, 0.80]
)  # fmt: skip


@cache
def steps() -> npt.NDArray[np.int32]:
    """Page views and clicks of a session: geometric, at least one."""
    inside = np.log1p(-_QUANTILES) / np.log1p(-1 / _STEPS_MEAN)
    steps: npt.NDArray[np.int32] = np.floor(inside).astype(np.int32) + 1
    return steps


def gaps_us(rate: float) -> npt.NDArray[np.int64]:
    """Time between two events of a session, in whole milliseconds."""
    seconds = _GAP_SECONDS_MIN - np.log1p(-_QUANTILES) * (_GAP_SECONDS_MEAN - _GAP_SECONDS_MIN)
    hurry = min(1.0, _RATE_OF_FULL_HOUSE / rate)
    return np.maximum(np.rint(seconds * hurry * 1_000), 1).astype(np.int64) * 1_000


def rests_us(gaps_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What is left of a gap that is under way: longer gaps are met more often, at any point."""
    ends = np.cumsum(gaps_us)
    places = _QUANTILES * ends[-1]
    rests: npt.NDArray[np.int64] = (ends[np.searchsorted(ends, places)] - places).astype(np.int64)
    return rests // 1_000 * 1_000


@cache
def delays_us() -> npt.NDArray[np.int64]:
    """From an event's time to its arrival: mostly under a second, at most one minute."""
    seconds = -np.log1p(-_QUANTILES) * 0.4
    slow = _QUANTILES > 0.98
    seconds[slow] = np.linspace(2, 60, int(slow.sum()))
    return np.rint(seconds * 1_000).astype(np.int64) * 1_000


def user_count(rate: float) -> int:
    """How many users there are at `rate` events per second."""
    return int(min(max(rate * _USERS_PER_RATE, _USERS_MIN), _USERS_MAX))


def zipf_shares(count: int, exponent: float) -> npt.NDArray[np.float64]:
    """The cumulative shares of `count` things, the n-th in proportion to n ** -exponent."""
    shares = np.cumsum(np.arange(1, count + 1, dtype=np.float64) ** -exponent)
    whole: np.float64 = shares[-1]
    return np.asarray(shares / whole, np.float64)


@cache
def pages() -> tuple[str, ...]:
    """The site's pages, the most visited first."""
    named = ["/", "/search", "/products", "/cart", "/blog", "/checkout", "/account", "/help"]
    products = [f"/products/{number}" for number in range(1, 201)]
    posts = [f"/blog/{number}" for number in range(1, 93)]
    rest = [page for pair in zip(products, posts, strict=False) for page in pair]
    return tuple(named + rest + products[len(posts) :])


@cache
def page_numbers() -> npt.NDArray[np.int16]:
    """Pages by their share of the visits."""
    return np.searchsorted(zipf_shares(len(pages()), 1.0), _QUANTILES).astype(np.int16)


def day_share(time_us: float) -> float:
    """How busy the site is at a time of the day; 1 on average."""
    hour = time_us / 3_600e6 % 24
    before = int(hour)
    part = hour - before
    share = _DAY[before] * (1 - part) + _DAY[(before + 1) % 24] * part
    return float(share / _DAY.mean())
