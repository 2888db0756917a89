"""What time it is. Everything that depends on the day asks here, so that a test can say which day it is."""

import os
from datetime import UTC, datetime

VARIABLE = "TEMPORAL_AZURE_NOW"
"""An instant in ISO 8601, in UTC unless it says otherwise, to take for now in tests and rehearsals of renewals."""


def now() -> datetime:
    """Return the current instant, in UTC. Raises ValueError if TEMPORAL_AZURE_NOW is set to something else."""
    told = os.environ.get(VARIABLE)
    if not told:
        return datetime.now(UTC)
    instant = datetime.fromisoformat(told)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
