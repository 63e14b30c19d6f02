"""Where an app's parts lie under the data directory, as commands name them."""

from __future__ import annotations

from headrace.language.definition import Definition
from headrace.language.steps import SourceSpec
from headrace.storage.topics.log import LocalTopic
from headrace.values.errors import UsageError, did_you_mean
from headrace.values.settings import Settings


def source_spec(app: Definition, topic: str) -> SourceSpec:
    """The source that reads `topic`; UsageError naming the sources when there is none."""
    specs = {spec.topic: spec for job in app.jobs for spec in job.sources}
    if topic not in specs:
        raise UsageError(
            f"{app.name} has no source that reads topic {topic!r}",
            remedy=did_you_mean(topic, specs),
        )
    return specs[topic]


def source_topic(app: Definition, topic: str, settings: Settings) -> LocalTopic:
    """The local topic of a source, made if it is missing."""
    spec = source_spec(app, topic)
    return LocalTopic.ensure(settings.data / "topics", topic, spec.partitions)
