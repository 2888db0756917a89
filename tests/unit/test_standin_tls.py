"""The stand-in for tls: as strict as the official plugin, with its decisions, and with Go's certificates."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.provider import PropertyDiffKind
from pydantic.alias_generators import to_camel

from components.held_in_state import names_of, subject_of, usages_of
from localazure.plugins.tls import certificates, keys, names
from localazure.plugins.tls.provider import Tls
from localazure.plugins.tls.resource import Resource
from localazure.plugins.tls.specs import SPECS
from pki import IssuancePolicy, KeyType, Role, deviations
from plugin import UNKNOWN, PluginError, clock, plain, property_values
from tests.certificates import AUTHORITY_KEY, authority_policy, leaf_policy, policies, private_key

PRIVATE_KEY = "tls:index/privateKey:PrivateKey"
REQUEST = "tls:index/certRequest:CertRequest"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
LOCALLY_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"
CERTIFICATES = pytest.mark.parametrize("token", [SELF_SIGNED, LOCALLY_SIGNED])

NOW = datetime(2026, 3, 29, 12, 30, 15, tzinfo=UTC)


class Spoken:
    """An engine that keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    async def warning(self, message: str, urn: str = "") -> None:
        self.warnings.append(message)


@cache
def pem(key_type: KeyType = KeyType.EC_P256, owner: str = AUTHORITY_KEY) -> str:
    """A private key as the official plugin writes it."""
    return (
        private_key(key_type, owner)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        .decode()
    )


SUBJECT = {"commonName": "clients 1", "organization": "shop"}
AUTHORITY_INPUTS: dict[str, Any] = {
    "privateKeyPem": pem(),
    "subject": SUBJECT,
    "validityPeriodHours": 1000,
    "allowedUses": ["digital_signature", "cert_signing", "crl_signing"],
    "isCaCertificate": True,
    "maxPathLength": 0,
    "setSubjectKeyId": True,
    "setAuthorityKeyId": True,
}
REQUEST_INPUTS: dict[str, Any] = {
    "privateKeyPem": pem(owner="leaf"),
    "subject": {"commonName": "orders", "organization": "shop"},
    "dnsNames": ["orders.example"],
    "ipAddresses": ["10.0.0.7"],
    "uris": ["spiffe://example.org/orders"],
}


@cache
def authority_pem() -> str:
    given = Resource.of(SELF_SIGNED).planned(AUTHORITY_INPUTS, None, NOW)
    return str(certificates.self_signed(given, NOW).outputs["certPem"])


@cache
def request_pem() -> str:
    return str(certificates.request(REQUEST_INPUTS).outputs["certRequestPem"])


def inputs_of(token: str) -> dict[str, Any]:
    """Inputs of a resource that are right."""
    return {
        PRIVATE_KEY: {"algorithm": "ECDSA", "ecdsaCurve": "P256"},
        REQUEST: REQUEST_INPUTS,
        SELF_SIGNED: AUTHORITY_INPUTS,
        LOCALLY_SIGNED: {
            "caCertPem": authority_pem(),
            "caPrivateKeyPem": pem(),
            "certRequestPem": request_pem(),
            "validityPeriodHours": 100,
            "earlyRenewalHours": 30,
            "allowedUses": ["digital_signature", "client_auth"],
            "setSubjectKeyId": True,
        },
    }[token]


class Driver:
    """Drives the stand-in as the engine does."""

    def __init__(self, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = Spoken()
        self.provider = Tls(self.engine)  # type: ignore[arg-type]  # it warns and no more
        self.urn = f"urn:pulumi:local::temporal-azure::temporal-azure:components:StateLeaf${token}::thing"
        self._monkeypatch = monkeypatch
        self.at(NOW)

    def at(self, now: datetime) -> None:
        self._monkeypatch.setenv(clock.VARIABLE, now.isoformat())

    async def problems(self, inputs: Mapping[str, Any]) -> list[str]:
        response = await self.provider.check(protocol.CheckRequest(self.urn, {}, property_values(inputs), b""))
        return [failure.reason for failure in response.failures or []]

    async def create(self, inputs: Mapping[str, Any], *, preview: bool = False) -> protocol.CreateResponse:
        assert await self.problems(inputs) == []
        request = protocol.CreateRequest(self.urn, property_values(inputs), 0, preview)
        return await self.provider.create(request)

    async def diff(
        self, made: protocol.CreateResponse, inputs: Mapping[str, Any], *ignored: str
    ) -> protocol.DiffResponse:
        state = made.properties or {}
        request = protocol.DiffRequest(self.urn, "id", dict(state), property_values(inputs), list(ignored))
        return await self.provider.diff(request)

    async def refresh(self, made: protocol.CreateResponse) -> protocol.CreateResponse:
        request = protocol.ReadRequest(self.urn, str(made.resource_id), made.properties or {}, {})
        answer = await self.provider.read(request)
        return protocol.CreateResponse(answer.resource_id, answer.properties)


@pytest.fixture
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(request.param, monkeypatch)


def driving(*tokens: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("driver", tokens, indirect=True, ids=lambda token: token.rpartition(":")[2])


def token_of(driver: Driver) -> str:
    return driver.urn.split("::")[2].rpartition("$")[2]


def outputs(made: protocol.CreateResponse) -> dict[str, Any]:
    return dict(plain(made.properties or {}))


# What is refused


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "missing": (PRIVATE_KEY, {"algorithm": None}, "missing required property 'algorithm'"),
    "unknown": (PRIVATE_KEY, {"bits": 2048}, "unknown property 'bits'"),
    "type": (PRIVATE_KEY, {"rsaBits": "2048"}, "'rsaBits' should be of type 'integer' but got a string"),
    "fraction": (PRIVATE_KEY, {"rsaBits": 2048.5}, "'rsaBits' must be an integer but got 2048.5"),
    "algorithm": (PRIVATE_KEY, {"algorithm": "DSA"}, 'algorithm value must be one of: ["RSA" "ECDSA" "ED25519"]'),
    "curve": (PRIVATE_KEY, {"ecdsaCurve": "P-256"}, 'ecdsaCurve value must be one of: ["P224" "P256" "P384" "P521"]'),
    "no key": (REQUEST, {"privateKeyPem": None}, "Exactly one of these attributes must be configured: privateKeyPem"),
    "written key": (REQUEST, {"privateKeyPemWo": "x"}, "is not known to the stand-in for tls: give 'privateKeyPem'"),
    "subject's part": (REQUEST, {"subject": {"title": "x"}}, "unknown property 'subject.title'"),
    "empty address": (REQUEST, {"ipAddresses": [""]}, "ipAddresses[0] string length must be at least 1"),
    "empty uri": (SELF_SIGNED, {"uris": [""]}, "uris[0] string length must be at least 1"),
    "use": (SELF_SIGNED, {"allowedUses": ["cert_sign"]}, 'allowedUses[0] value must be one of: ["any_extended" "cert_'),
    "no uses": (LOCALLY_SIGNED, {"allowedUses": None}, "missing required property 'allowedUses'"),
    "validity": (LOCALLY_SIGNED, {"validityPeriodHours": -1}, "validityPeriodHours value must be at least 0"),
    "window": (LOCALLY_SIGNED, {"earlyRenewalHours": -1}, "earlyRenewalHours value must be at least 0"),
    "path length": (SELF_SIGNED, {"maxPathLength": -2}, "maxPathLength value must be at least -1"),
    "no authority": (LOCALLY_SIGNED, {"caCertPem": None}, "missing required property 'caCertPem'"),
    "no authority's key": (LOCALLY_SIGNED, {"caPrivateKeyPem": None}, "must be configured: caPrivateKeyPem"),
    "a subject of its own": (LOCALLY_SIGNED, {"subject": SUBJECT}, "unknown property 'subject'"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_the_official_plugin_refuses_is_refused_before_anything_is_made(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a program that runs on the stand-in and fails with the official plugin."""
    token, change, message = WRONG[wrong]
    driver = Driver(token, monkeypatch)
    assert await driver.problems(inputs_of(token)) == []
    problems = await driver.problems({**inputs_of(token), **change})
    assert any(message in problem for problem in problems), problems


async def test_what_is_not_known_yet_is_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents that the first preview fails."""
    driver = Driver(LOCALLY_SIGNED, monkeypatch)
    unknown = dict.fromkeys(("caCertPem", "caPrivateKeyPem", "certRequestPem"), UNKNOWN)
    assert await driver.problems({**inputs_of(LOCALLY_SIGNED), **unknown}) == []


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "no PEM": (REQUEST, {"privateKeyPem": "key"}, "failed to decode PEM block"),
    "another PEM": (REQUEST, {"privateKeyPem": authority_pem()}, "unsupported PEM preamble/type: CERTIFICATE"),
    "half a key": (
        REQUEST,
        {"privateKeyPem": pem()[:80] + "\n-----END EC PRIVATE KEY-----"},
        "given PEM preamble 'EC PRIVATE KEY'",
    ),
    "address": (REQUEST, {"ipAddresses": ["10.0.0"]}, 'Failed to parse "10.0.0"'),
    "zone": (REQUEST, {"ipAddresses": ["fe80::1%eth0"]}, 'Failed to parse "fe80::1%eth0"'),
    "port": (REQUEST, {"uris": ["http://orders:x/"]}, "Invalid URI"),
    "escape": (REQUEST, {"uris": ["http://o%41/"]}, "invalid URL escape"),
    "name": (REQUEST, {"dnsNames": ["bücher.example"]}, "cannot be encoded as an IA5String"),
    "another authority's key": (
        LOCALLY_SIGNED,
        {"caPrivateKeyPem": pem(owner="other")},
        "provided PrivateKey doesn't match parent's PublicKey",
    ),
    "request": (LOCALLY_SIGNED, {"certRequestPem": authority_pem()}, "Failed to parse certificate request PEM"),
    "authority": (LOCALLY_SIGNED, {"caCertPem": request_pem()}, "Failed to parse CA certificate PEM"),
    "path length of a leaf": (LOCALLY_SIGNED, {"maxPathLength": 1}, "only CAs are allowed to specify MaxPathLen"),
    "authority without a name": (SELF_SIGNED, {"subject": {}}, "at least one Distinguished Name"),
    "identifier of nobody": (
        SELF_SIGNED,
        {"isCaCertificate": False, "maxPathLength": None, "setSubjectKeyId": False},
        "Could not determine Authority Key Identifier",
    ),
    "tiny key": (PRIVATE_KEY, {"algorithm": "RSA", "rsaBits": 100}, "Unable to generate Key from configuration"),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_what_cannot_be_made_is_said_and_no_key_is_quoted(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents half a certificate, and a log with a key in it."""
    token, change, message = BROKEN[broken]
    driver = Driver(token, monkeypatch)
    given = {name: value for name, value in {**inputs_of(token), **change}.items() if value is not None}
    with pytest.raises(PluginError) as refusal:
        await driver.create(given)
    assert message in str(refusal.value)
    assert not any(line in str(refusal.value) for line in pem().splitlines()[1:-1])


async def test_other_types_functions_settings_and_imports_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a resource that seems to be there although the stand-in knows nothing of it."""
    driver = Driver(PRIVATE_KEY, monkeypatch)
    with pytest.raises(PluginError, match=r"tls:index/x:X not found: the stand-in for tls serves tls:index/privateKey"):
        Resource.of("tls:index/x:X")
    with pytest.raises(PluginError, match="does not serve tls:index/getCertificate:getCertificate"):
        await driver.provider.invoke(protocol.InvokeRequest("tls:index/getCertificate:getCertificate", {}))
    with pytest.raises(PluginError, match="proxy would have no effect"):
        await driver.provider.configure(protocol.ConfigureRequest({"tls:config:proxy": "x"}, {}, True, True))
    assert (await driver.provider.configure(protocol.ConfigureRequest({}, {}, True, True))).supports_preview
    with pytest.raises(PluginError, match="Resource Import Not Implemented"):
        await driver.provider.read(protocol.ReadRequest(driver.urn, "id", {}, {}))


# What is made


@pytest.mark.parametrize(
    ("given", "kind", "preamble"),
    [
        ({"algorithm": "RSA"}, rsa.RSAPrivateKey, "RSA PRIVATE KEY"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P384"}, ec.EllipticCurvePrivateKey, "EC PRIVATE KEY"),
        ({"algorithm": "ECDSA"}, ec.EllipticCurvePrivateKey, "EC PRIVATE KEY"),
        ({"algorithm": "ED25519"}, ed25519.Ed25519PrivateKey, "PRIVATE KEY"),
    ],
    ids=["RSA", "P384", "P224", "ED25519"],
)
async def test_a_key_is_one_key_in_each_form(
    given: dict[str, Any], kind: type, preamble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents outputs that are not the official plugin's."""
    made = await Driver(PRIVATE_KEY, monkeypatch).create(given)
    found = outputs(made)
    assert {"rsaBits": found["rsaBits"], "ecdsaCurve": found["ecdsaCurve"]} == {
        "rsaBits": 2048,
        "ecdsaCurve": given.get("ecdsaCurve", "P224"),
    }
    assert found["privateKeyPem"].startswith(f"-----BEGIN {preamble}-----\n")
    key = keys.load(found["privateKeyPem"])
    assert isinstance(key, kind)
    assert keys.load(found["privateKeyPemPkcs8"]).public_key() == key.public_key()
    assert serialization.load_pem_public_key(found["publicKeyPem"].encode()) == key.public_key()
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert made.resource_id == found["id"] == hashlib.sha1(der.strip()).hexdigest()
    if found["ecdsaCurve"] == "P224" and preamble == "EC PRIVATE KEY":
        assert {found[name] for name in found if "penssh" in name or "Fingerprint" in name} == {""}
        return
    assert found["publicKeyOpenssh"].endswith("\n")
    public_key = serialization.load_ssh_public_key(found["publicKeyOpenssh"].encode())
    assert public_key == key.public_key()
    assert serialization.load_ssh_private_key(found["privateKeyOpenssh"].encode(), None).public_key() == public_key
    blob = base64.b64decode(found["publicKeyOpenssh"].split()[1])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    assert found["publicKeyFingerprintSha256"] == f"SHA256:{digest}"
    assert found["publicKeyFingerprintMd5"].replace(":", "") == hashlib.md5(blob).hexdigest()


SECRETS = {
    PRIVATE_KEY: {"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"},
    REQUEST: {"privateKeyPem"},
    SELF_SIGNED: {"privateKeyPem"},
    LOCALLY_SIGNED: {"caPrivateKeyPem"},
}


@driving(*SPECS)
async def test_keys_are_secrets_and_nothing_else_is(driver: Driver) -> None:
    """Prevents a key in the clear in the state, and a certificate that no output may show."""
    token = token_of(driver)
    made = await driver.create(inputs_of(token))
    assert {name for name, value in (made.properties or {}).items() if value.is_secret} == SECRETS[token]


@driving(*SPECS)
async def test_outputs_are_those_of_the_sdk(driver: Driver) -> None:
    """Prevents a property that a program finds here and nowhere else, or misses."""
    token = token_of(driver)
    known = Resource.of(token).spec.inputs.properties.keys() | {"id"}
    found = outputs(await driver.create(inputs_of(token))).keys()
    computed = set(Resource.of(token).spec.computed) | Resource.of(token).spec.defaults.keys()
    assert found - computed <= known
    assert computed <= found


GOLDEN_SUBJECT = (
    "3081af310b3009060355040613024445310b3009060355040813024245310f300d060355040713064265726c696e3127300a0603550409"
    "1303486f66301906035504091312556e7465722064656e204c696e64656e2031310e300c0603550411130531303131373113301106035504"
    "0a0c0a4bc3a47365202620436f310c300a060355040b0c03615f62311a30180603550403131174656d706f72616c2e696e7465726e616c31"
    "0a30080603550405130137"
)
GOLDEN_NAMES = (
    "305c821174656d706f72616c2e696e7465726e616c820d2a2e6578616d706c652e6f726787040a00000787040a000008871020010db80000"
    "00000000000000000007861a7370696666653a2f2f4578616d706c652e6f72672f6125324662"
)


def test_names_are_encoded_as_go_encodes_them() -> None:
    """Prevents a name that differs from that of the official plugin: what is compared here was made by Go 1.26.

    An IPv4 address that is written as one of IPv6 gets four bytes, a URI's scheme lower case.
    """
    subject = {
        "commonName": "temporal.internal",
        "serialNumber": "7",
        "organization": "Käse & Co",
        "organizationalUnit": "a_b",
        "streetAddresses": ["Unter den Linden 1", "Hof"],
        "postalCode": "10117",
        "locality": "Berlin",
        "province": "BE",
        "country": "DE",
    }
    assert names.subject_name(subject).public_bytes().hex() == GOLDEN_SUBJECT
    alternative = names.alternative_names(
        {
            "dnsNames": ["temporal.internal", "*.example.org"],
            "ipAddresses": ["10.0.0.7", "::ffff:10.0.0.8", "2001:db8::7"],
            "uris": ["SPIFFE://Example.org/a%2Fb"],
        }
    )
    assert x509.SubjectAlternativeName(alternative).public_bytes().hex() == GOLDEN_NAMES


def test_go_keeps_no_mail_address_of_a_request_and_orders_its_names() -> None:
    """Prevents a stand-in that can do more than the official plugin."""
    name = names.subject_name({**SUBJECT, "emailAddress": "ops@example.org"})
    assert name.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)[0].value == "ops@example.org"
    assert names.copied_name(name) == names.subject_name(SUBJECT)
    uri, mail, host = x509.UniformResourceIdentifier("a:b"), x509.RFC822Name("a@b"), x509.DNSName("a")
    assert names.copied_alternative_names([uri, mail, host]) == [host, uri]


async def test_a_leaf_is_what_its_request_and_its_authority_say(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(LOCALLY_SIGNED, monkeypatch)
    made = await driver.create(inputs_of(LOCALLY_SIGNED))
    found = outputs(made)
    certificate = x509.load_pem_x509_certificate(found["certPem"].encode())
    authority = x509.load_pem_x509_certificate(authority_pem().encode())
    certificate.verify_directly_issued_by(authority)
    assert str(certificate.serial_number) == made.resource_id == found["id"]
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + timedelta(hours=100)
    assert (found["validityStartTime"], found["validityEndTime"]) == ("2026-03-29T12:30:15Z", "2026-04-02T16:30:15Z")
    assert (found["caKeyAlgorithm"], found["readyForRenewal"], driver.engine.warnings) == ("ECDSA", False, [])
    expected = [
        (ExtensionOID.KEY_USAGE, True),
        (ExtensionOID.EXTENDED_KEY_USAGE, False),
        (ExtensionOID.BASIC_CONSTRAINTS, True),
        (ExtensionOID.SUBJECT_KEY_IDENTIFIER, False),
        (ExtensionOID.AUTHORITY_KEY_IDENTIFIER, False),
        (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, False),
    ]
    assert [(item.oid, item.critical) for item in certificate.extensions] == expected
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)


async def test_who_is_no_authority_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official plugin signs with it all the same."""
    given = {**AUTHORITY_INPUTS, "isCaCertificate": False}
    del given["maxPathLength"]
    leaf = outputs(await Driver(SELF_SIGNED, monkeypatch).create(given))
    driver = Driver(LOCALLY_SIGNED, monkeypatch)
    await driver.create({**inputs_of(LOCALLY_SIGNED), "caCertPem": leaf["certPem"]})
    assert [warning.partition(":")[0] for warning in driver.engine.warnings] == [
        "Potentially Invalid Certificate Authority"
    ]


async def test_a_certificate_without_a_subject_is_known_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5280, 4.2.1.6: then they are critical. Nothing that was not asked for is in it."""
    given = {
        "privateKeyPem": pem(),
        "validityPeriodHours": 1,
        "allowedUses": ["server_auth"],
        "dnsNames": ["orders.example"],
    }
    found = outputs(await Driver(SELF_SIGNED, monkeypatch).create(given))
    certificate = x509.load_pem_x509_certificate(found["certPem"].encode())
    assert [(item.oid, item.critical) for item in certificate.extensions] == [
        (ExtensionOID.EXTENDED_KEY_USAGE, False),
        (ExtensionOID.BASIC_CONSTRAINTS, True),
        (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, True),
    ]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


# What changes


CHANGES: dict[str, dict[str, Any]] = {
    PRIVATE_KEY: {"algorithm": "RSA", "ecdsaCurve": "P384", "rsaBits": 3072},
    REQUEST: {
        "privateKeyPem": pem(owner="other"),
        "subject": {"commonName": "billing"},
        "dnsNames": [],
        "ipAddresses": ["10.0.0.8"],
        "uris": None,
    },
    SELF_SIGNED: {
        "privateKeyPem": pem(owner="other"),
        "subject": {**SUBJECT, "country": "DE"},
        "dnsNames": ["a"],
        "ipAddresses": ["10.0.0.8"],
        "uris": ["a:b"],
        "validityPeriodHours": 1001,
        "allowedUses": ["cert_signing"],
        "isCaCertificate": None,
        "maxPathLength": 1,
        "setSubjectKeyId": False,
        "setAuthorityKeyId": None,
    },
    LOCALLY_SIGNED: {
        "caCertPem": UNKNOWN,
        "caPrivateKeyPem": pem(owner="other"),
        "certRequestPem": "-----BEGIN CERTIFICATE REQUEST-----",
        "validityPeriodHours": 101,
        "allowedUses": ["client_auth", "digital_signature"],
        "isCaCertificate": True,
        "maxPathLength": 1,
        "setSubjectKeyId": False,
    },
}


@driving(*SPECS)
async def test_every_change_of_an_input_replaces_and_no_change_does_not(driver: Driver) -> None:
    """Prevents a certificate that no longer is what it was asked to be, and one that is new at every run."""
    token = token_of(driver)
    made = await driver.create(inputs_of(token))
    assert not (await driver.diff(made, inputs_of(token))).changes
    inputs = Resource.of(token).spec.limits.allowed[Resource.of(token).spec.inputs.name]
    assert CHANGES[token].keys() | {"earlyRenewalHours"} >= inputs
    for name, value in CHANGES[token].items():
        changed = {key: item for key, item in {**inputs_of(token), name: value}.items() if item is not None}
        difference = await driver.diff(made, changed)
        assert difference.replaces == [name], name
        assert all(change.kind.name.endswith("_REPLACE") for change in (difference.detailed_diff or {}).values())
        ignoring = await driver.diff(made, changed, name)
        assert not ignoring.changes, name


@driving(SELF_SIGNED, LOCALLY_SIGNED)
async def test_a_longer_window_changes_the_state_alone(driver: Driver) -> None:
    """Prevents that all certificates are issued anew for a setting that is in none of them."""
    token = token_of(driver)
    given = inputs_of(token)
    made = await driver.create(given)
    changed = {**given, "earlyRenewalHours": 31}
    difference = await driver.diff(made, changed)
    assert (difference.changes, difference.replaces) == (True, [])
    assert {change.kind for change in (difference.detailed_diff or {}).values()} <= {
        PropertyDiffKind.ADD,
        PropertyDiffKind.UPDATE,
    }
    request = protocol.UpdateRequest(driver.urn, "id", made.properties or {}, property_values(changed), 0, [], False)
    after = plain((await driver.provider.update(request)).properties or {})
    assert after == {**outputs(made), "earlyRenewalHours": 31}


async def test_a_path_length_that_is_not_given_any_more_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The official plugin takes it for computed then."""
    driver = Driver(SELF_SIGNED, monkeypatch)
    made = await driver.create(AUTHORITY_INPUTS)
    given = {name: value for name, value in AUTHORITY_INPUTS.items() if name != "maxPathLength"}
    assert not (await driver.diff(made, given)).changes


@pytest.mark.parametrize(("hours", "due"), [(69, False), (70 - 1 / 3600, False), (70, True), (99, True), (200, True)])
async def test_a_certificate_is_replaced_from_the_beginning_of_its_window(
    hours: float, due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a certificate that ends, and one that is new at every run. Ignoring it does not help."""
    driver, given = Driver(LOCALLY_SIGNED, monkeypatch), inputs_of(LOCALLY_SIGNED)
    made = await driver.create(given)
    driver.at(NOW + timedelta(hours=hours))
    for ignored in ((), ("readyForRenewal",)):
        difference = await driver.diff(made, given, *ignored)
        assert (difference.changes, difference.replaces) == (due, ["readyForRenewal"] if due else [])
    refreshed = await driver.refresh(made)
    assert outputs(refreshed)["readyForRenewal"] is due
    assert (await driver.diff(refreshed, given)).replaces == (["readyForRenewal"] if due else [])
    if due:
        driver.at(NOW)
        back = await driver.diff(refreshed, given)
        assert (back.changes, back.replaces) == (True, []), "the clock was wrong"


@CERTIFICATES
@pytest.mark.parametrize(("validity", "window"), [(0, 0), (10, 10), (10, 11)])
async def test_a_window_as_long_as_the_validity_is_always_open(
    token: str, validity: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(token, monkeypatch)
    given = {**inputs_of(token), "validityPeriodHours": validity, "earlyRenewalHours": window}
    made = await driver.create(given)
    assert outputs(made)["readyForRenewal"] is True
    assert (await driver.diff(made, given)).replaces == ["readyForRenewal"]


@driving(*SPECS)
async def test_a_preview_knows_what_was_given_and_makes_nothing(driver: Driver) -> None:
    """Prevents a key that is made for a preview."""
    token = token_of(driver)
    made = await driver.create(inputs_of(token), preview=True)
    found = outputs(made)
    assert made.resource_id == ""
    assert {name for name, value in found.items() if value == UNKNOWN} == {*Resource.of(token).spec.computed, "id"}
    assert {name: found[name] for name in inputs_of(token)} == inputs_of(token)


# One policy for both custodies


def made_under(policy: IssuancePolicy, authority: IssuancePolicy) -> tuple[x509.Certificate, x509.Certificate]:
    """A certificate that the stand-in makes of the arguments that the components give it, and its issuer."""

    def wire(arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {to_camel(name): value for name, value in arguments.items() if value is not None}

    def self_signed(of: IssuancePolicy, owner: str) -> x509.Certificate:
        given = {
            "privateKeyPem": pem(of.key_type, owner),
            "subject": wire(subject_of(of)),
            **wire(names_of(of)),
            **wire(usages_of(of)),
            "isCaCertificate": True,
            "setAuthorityKeyId": True,
            **wire({"max_path_length": of.path_length}),
        }
        assert Resource.of(SELF_SIGNED).problems("x", given) == []
        made = certificates.self_signed(Resource.of(SELF_SIGNED).planned(given, None, NOW), NOW)
        return x509.load_pem_x509_certificate(made.outputs["certPem"].encode())

    if policy.role is Role.AUTHORITY:
        root = self_signed(policy, AUTHORITY_KEY)
        return root, root
    issuer = self_signed(authority, AUTHORITY_KEY)
    request = {
        "privateKeyPem": pem(policy.key_type, "leaf"),
        "subject": wire(subject_of(policy)),
        **wire(names_of(policy)),
    }
    assert Resource.of(REQUEST).problems("x", request) == []
    given = {
        "caCertPem": issuer.public_bytes(serialization.Encoding.PEM).decode(),
        "caPrivateKeyPem": pem(authority.key_type, AUTHORITY_KEY),
        "certRequestPem": certificates.request(request).outputs["certRequestPem"],
        **wire(usages_of(policy)),
        "earlyRenewalHours": policy.renew_before_days * 24,
    }
    assert Resource.of(LOCALLY_SIGNED).problems("x", given) == []
    made = certificates.locally_signed(Resource.of(LOCALLY_SIGNED).planned(given, None, NOW), NOW)
    return x509.load_pem_x509_certificate(made.outputs["certPem"].encode()), issuer


def without_what_is_refused(policy: IssuancePolicy) -> IssuancePolicy:
    """A policy without what settings refuse under this custody."""
    found = policy.subject_alternative_names
    kept = {
        "dns_names": found.dns_names,
        "ip_addresses": [item for item in found.ip_addresses if not getattr(item, "ipv4_mapped", None)],
        "uris": ["spiffe://example.org/a%2Fb"] if found.uris else [],
    }
    return policy.model_copy(update={"subject_alternative_names": type(found).model_validate(kept)})


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    policies().filter(lambda policy: policy.role is not Role.AUTHORITY),
    st.sampled_from([KeyType.EC_P256, KeyType.EC_P384]),
)
def test_a_policy_gives_the_same_certificate_here_and_in_key_vault(policy: IssuancePolicy, key_type: KeyType) -> None:
    """Prevents that the custody of the keys decides what a certificate is good for."""
    policy = without_what_is_refused(policy)
    authority = authority_policy("an authority", key_type=key_type)
    certificate, issuer = made_under(policy, authority)
    assert deviations(certificate, policy, issuer) == []


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("role", [Role.NODE, Role.CLIENT])
def test_so_does_every_type_of_key_in_every_role(role: Role, key_type: KeyType) -> None:
    policy = leaf_policy("orders", role=role, key_type=key_type)
    authority = authority_policy("an authority", key_type=key_type)
    certificate, issuer = made_under(policy, authority)
    assert deviations(certificate, policy, issuer) == []
    other = policy.model_copy(update={"subject": policy.subject.model_copy(update={"organization": "elsewhere"})})
    assert deviations(certificate, other, issuer) != [], "the comparison is blind"


def test_a_path_length_of_0_is_left_out_as_the_plugin_leaves_it_out() -> None:
    """An authority's own certificate is made by our provider for this reason."""
    policy = authority_policy("other", key_type=KeyType.EC_P256)
    certificate, _ = made_under(policy, policy)

    assert deviations(certificate, policy, None) == ["its extension basicConstraints differs"]
