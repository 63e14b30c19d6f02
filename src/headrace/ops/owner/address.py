"""Where the owner of a job's directory answers: a socket in the user's runtime directory."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from pathlib import Path

PATH_BYTES_MAX = 103  # macOS allows 104 with the closing zero, Linux 108


def socket_path(job_directory: Path) -> Path:
    """A path short enough for a unix socket, private to the user, one per directory."""
    import platformdirs  # only those who own or reach a job need it

    digest = hashlib.blake2b(str(job_directory.resolve()).encode(), digest_size=12).hexdigest()
    with warnings.catch_warnings():
        # It says at every call that XDG_RUNTIME_DIR is not set; the fall-back is as private.
        warnings.simplefilter("ignore")
        runtime = Path(platformdirs.user_runtime_dir("headrace", ensure_exists=True))
    path = runtime / f"{digest}.sock"
    if len(str(path).encode()) <= PATH_BYTES_MAX:
        return path
    return Path(tempfile.mkdtemp(prefix="headrace-", dir="/tmp")) / "s"
