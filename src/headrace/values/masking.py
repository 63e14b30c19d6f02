"""Secrets as they may be shown: in settings, errors, plans and logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_IN_URL = re.compile(r"(?<=://)([^/@:]*):([^/@]*)@")
_IN_QUERY = re.compile(r"([?&](?:password|passfile|sslpassword|sslkey)=)[^&]*", re.IGNORECASE)
_SECRET = re.compile(
    r"password|secret|passphrase|token|\.pem$|\.key$|jaas|oauthbearer\.config", re.IGNORECASE
)


def masked_url(url: str) -> str:
    """`url` without its password.

    >>> masked_url("postgresql://app:geheim@db/stream_data")
    'postgresql://app:***@db/stream_data'
    """
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_URL.sub(rf"\1:{MASK}@", url))


def masked_options(options: Mapping[str, Any] | str) -> dict[str, Any] | str:
    """`options` with the values of those that hold a secret masked; text is masked whole.

    >>> masked_options({"sasl.password": "geheim", "security.protocol": "SASL_SSL"})
    {'sasl.password': '***', 'security.protocol': 'SASL_SSL'}
    """
    if isinstance(options, str):
        return MASK
    return {name: MASK if is_secret(name) else value for name, value in options.items()}


def is_secret(option: str) -> bool:
    """Whether the value of an option of this name must not be shown."""
    return _SECRET.search(option) is not None
