"""Secrets as they may be shown: in settings, errors, plans and logs."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"
_IN_URL = re.compile(r"(?<=://)([^/@:]*):([^/@]*)@")
_IN_QUERY = re.compile(r"([?&](?:password|passfile|sslpassword|sslkey)=)[^&]*", re.IGNORECASE)
_SECRET = re.compile(r"password|secret|passphrase|token|\.pem$|\.key$|jaas", re.IGNORECASE)


def masked_url(url: str) -> str:
    """`url` without its password.

    >>> masked_url("postgresql://app:geheim@db/stream_data")
    'postgresql://app:***@db/stream_data'
    """
    return _IN_QUERY.sub(rf"\1{MASK}", _IN_URL.sub(rf"\1:{MASK}@", url))


def masked_options(options: Mapping[str, str]) -> dict[str, str]:
    """`options` with the values of those that hold a secret masked.

    >>> masked_options({"sasl.password": "geheim", "security.protocol": "SASL_SSL"})
    {'sasl.password': '***', 'security.protocol': 'SASL_SSL'}
    """
    return {name: MASK if _SECRET.search(name) else value for name, value in options.items()}
