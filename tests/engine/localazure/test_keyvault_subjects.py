"""X.500 names as Key Vault writes them."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from localazure.keyvault import subjects

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
TYPES = st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME, NameOID.USER_ID])


@given(st.lists(st.builds(x509.NameAttribute, TYPES, TEXT), min_size=1, max_size=4))
def test_what_is_written_is_read_again(attributes: list[x509.NameAttribute[str]]) -> None:
    """The policy of an imported certificate would name another subject than the certificate."""
    name = x509.Name(attributes)
    assert subjects.parse(subjects.write(name)) == name


@pytest.mark.parametrize(
    ("subject", "encoded"),
    [
        ("CN=a", [("CN", "a")]),
        ("cn=MyCert", [("CN", "MyCert")]),
        ("CN=a, O=b", [("O", "b"), ("CN", "a")]),
        ("CN=a;O=b", [("O", "b"), ("CN", "a")]),
        (' CN = a , O = "b, c" ', [("O", "b, c"), ("CN", "a")]),
        ('O="say ""yes""", CN=a', [("CN", "a"), ("O", 'say "yes"')]),
        ("ST=WA, S=OR, 2.5.4.10=o", [("O", "o"), ("ST", "OR"), ("ST", "WA")]),
        ("O=back\\slash", [("O", "back\\slash")]),
    ],
)
def test_names_are_read_as_dotnet_reads_them(subject: str, encoded: list[tuple[str, str]]) -> None:
    """Recorded of Azure: the encoded order is the reverse of the written one."""
    assert [(each.rfc4514_attribute_name, each.value) for each in subjects.parse(subject)] == encoded


@pytest.mark.parametrize(
    "subject", ["Self", "CN", "CN=", "CN=a,", "CN=a, b", "CN=a\\, b", 'CN="a', "XX=a", "=a", ",CN=a"]
)
def test_what_is_no_name_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        subjects.parse(subject)
