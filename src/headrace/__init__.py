"""Headrace: streaming analytics from one definition, live, as a batch, and proved."""

from importlib.metadata import version as _version

from headrace.app import App
from headrace.language import Event, Precision, Struct
from headrace.values.errors import (
    Busy,
    DefinitionError,
    DestinationBehind,
    DestinationDown,
    DifferenceFound,
    DiskRefused,
    HeadraceError,
    InputRefused,
    StateRefused,
    TopicRefused,
    Unreachable,
    UsageError,
)

__version__ = _version("headrace")

__all__ = [
    "App",
    "Busy",
    "DefinitionError",
    "DestinationBehind",
    "DestinationDown",
    "DifferenceFound",
    "DiskRefused",
    "Event",
    "HeadraceError",
    "InputRefused",
    "Precision",
    "StateRefused",
    "Struct",
    "TopicRefused",
    "Unreachable",
    "UsageError",
    "__version__",
]
