"""Fixtures that every test may ask for, and how hypothesis may be told to go about its work."""

from hypothesis import Phase, settings

pytest_plugins = ["tests.servers.fixtures"]

# With `--hypothesis-profile found`: whether something fails is all that is asked.
settings.register_profile("found", phases=(Phase.explicit, Phase.reuse, Phase.generate))
