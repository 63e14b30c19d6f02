"""As kills, with topics in a real Kafka and tables in a real PostgreSQL, which are killed as well.

One trial has its own servers, for all its kills. The run that nobody disturbs is an embedded one
over the same records. There is no short form: `tests/servers/test_faults_*.py` kill a job at each
of these points, the servers under it, and a zombie, once each, with the same comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from tests.servers import kafka, postgres
from tests.servers.making import Servers
from tests.servers.missing import Missing, need_client
from tests.servers.names import Database
from tests.torture.course import Part
from tests.torture.kills import leading
from tests.torture.kills.killing import check_end, disturb
from tests.torture.kills.place import SUBJECTS, Place, told
from tests.torture.kills.points import served
from tests.torture.kills.troubles import APPENDING, MADE, Troubles


def trial(seed: int, directory: Path) -> Mapping[str, int]:
    """One trial with at least so many kills of Headrace, and a few of its servers."""
    chance = Random(seed)
    subject = chance.choice(SUBJECTS)
    with Servers() as servers:
        broker, server = servers.kafka().start(), servers.postgres().start()
        settings = {
            "topics": f"kafka://{broker.bootstrap_servers}",
            "tables": Database(server).dsn,
        }
        place = Place(
            subject,
            directory / "disturbed/data",
            chance,
            settings=settings,
            seldom=leading.often(chance),
            options=("--create-topics",),
            writing=APPENDING,
            beginning=(MADE,),
        )
        undisturbed = Place(subject, directory / "undisturbed/data", chance)
        one = Troubles(place, undisturbed, broker, server)
        try:
            return _disturbed(one)
        except Exception as error:
            error.add_note("\n".join(place.history))
            raise


def _disturbed(one: Troubles) -> Mapping[str, int]:
    disturb(one)
    one.finish()
    one.follow()
    check_end(one, other_log=True)
    return told(one.place.done)


def absent() -> str:
    """Why there are no servers here; nothing where they are."""
    try:
        need_client("confluent_kafka", "kafka")
        need_client("psycopg", "postgres")
        kafka.java()
        kafka.classpath()
        postgres.programs()
    except Missing as missing:
        return f"Kafka and PostgreSQL: not there, not tried ({missing})"
    return ""


SERVERS = Part(
    "servers",
    "The same holds where topics are in Kafka and tables in PostgreSQL: kills at each point "
    "between two of their steps, at random times, while it recovers and of what computes again, "
    "kills of the broker and of the database, and a backup put back. Without the servers it is not "
    "tried.",
    trial,
    short=0,
    share=8.0,
    goals={
        "kills": 150,
        "at random times": 5,
        "of two at once": 1,
        "zombies": 1,
        "older copies put back": 1,
        "kills of recomputes": 1,
        "kills of rebuilds": 1,
        "kills of replays": 1,
        "kills of the broker": 1,
        "kills of the database": 1,
        "database backups put back": 1,
        **{f"at {name}": 1 for name in served()},
    },
    seconds_max=900.0,
    absent=absent,
)
