"""What holds for every unit test."""

from hypothesis import settings

# A loaded machine is slow: how long an example takes says nothing about the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
