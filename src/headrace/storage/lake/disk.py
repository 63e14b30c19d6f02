"""What the file system and Delta refuse, in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.values.errors import DiskRefused, Unreachable

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Turns what the system refuses inside the block into DiskRefused, naming the lake.

    Errors of Delta that are not the disk's become Unreachable (trying again may help).
    """
    from deltalake.exceptions import DeltaError

    try:
        yield
    except OSError as error:
        raise _refused(directory, error.errno or _number(error), error) from error
    except DeltaError as error:
        number = _number(error)
        if number is None:
            first = str(error).splitlines()[0]
            raise Unreachable(f"The lake {directory} did not take a delivery: {first}") from error
        raise _refused(directory, number, error) from error


def _number(error: Exception) -> int | None:
    """The error number inside the text of an error that came from Rust."""
    match = _OS_ERROR.search(str(error))
    return int(match[1]) if match else None


def _refused(directory: Path, number: int | None, error: Exception) -> DiskRefused:
    reason = os.strerror(number) if number else str(error)
    return DiskRefused(
        f"Cannot write the lake {directory}: {reason}",
        remedy="Free space or mend the permission; the delivery is then tried again.",
    )
