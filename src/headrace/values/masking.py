"""Secrets as they may be shown: in settings, errors, plans and logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
# Up to the last @: what should have been written %40 or %2F may be part of a password.
_IN_LOGIN = re.compile(r"(?<=://)([^:@/]*):.*@", re.DOTALL)
_IN_QUERY = re.compile(r"([?&])([^=&]*)=([^&]*)")
_SECRET = re.compile(
    r"password|secret|passphrase|token|\.pem$|\.key$|jaas|oauthbearer\.config", re.IGNORECASE
)


def masked_url(url: str) -> str:
    """`url`, well written or not, without its password and the options that hold a secret.

    >>> masked_url("postgresql://app:ge/h@im@db/stream_data?sslpassword=x")
    'postgresql://app:***@db/stream_data?sslpassword=***'
    """
    return _IN_QUERY.sub(_masked_option, _IN_LOGIN.sub(rf"\1:{MASK}@", url))


def _masked_option(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={MASK}" if is_secret(found[2]) else found[0]


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
