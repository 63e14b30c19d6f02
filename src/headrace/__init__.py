"""Headrace: streaming analytics from one definition, live, as a batch, and proved."""

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
    StateDamaged,
    StateRefused,
    TopicRefused,
    Unreachable,
    UsageError,
)
from headrace.values.version import __version__

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
    "StateDamaged",
    "StateRefused",
    "Struct",
    "TopicRefused",
    "Unreachable",
    "UsageError",
    "__version__",
]
