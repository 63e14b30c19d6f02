"""Topics: the local log."""

from headrace.storage.topics.directory import topic_names
from headrace.storage.topics.log import LocalTopic
from headrace.storage.topics.producers import ProducerState
from headrace.storage.topics.retention import Retained
from headrace.storage.topics.writer import Appended, Limits

__all__ = ["Appended", "Limits", "LocalTopic", "ProducerState", "Retained", "topic_names"]
