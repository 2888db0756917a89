"""Who a person says to be: user name and password, on the sign-in page or from a client that asks for both."""

import secrets

from localazure.entra import applications
from localazure.entra.errors import Refusal
from localazure.store import Document, Store


def sign_in(store: Store, tenant_id: str, login: str, password: str) -> Document:
    """The tenant's user with that name or mail address; Refusal if there is none, or the password is another.

    A guest signs in here as anyone else does: their home tenant is not served.
    """
    person = applications.person_by_login(store, login)
    if person is None:
        raise Refusal(
            "invalid_grant",
            50034,
            f"The user account {login} does not exist in the {tenant_id} directory. To sign into this application, the "
            "account must be added to the directory.",
        )
    if person["tenantId"] != tenant_id:
        raise Refusal(
            "interaction_required",
            50020,
            f"User account '{login}' from identity provider '{person['tenantId']}' does not exist in tenant "
            f"'{tenant_id}' and cannot access the application in that tenant. The account needs to be added as an "
            "external user in the tenant first. Sign out and sign in again with a different Azure Active Directory "
            "user account.",
        )
    if not secrets.compare_digest(str(person["password"]).encode(), password.encode()):
        raise Refusal("invalid_grant", 50126, "Error validating credentials due to invalid username or password.")
    require_enabled(person)
    return person


def require_enabled(person: Document) -> None:
    if person.get("accountEnabled") is False:
        raise Refusal("invalid_grant", 50057, "The user account is disabled.")
