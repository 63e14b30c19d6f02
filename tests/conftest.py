"""Fixtures that every test may ask for, and how hypothesis may be told to go about its work."""

from hypothesis import Phase, settings

pytest_plugins = ["tests.servers.fixtures"]

# No test depends on speed: another's work on the machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
# With `--hypothesis-profile found`: whether something fails is all that is asked.
settings.register_profile(
    "found", deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
