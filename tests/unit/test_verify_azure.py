"""What `make verify-azure` keeps and how it judges, without any vault: redaction, folding, the table, the verdicts."""

import base64
import inspect
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar

import jwt
import pytest
from azure.core.exceptions import HttpResponseError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cloud import Identity
from localazure.keyvault import assumptions
from pki import KeyType
from tools import REPOSITORY
from tools.verify_azure import checks
from tools.verify_azure.bench import Bench, blocks, which
from tools.verify_azure.checks import CHECKS, Check
from tools.verify_azure.exchanges import Conditions, Exchange, RawExchange, Recording, folded
from tools.verify_azure.redaction import Redactor, leaks
from tools.verify_azure.report import Result, as_json, summary, table
from tools.verify_azure.run import answered, stranger_of
from tools.verify_azure.target import Gate, Target

VAULT = "https://contoso-vault.vault.azure.net"
PREFIX = "verify-azure-0badcafe-07"
TENANT = "9b6e6c2e-3f7b-4c8e-9b0a-6a7d5c4b3a21"
OBJECT = "1d2c3b4a-5f6e-4d7c-8b9a-0f1e2d3c4b5a"
VERSION = "0123456789abcdef0123456789abcdef"
CLIENT_SECRET = "abc8Q~Zr4uHq0fXw9kT2pVn7sLd3mJy6bGc1eAoR"
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "planted")])

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def redactor(prefix: str = PREFIX) -> Redactor:
    return Redactor(vault_uri=f"{VAULT}/", vault_name="contoso-vault", prefix=prefix)


def raw(response: Any = None, **changes: Any) -> RawExchange:
    fields: dict[str, Any] = {
        "caller": "deployer",
        "method": "GET",
        "url": f"{VAULT}/certificates/{PREFIX}-leaf/?api-version=7.6",
        "request": None,
        "status": 200,
        "headers": {},
        "response": response,
    }
    return RawExchange(**(fields | changes))


def redacted(response: Any, **changes: Any) -> str:
    """The text of the file in which one exchange would be kept."""
    exchange = redactor().exchange(raw(response, **changes))
    return Recording(
        check="c", key_type="EC-P256", cloud="public", conditions=Conditions(), exchanges=(exchange,)
    ).dump()


@cache
def key(kind: str = "EC") -> PrivateKey:
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())


def pem_of(private_key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return private_key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def certificate(private_key: PrivateKey, *, days: int = 30) -> x509.Certificate:
    begins = datetime.now(UTC) - timedelta(days=60)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(private_key.public_key())
    dated = builder.serial_number(7).not_valid_before(begins).not_valid_after(datetime.now(UTC) + timedelta(days=days))
    return dated.sign(private_key, hashes.SHA256())


def base64_of(made: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def signing_request(private_key: PrivateKey) -> str:
    return base64_of(x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(private_key, hashes.SHA256()))


def token() -> str:
    return jwt.encode({"oid": OBJECT, "tid": TENANT}, "k" * 32, algorithm="HS256")


class TestPlantedSecrets:
    """The files are made to be committed: whatever gets through is published."""

    @pytest.mark.parametrize("place", ["message", "value", "tags", "path", "query", "request", "Location"])
    @pytest.mark.parametrize("planted", ["token", "tenant", "object", "host", "key"])
    def test_nothing_planted_gets_through(self, place: str, planted: str) -> None:
        pkcs8 = base64.b64encode(key("RSA").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
        secret = {"token": token(), "tenant": TENANT, "object": OBJECT, "host": VAULT, "key": pkcs8}[planted]
        url = f"{VAULT}/certificates/{PREFIX}-leaf/"
        text = {
            "message": lambda: redacted({"error": {"code": "Forbidden", "message": f"so: {secret}, refused"}}),
            "value": lambda: redacted({"value": secret}),
            "tags": lambda: redacted({"tags": {"made": secret}}),
            "path": lambda: redacted(None, url=f"{url}{secret}?api-version=7.6"),
            "query": lambda: redacted(None, url=f"{url}?api-version=7.6&x={secret.replace('+', '%2B')}"),
            "request": lambda: redacted(None, request={"policy": {"any": [secret]}}),
            "Location": lambda: redacted(None, headers={"Location": f"{url}?x={secret}"}),
        }[place]()
        assert secret not in text
        assert secret[:40] not in text
        assert not leaks(text, [VAULT.removeprefix("https://"), TENANT, OBJECT])

    def test_request_headers_and_unknown_response_headers_are_left_out(self) -> None:
        """A list of what is secret would miss the next header that Azure thinks of; one of what is shown cannot."""
        text = redacted(
            None,
            headers={
                "Content-Type": "application/json",
                "Retry-After": "10",
                "Set-Cookie": "fpc=one",
                "WWW-Authenticate": "Bearer x",
                "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=203.0.113.9",
                "Authorization": f"Bearer {token()}",
            },
        )
        assert set(json.loads(text)["exchanges"][0]["headers"]) == {"Content-Type", "Retry-After"}

    @pytest.mark.parametrize("kind", ["RSA", "EC"])
    @pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
    def test_a_private_key_in_pem_is_named_and_not_kept(self, kind: str, form: PrivateFormat) -> None:
        private_key = key(kind)
        pem = pem_of(private_key, form) + certificate(private_key).public_bytes(Encoding.PEM).decode()
        (exchange,) = json.loads(redacted({"value": pem, "contentType": "application/x-pem-file"}))["exchanges"]
        label = re.search("BEGIN (.*?)-----", pem)
        assert label is not None
        assert exchange["response"]["value"] == f"<pem: {label[1]} of key-1; certificate-1 of key-1>"

    def test_a_private_key_in_any_other_form_is_not_kept(self) -> None:
        private_key = key("RSA")
        assert isinstance(private_key, rsa.RSAPrivateKey)
        numbers = private_key.private_numbers()
        jwk = {
            name: base64.urlsafe_b64encode(number.to_bytes(256, "big")).decode().rstrip("=")
            for name, number in {"d": numbers.d, "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1}.items()
        }
        bundle = pkcs12.serialize_key_and_certificates(None, private_key, None, None, NoEncryption())
        encodings = [*jwk.values(), base64.b64encode(bundle).decode(), f"{numbers.d:x}", pem_of(private_key)]
        response = {"key": {**jwk, "n": "AQAB", "kty": "RSA"}, "value": encodings[-3], "any": encodings}
        text = redacted(response, request={"value": pem_of(private_key), "pwd": "hunter2 hunter2"})
        assert [encoding[:40] for encoding in encodings if encoding[:40] in text] == []
        assert "hunter2" not in text
        assert not leaks(text)

    @given(
        secret=st.from_regex(r"[A-Za-z0-9+/_-]{64,200}={0,2}", fullmatch=True).filter(
            lambda text: re.search("[0-9]", text) and re.search("[A-Z]", text) and re.search("[a-z]", text)
        ),
        place=st.sampled_from(["message", "value", "n", "csr", "cer", "d", "x5t", "anything"]),
        before=st.sampled_from(["", " ", "x=", "'", '"', "\n"]),
    )
    def test_what_is_long_and_opaque_never_gets_through(self, secret: str, place: str, before: str) -> None:
        text = redacted({"one": [{place: f"{before}{secret} "}]})
        assert not any(secret[start : start + 40] in text for start in range(len(secret) - 39))

    def test_who_asked_and_from_where_is_left_out_of_azures_words(self) -> None:
        message = (
            "Caller is not authorized to perform action on resource.\r\n"
            f"Caller: appid={TENANT};oid={OBJECT};puid=10032000AF;iss=https://sts.windows.net/{TENANT}/\r\n"
            "Action: 'Microsoft.KeyVault/vaults/certificates/create/action'\r\n"
            f"Resource: '/subscriptions/{TENANT}/resourcegroups/payroll-prod/providers/microsoft.keyvault/vaults/"
            "contoso-vault/certificates/x'\r\n"
            "Client address: 203.0.113.9\r\nAsked by jane.doe@contoso.example from 198.51.100.7\r\n"
            "Vault: Contoso-Vault;location=norwayeast\r\n"
        )
        text = redacted({"error": {"code": "Forbidden", "message": message}})
        for told in ("contoso", "payroll", "puid", "203.0.113", "198.51.100", "jane", "norway", TENANT):
            assert told not in text.lower()
        assert "Microsoft.KeyVault/vaults/certificates/create/action" in text

    def test_what_others_keep_in_the_vault_is_left_out_of_lists(self) -> None:
        """Names of certificates tell what somebody runs."""
        listed = [
            {"id": f"{VAULT}/certificates/payroll", "tags": {"owner": "jane"}},
            {"id": f"{VAULT}/certificates/{PREFIX}-leaf"},
            {"kid": f"{VAULT}/keys/payroll"},
            {"id": f"{VAULT}/certificates/verify-azure-0badcafe-08-other-check"},
        ]
        (exchange,) = json.loads(redacted({"value": listed, "nextLink": None}))["exchanges"]
        assert exchange["response"]["value"] == [{"id": "https://<vault>/certificates/<prefix>-leaf"}]

    @pytest.mark.parametrize(
        "text",
        [token(), pem_of(key()), "x" + "aB3" * 20, "0123456789abcdef" * 4, f"Bearer {'a' * 30}", TENANT.upper()],
        ids=["token", "PEM", "opaque", "hexadecimal", "header", "known"],
    )
    def test_a_last_search_finds_what_redaction_would_have_missed(self, text: str) -> None:
        """It shares no rule's path with redaction: a file with a gap is withheld."""
        assert leaks(f'{{"member": "{text}"}}', [TENANT])
        assert text not in str(leaks(f'{{"member": "{text}"}}', [TENANT]))

    def test_the_last_search_finds_nothing_in_what_is_redacted(self) -> None:
        """The control of the one above: else nothing would ever be written."""
        response = {
            "id": f"{VAULT}/certificates/{PREFIX}-leaf/{VERSION}",
            "cer": base64_of(certificate(key())),
            "policy": {"x509_props": {"ekus": ["1.3.6.1.5.5.7.3.1"]}},
            "error": {"message": "Action: 'Microsoft.KeyVault/vaults/certificates/create/action'"},
        }
        assert leaks(redacted(response), [TENANT, VAULT]) == []


class TestPlaceholders:
    def test_the_same_thing_is_the_same_placeholder_everywhere(self) -> None:
        """A replay must know which version a request is about."""
        one = redactor()
        exchanges = [
            one.exchange(raw({"id": f"{VAULT}/certificates/{PREFIX}-leaf/{VERSION}"})),
            one.exchange(raw(url=f"{VAULT}/keys/{PREFIX}-leaf/{VERSION[::-1]}/sign?api-version=7.6")),
            one.exchange(raw({"kid": f"{VAULT}/keys/{PREFIX}-leaf/{VERSION}"})),
        ]
        assert exchanges[0].response == {"id": "https://<vault>/certificates/<prefix>-leaf/<id-1>"}
        assert exchanges[1].path == "/keys/<prefix>-leaf/<id-2>/sign"
        assert exchanges[2].response == {"kid": "https://<vault>/keys/<prefix>-leaf/<id-1>"}
        assert (one.known("id-1"), one.known("id-2"), one.known("id-3")) == (VERSION, VERSION[::-1], None)

    def test_two_runs_of_the_same_exchanges_read_alike(self) -> None:
        """Else a recording could not be compared with its replay."""

        def run(vault: str, prefix: str, private_key: PrivateKey) -> list[Exchange]:
            one = Redactor(vault_uri=vault, vault_name="v", prefix=prefix)
            version = base64.b16encode(prefix.encode() * 4).decode().lower()[:32]
            csr = signing_request(private_key)
            leaf = base64_of(certificate(private_key))
            return [
                one.exchange(raw({"csr": csr, "request_id": version}, url=f"{vault}/certificates/{prefix}-a/create")),
                one.exchange(raw({"cer": leaf, "attributes": {"exp": 1}}, request={"x5c": [leaf]}, url=f"{vault}/x")),
            ]

        one = run("https://one.vault.azure.net", "verify-azure-00000001", ec.generate_private_key(ec.SECP256R1()))
        other = run("https://127.0.0.1:23456", "o-1234567890ab", ec.generate_private_key(ec.SECP256R1()))
        assert one == other
        assert one[1].request == {"x5c": ["<certificate-1 of key-1>"]}

    def test_a_certificate_says_whose_key_it_has_and_whether_it_has_ended(self) -> None:
        """A replay makes one for the key of a pending request, and must know if it is to be refused for its end."""
        own, foreign = key(), ec.generate_private_key(ec.SECP256R1())
        one = redactor()
        exchange = one.exchange(
            raw(
                {"csr": signing_request(own)},
                request={"x5c": [base64_of(certificate(own, days=-1)), base64_of(certificate(foreign))]},
            )
        )
        assert exchange.request == {"x5c": ["<certificate-1 of key-1, ended>", "<certificate-2 of key-2>"]}
        assert exchange.response == {"csr": "<csr-1 of key-1>"}
        assert one.public_key("key-1")
        assert one.public_key("key-3") is None

    def test_times_are_days_from_now_and_sizes_are_kept(self) -> None:
        """The length of a signature tells raw r and s from DER; the second of a day tells when somebody works."""
        in_30_days = int((datetime.now(UTC) + timedelta(days=30)).timestamp())
        signature = base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")
        (exchange,) = json.loads(redacted({"attributes": {"exp": in_30_days}, "value": signature}))["exchanges"]
        assert exchange["response"] == {"attributes": {"exp": "<time+30d>"}, "value": "<value-1 of 64 bytes>"}

    def test_what_code_looks_at_is_kept(self) -> None:
        """The control of redaction: codes, states and flags are what the recording is for."""
        response = {
            "error": {"code": "Forbidden", "innererror": {"code": "ForbiddenByRbac"}},
            "status": "inProgress",
            "key_ops": ["sign", "verify"],
            "attributes": {"enabled": False, "recoverableDays": 90, "recoveryLevel": "Recoverable+Purgeable"},
            "valid": True,
        }
        assert json.loads(redacted(response))["exchanges"][0]["response"] == response


def exchange(status: int = 200, **changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "caller": "deployer",
        "method": "GET",
        "path": "/certificates/<prefix>-a/pending",
        "query": {"api-version": "7.6"},
        "status": status,
        "headers": {},
    }
    return Exchange(**(fields | changes))


class TestFolding:
    def test_of_polls_the_last_is_kept(self) -> None:
        """How often Azure must be asked is a matter of its mood that day."""
        polls = [exchange(404), exchange(200, response={"status": "inProgress"}), exchange(response={"status": "done"})]
        assert folded(polls) == (polls[-1],)

    def test_a_fault_that_was_tried_again_is_left_out(self) -> None:
        create = {"method": "POST", "path": "/certificates/<prefix>-a/create", "request": {"policy": {}}}
        assert folded([exchange(503, **create), exchange(202, **create)]) == (exchange(202, **create),)

    def test_the_same_write_again_is_no_poll(self) -> None:
        """That the second creation is refused is the whole point of asking for it."""
        create = {"method": "POST", "path": "/certificates/<prefix>-a/create", "request": {"policy": {}}}
        both = (exchange(202, **create), exchange(409, **create))
        assert folded(both) == both

    def test_the_same_question_of_somebody_else_is_another(self) -> None:
        both = (exchange(), exchange(403, caller="stranger"))
        assert folded(both) == both

    def test_pages_become_one(self) -> None:
        """A vault of the replay's own has fewer names in it, and one page."""
        first = exchange(path="/certificates", response={"value": [{"id": "b"}], "nextLink": "https://<vault>/…"})
        query = {"api-version": "7.6", "$skiptoken": "<opaque>"}
        second = exchange(path="/certificates", query=query, response={"value": [{"id": "a"}]})
        (whole,) = folded([first, second])
        assert whole.response == {"value": [{"id": "a"}, {"id": "b"}]}
        assert whole.query == {"api-version": "7.6"}

    def test_a_recording_is_read_as_it_was_written(self, tmp_path: Any) -> None:
        denied = Conditions(network="denied")
        recording = Recording(
            check="leaf", key_type="RSA-2048", cloud="public", conditions=denied, exchanges=(exchange(),)
        )
        path = tmp_path / recording.file_name
        path.write_text(recording.dump())
        assert Recording.load(path) == recording
        path.write_text('{"check": "leaf"}')
        with pytest.raises(ValueError, match="key_type"):
            Recording.load(path)


GUESSES = {
    name
    for name, member in inspect.getmembers(assumptions, inspect.isfunction)
    if member.__module__ == assumptions.__name__ and not name.startswith("_")
}


class TestTable:
    def test_every_guess_of_localazure_is_looked_at(self) -> None:
        """A guess that nobody asks Azure about stays one for ever."""
        assert {guess for check in CHECKS for guess in check.guesses} == GUESSES

    def test_every_check_is_in_the_table_once(self) -> None:
        """One that is written and not listed never runs; two of a name write the same file."""
        written = [member for member in vars(checks).values() if isinstance(member, Check)]
        assert len({check.name for check in CHECKS}) == len(CHECKS) == len(written)
        assert set(map(id, written)) == set(map(id, CHECKS))

    def test_both_kinds_of_key_are_tried_where_authorities_are_made(self) -> None:
        """Elliptic-curve authorities are what nobody has tried on Azure."""
        widely = {check.name for check in CHECKS if set(check.key_types) == set(checks.KEY_TYPES)}
        assert widely >= {"key-only-version", "second-request", "signing-while-pending", "merged-authority", "leaf"}
        assert {KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P384} == set(checks.KEY_TYPES)

    def test_the_page_names_every_check(self) -> None:
        page = (REPOSITORY / "docs" / "verify-azure.md").read_text()
        assert [check.name for check in CHECKS if f"`{check.name}`" not in page] == []

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
    def test_what_is_assumed_can_be_told_from_its_contrary(self, check: Check) -> None:
        """An empty table of assumptions is the same as anything."""
        assert check.assumes
        json.dumps(check.assumes)


def made_check(assumes: Mapping[str, Any], seen: Mapping[str, Any] | Exception) -> Check:
    async def ask(_: Bench) -> Mapping[str, Any]:
        if isinstance(seen, Exception):
            raise seen
        return seen

    return Check(
        name="made",
        about="made for a test",
        guesses=(),
        assumes=assumes,
        ask=ask,
        key_types=(KeyType.EC_P256,),
        needs=None,
        network="open",
        kept_status=None,
    )


async def result_of(assumes: Mapping[str, Any], seen: Mapping[str, Any] | Exception) -> Result:
    bench = Bench(own=None, stranger=None, gate=None, prefix=PREFIX, key_type=KeyType.EC_P256)  # type: ignore[arg-type]
    return await answered(made_check(assumes, seen), bench, redactor())


class TestVerdict:
    async def test_the_same_answers_are_the_same(self) -> None:
        result = await result_of({"a": "accepted", "b": [1]}, {"b": [1], "a": "accepted"})
        assert (result.verdict, result.differences) == ("same", [])

    @pytest.mark.parametrize("seen", [{"a": "409 Conflict", "b": [1]}, {"a": "accepted"}, {}])
    async def test_another_answer_or_none_is_different(self, seen: Mapping[str, Any]) -> None:
        assert (await result_of({"a": "accepted", "b": [1]}, seen)).verdict == "different"

    async def test_a_surprise_is_different_and_told_without_names(self) -> None:
        """One answer that nobody thought of would end the run; and its words would tell whose vault it was."""
        result = await result_of({"a": 1}, ValueError(f"{VAULT}/certificates/{PREFIX}-leaf is not there"))
        assert result.verdict == "different"
        assert result.remark == "it ended with ValueError: https://<vault>/certificates/<prefix>-leaf is not there"

    async def test_the_report_has_both_sides_of_every_difference(self) -> None:
        same = await result_of({"a": 1}, {"a": 1})
        other = await result_of({"a": [1], "b": "[bold]x"}, {"a": [2], "b": "[bold]x"})
        results = [same, other]
        assert summary(results) == {"same": 1, "different": 1, "not run": 0}
        report = json.loads(as_json(results, cloud="public", began=datetime(2026, 3, 29, tzinfo=UTC)))
        assert (report["cloud"], report["apiVersion"], report["began"]) == (
            "public",
            "7.6",
            "2026-03-29T00:00:00+00:00",
        )
        assert report["checks"][1]["differences"] == [{"question": "a", "assumed": [1], "seen": [2]}]
        console = Console(width=120, file=io.StringIO())
        with console.capture() as captured:
            console.print(table(results))
        shown = captured.get()
        assert "a: assumed [1], seen [2]" in shown
        assert shown.count("EC-P256") == 2


class FakeArm:
    """Takes the place of a session and its vault client: notes changes, and refuses them from the nth on."""

    def __init__(self, *, refuses_from: int = 99) -> None:
        self.changes: list[Mapping[str, Any]] = []
        self._refuses_from = refuses_from

    @asynccontextmanager
    async def client(self, _: str) -> AsyncIterator[Any]:
        yield SimpleNamespace(vaults=self)

    async def update(self, _group: str, _vault: str, change: Any) -> None:
        self.changes.append(change["properties"])
        if len(self.changes) >= self._refuses_from:
            raise HttpResponseError("no")


class TestGate:
    BEFORE: ClassVar[dict[str, Any]] = {"networkAcls": {"defaultAction": "Deny"}, "publicNetworkAccess": "Enabled"}

    def gate(self, arm: FakeArm, said: list[str]) -> Gate:
        target = Target(
            id="/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v",
            name="v",
            uri="https://v.vault.azure.net/",
            resource_group="g",
            subscription_id="s",
            purge_protected=False,
            soft_delete_days=90,
            network=self.BEFORE,
        )
        return Gate(SimpleNamespace(vaults=arm.client), target, said.append)  # type: ignore[arg-type]

    async def settled(self, _: bool) -> None:
        return None

    async def test_the_rules_are_put_back_whatever_happens_meanwhile(self) -> None:
        arm, said = FakeArm(), list[str]()
        with pytest.raises(TimeoutError):
            async with self.gate(arm, said).shut("closed", self.settled):
                raise TimeoutError
        assert arm.changes == [{"publicNetworkAccess": "Disabled"}, self.BEFORE]
        assert said[-1] == "network rules of v are back"

    async def test_rules_that_cannot_be_put_back_are_printed(self) -> None:
        """A vault that stays shut, and nobody knows how it was."""
        arm, said = FakeArm(refuses_from=2), list[str]()
        with pytest.raises(HttpResponseError):
            async with self.gate(arm, said).shut("denied", self.settled):
                pass
        assert "COULD NOT BE PUT BACK" in said[-1]
        assert json.dumps(self.BEFORE) in "\n".join(said)


class TestStranger:
    def test_there_is_none_unless_it_is_described(self) -> None:
        assert stranger_of(Identity({"ARM_CLIENT_ID": "one", "ARM_CLIENT_SECRET": "x"})) is None

    def test_it_is_never_the_first_identity_in_disguise(self) -> None:
        """With a credential of the first one left over, a missing role would never be seen."""
        mine = {
            "ARM_CLIENT_ID": "one",
            "ARM_CLIENT_SECRET": "x",
            "ARM_CLIENT_CERTIFICATE_PATH": "/c",
            "ARM_USE_MSI": "1",
        }
        shared = {"ARM_TENANT_ID": "tenant", "ARM_METADATA_HOSTNAME": "127.0.0.1:1", "ARM_ENVIRONMENT": "china"}
        theirs = {"OTHER_ARM_CLIENT_ID": "two", "OTHER_ARM_CLIENT_SECRET": "y"}
        stranger = stranger_of(Identity({**mine, **shared, **theirs}))
        assert stranger is not None
        assert dict(stranger.variables) == {**shared, "ARM_CLIENT_ID": "two", "ARM_CLIENT_SECRET": "y"}

    def test_it_may_be_of_another_tenant(self) -> None:
        described = {"ARM_TENANT_ID": "mine", "OTHER_ARM_TENANT_ID": "theirs", "OTHER_ARM_CLIENT_ID": "two"}
        stranger = stranger_of(Identity(described))
        assert stranger is not None
        assert stranger.variables["ARM_TENANT_ID"] == "theirs"


def test_an_id_is_told_by_what_the_check_calls_it() -> None:
    known = {"first": "1", "second": "2"}
    assert [which(held, **known) for held in ("1", "2", "3", None, "")] == [
        "first",
        "second",
        "another",
        "none",
        "none",
    ]


def test_the_blocks_of_a_secret_are_named_in_their_order() -> None:
    pem = pem_of(key()) + certificate(key()).public_bytes(Encoding.PEM).decode()
    assert blocks(pem) == ["PRIVATE KEY", "CERTIFICATE"]
    assert blocks(None) == []
