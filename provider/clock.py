"""What time it is. Everything that depends on the day asks here, so that a test can say which day it is."""

import os
from datetime import UTC, datetime

VARIABLE = "TEMPORAL_AZURE_NOW"
"""An instant in ISO 8601 to take for now, for tests and rehearsals of renewals; unset, it is the system's clock."""


def now() -> datetime:
    """Return the current instant, in UTC. Raises ValueError if TEMPORAL_AZURE_NOW is set to something else."""
    told = os.environ.get(VARIABLE)
    return datetime.fromisoformat(told).astimezone(UTC) if told else datetime.now(UTC)
