"""What a run that nothing disturbs leaves, for the tests that disturb one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.servers.kafka import Kafka
from tests.servers.place import FIRST, LATER, TOPIC, Place, committed, embedded_topic, results


@dataclass(frozen=True)
class Undisturbed:
    """The results, and the records of the topic, of an embedded app over FIRST and LATER."""

    results: dict[str, list[str]]
    topic: list[list[Any]]

    def check(self, place: Place, kafka: Kafka, data: str = "d") -> None:
        """Proves what a disturbed job left: as here, part by part, and by `headrace verify`."""
        place.verified(data=data)
        found = results(place, data)
        for part, rows in self.results.items():
            assert found[part] == rows, part
        assert committed(kafka, TOPIC) == self.topic


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    place = Place(tmp_path_factory.mktemp("undisturbed"), "[profile.servers]\n")
    place.simulate(FIRST, *LATER)
    place.catch_up()
    place.verified()
    return Undisturbed(results(place), embedded_topic(place))
