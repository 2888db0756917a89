"""Which host names a server's certificate is accepted for."""

import pytest

from pki import Role, SubjectAlternativeNames
from pki.host_names import covers, vouches_for
from tests.certificates import authority_policy, issue, leaf_policy

NAMES = ("temporal.example", "*.Temporal.internal")


def vouches(names: dict[str, tuple[str, ...]], host: str) -> bool:
    """Whether a node's certificate with these subject alternative names does."""
    alternatives = SubjectAlternativeNames.model_validate(names)
    node = leaf_policy(host, role=Role.NODE, subject_alternative_names=alternatives)
    return vouches_for(issue(node, issue(authority_policy())).certificate, host)


@pytest.mark.parametrize("host", ["temporal.example", "TEMPORAL.Example", "a.temporal.internal", "A.temporal.INTERNAL"])
def test_a_name_and_one_label_for_a_wildcard_are_vouched_for(host: str) -> None:
    """A certificate that every client takes would be called wrong."""
    assert covers(NAMES, host)
    assert vouches({"dns_names": NAMES}, host)


@pytest.mark.parametrize(
    "host",
    ["a.temporal.example", "example", "temporal.internal", "a.b.temporal.internal", "internal", "atemporal.internal"],
)
def test_nothing_else_is(host: str) -> None:
    """A certificate that every client refuses would be called right, and found out about in production."""
    assert not covers(NAMES, host)
    assert not vouches({"dns_names": NAMES}, host)


@pytest.mark.parametrize("names", [{}, {"uris": ("spiffe://temporal.example",)}])
def test_a_common_name_is_no_dns_name(names: dict[str, tuple[str, ...]]) -> None:
    """No client has looked at common names for years (RFC 9525, 2)."""
    assert not vouches(names, "temporal.example")
    assert vouches({**names, "dns_names": ("temporal.example",)}, "temporal.example")
