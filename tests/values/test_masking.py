"""Nothing that is shown holds a password, not even of an address that was written wrong."""

from __future__ import annotations

import pytest

from headrace.values.masking import masked_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:geheim@db/d", "postgresql://app:***@db/d"),
        ("postgresql://app:ge/heim@db/d", "postgresql://app:***@db/d"),
        ("postgresql://app:ge@heim@db/d", "postgresql://app:***@db/d"),
        ("postgresql://app:ge?he&im@db/d", "postgresql://app:***@db/d"),
        (
            "postgresql:///d?password=geheim&connect_timeout=3&oauth_client_secret=geheim",
            "postgresql:///d?password=***&connect_timeout=3&oauth_client_secret=***",
        ),
        ("kafka://a:9092,b:9092", "kafka://a:9092,b:9092"),
        ("postgresql://db:5432/d?connect_timeout=3", "postgresql://db:5432/d?connect_timeout=3"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert masked_url(url) == shown
