"""The definition language: event classes, streams and views, before anything is bound."""

from headrace.language.annotations import Precision
from headrace.language.definition import Definition, JobDefinition
from headrace.language.events import Event, Struct
from headrace.language.streams import Grouped, Stream
from headrace.language.views import View

__all__ = [
    "Definition",
    "Event",
    "Grouped",
    "JobDefinition",
    "Precision",
    "Stream",
    "Struct",
    "View",
]
