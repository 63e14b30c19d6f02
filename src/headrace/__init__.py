"""Headrace: streaming analytics from one definition, live, as a batch, and proved."""

from headrace.app import App
from headrace.language import Event, Precision, Struct

__all__ = ["App", "Event", "Precision", "Struct"]
