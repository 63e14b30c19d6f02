"""Without the client library everything else works, and whoever wants Kafka is told what to do."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["confluent_kafka"] = None
import headrace
from headrace.storage.kafka.system import KafkaSystem
from headrace.values.errors import UsageError
system = KafkaSystem("kafka://one")
try:
    system.topic("t", 1)
except UsageError as error:
    print(error)
print(system.findings([], {})[0].remedy)
"""


def test_the_library_is_named_with_its_command() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "confluent-kafka" in done.stdout
    assert done.stdout.count('pip install "headrace[kafka]"') == 2


def test_making_a_system_loads_no_library() -> None:
    program = (
        "import sys; from headrace.storage.kafka.system import KafkaSystem; "
        "KafkaSystem('kafka://one'); print('confluent_kafka' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
