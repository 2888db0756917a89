"""Which Azure, and who we are there.

Read from the places that azure-native reads, so that nothing is configured twice: the stack's `azure-native:` settings
that are no secrets, then the `ARM_*` environment variables, then the Azure CLI's sign-in. Credentials come from the
environment only.
"""

from cloud.endpoints import CloudError, Endpoints, discover
from cloud.errors import inner_code, is_missing_role
from cloud.identity import Identity, Principal
from cloud.session import Session

__all__ = ["CloudError", "Endpoints", "Identity", "Principal", "Session", "discover", "inner_code", "is_missing_role"]
