"""The table of checks: what local Azure assumes, and how Azure is asked.

A check answers questions of its own, each in a few words, with what it sees; `assumes` has the same questions with what
localazure does. `guesses` names the functions of localazure/keyvault/assumptions.py that the answers are about. Every
check begins with nothing and has its own names, so that its exchanges can be replayed alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyCurveName, KeyOperation
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki import KeyType
from tools.verify_azure.bench import (
    ACCEPTED,
    Bench,
    blocks,
    outcome,
    refusal,
    request_of,
    tag_of,
    until,
    version_of,
    which,
    x509_of,
)
from tools.verify_azure.exchanges import Network

Answers = Mapping[str, Any]
Needs = Literal["stranger", "firewall", "throttle"]
Ask = Callable[[Bench], Awaitable[Answers]]

KEY_TYPES = (KeyType.RSA_2048, KeyType.EC_P256, KeyType.EC_P384)
_ONE = (KeyType.EC_P256,)

_DELETED_NAME = "409 Conflict ObjectIsDeletedButRecoverable"
_NO_ROLE = "403 Forbidden ForbiddenByRbac"
_NO_PENDING = "404 PendingCertificateNotFound"
_BURST = 40


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of the table; `needs` names what a person must allow or bring for it.

    Of its exchanges only those with `kept_status` are worth keeping, where that is given.
    """

    name: str
    about: str
    guesses: tuple[str, ...]
    assumes: Answers
    ask: Ask
    key_types: tuple[KeyType, ...]
    needs: Needs | None
    network: Network
    kept_status: int | None


def _check(
    about: str,
    assumes: Answers,
    *guesses: str,
    key_types: tuple[KeyType, ...] = _ONE,
    needs: Needs | None = None,
    network: Network = "open",
    kept_status: int | None = None,
) -> Callable[[Ask], Check]:
    def made(ask: Ask) -> Check:
        return Check(
            name=ask.__name__.replace("_", "-"),
            about=about,
            guesses=guesses,
            assumes=assumes,
            ask=ask,
            key_types=key_types,
            needs=needs,
            network=network,
            kept_status=kept_status,
        )

    return made


# Authorities ---------------------------------------------------------------------------------------------------------


@_check(
    "A first version that waits for its certificate",
    {
        "status": "inProgress",
        "the request is for a key of the right type": True,
        "the request is signed with it": True,
        "GET: enabled": False,
        "GET: has": [],
        "GET: tag": "request",
        "GET: issuer in the policy": "Unknown",
        "GET by version": ACCEPTED,
        "its versions listed": 0,
        "listed": False,
        "listed with includePending": True,
        "its key": "404 KeyNotFound",
        "its secret": "404 SecretNotFound",
    },
    "listed_versions",
    key_types=KEY_TYPES,
)
async def first_request(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    pending = await bench.requested(name)
    csr = request_of(pending)
    held = await own.certificates.get_certificate(name)
    version = version_of(held)
    listed = [item.name async for item in own.certificates.list_properties_of_certificates()]
    listed_pending = [
        item.name async for item in own.certificates.list_properties_of_certificates(include_pending=True)
    ]
    return {
        "status": pending.status,
        "the request is for a key of the right type": KeyType.of(csr.public_key()) is bench.key_type,
        "the request is signed with it": csr.is_signature_valid,
        "GET: enabled": held.properties.enabled if held.properties else None,
        "GET: has": [member for member in ("cer", "key_id", "secret_id") if getattr(held, member)],
        "GET: tag": tag_of(held),
        "GET: issuer in the policy": held.policy.issuer_name if held.policy else None,
        "GET by version": await outcome(own.certificates.get_certificate_version(name, version)),
        "its versions listed": len(await bench.versions(name)),
        "listed": name in listed,
        "listed with includePending": name in listed_pending,
        "its key": await outcome(own.keys.get_key(name)),
        "its secret": await outcome(own.secrets.get_secret(name)),
    }


@_check(
    "A version that the vault signs itself, for the sake of its key",
    {
        "request, in the end": "completed",
        "is an authority": False,
        "key operations": ["sign", "verify"],
        "the key is managed": True,
        "the secret holds": ["CERTIFICATE"],
    },
    "key_operations",
    key_types=KEY_TYPES,
)
async def key_only_version(bench: Bench) -> Answers:
    name = bench.name()
    created = await bench.self_issued(name)
    key = await bench.own.keys.get_key(name)
    return {
        "request, in the end": (await bench.own.certificates.get_certificate_operation(name)).status,
        "is an authority": _is_authority(x509_of(created)),
        "key operations": key.key_operations,
        "the key is managed": key.properties.managed,
        "the secret holds": blocks((await bench.own.secrets.get_secret(name)).value),
    }


@_check("The undocumented basic_constraints of a policy", {"is an authority": False})
async def basic_constraints(bench: Bench) -> Answers:
    name = bench.name()
    properties = {"subject": "CN=verify-azure", "basic_constraints": {"ca": True, "path_len_constraint": 0}}
    await bench.created(name, {"issuer": {"name": "Self"}, "key_props": {"kty": "EC"}, "x509_props": properties})
    return {"is an authority": _is_authority(x509_of(await bench.own.certificates.get_certificate(name)))}


@_check(
    "A second version that waits, over the key of the first",
    {
        "status": "inProgress",
        "the request is for the key of the first": True,
        "GET: is": "first",
        "GET: tag": "first",
        "GET: issuer in the policy": "Unknown",
        "its versions listed": ["first"],
        "versions of its key listed": ["first"],
        "its secret is of": "first",
        "its key is of": "first",
    },
    "reused_key",
    "listed_versions",
    key_types=KEY_TYPES,
)
async def second_request(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    first, pending, csr = await bench.pending_authority(name)
    known = {"first": version_of(first)}
    held = await own.certificates.get_certificate(name)
    keys = [item.version async for item in own.keys.list_properties_of_key_versions(name)]
    secret, key = await own.secrets.get_secret(name), await own.keys.get_key(name)
    return {
        "status": pending.status,
        "the request is for the key of the first": csr.public_key() == x509_of(first).public_key(),
        "GET: is": which(version_of(held), **known),
        "GET: tag": tag_of(held),
        "GET: issuer in the policy": held.policy.issuer_name if held.policy else None,
        "its versions listed": [which(version, **known) for version in await bench.versions(name)],
        "versions of its key listed": [which(version, **known) for version in keys],
        "its secret is of": which(secret.properties.version, **known),
        "its key is of": which(key.properties.version, **known),
    }


@_check(
    "Signing with a key while a version over it waits",
    {"before": ACCEPTED, "by version": ACCEPTED, "by name": "first", "the signature is the key's": True},
    "allow",
    key_types=KEY_TYPES,
)
async def signing_while_pending(bench: Bench) -> Answers:
    name = bench.name()
    first = await bench.self_issued(name)
    before = await bench.sign_outcome(first.key_id)
    csr = request_of(await bench.requested(name, reuse_key=True))
    unsigned = bench.authority_draft(csr)
    by_name = await bench.own.cryptography(str(first.key_id).rpartition("/")[0]).sign(
        unsigned.algorithm.value,  # type: ignore[arg-type]
        unsigned.digest,
    )
    return {
        "before": before,
        "by version": await bench.sign_outcome(first.key_id),
        "by name": which(by_name.key_id, first=first.key_id),
        "the signature is the key's": await _is_signed(bench.signed(unsigned, first.key_id)),
    }


@_check(
    "An authority that is signed with its own key, merged",
    {
        "holds what was merged": True,
        "key id": "of the new version",
        "tag": "merge",
        "its versions listed": 2,
        "request, in the end": "completed",
        "key operations": ["sign", "verify"],
        "the secret holds": ["CERTIFICATE"],
        "signing with it": ACCEPTED,
        "signing with the first version": ACCEPTED,
    },
    "key_operations",
    "listed_versions",
    key_types=KEY_TYPES,
)
async def merged_authority(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    first, _, csr = await bench.pending_authority(name)
    certificate = await bench.signed(bench.authority_draft(csr), first.key_id)
    merged = await bench.merged(name, certificate)
    held = await own.certificates.get_certificate(name)
    of_new = {"of the new version": f"/{version_of(held)}", "of the first version": f"/{version_of(first)}"}
    return {
        "holds what was merged": x509_of(held) == certificate,
        "key id": next((words for words, end in of_new.items() if str(merged.key_id).endswith(end)), "another"),
        "tag": tag_of(held),
        "its versions listed": len(await bench.versions(name)),
        "request, in the end": (await own.certificates.get_certificate_operation(name)).status,
        "key operations": (await own.keys.get_key(name)).key_operations,
        "the secret holds": blocks((await own.secrets.get_secret(name)).value),
        "signing with it": await bench.sign_outcome(merged.key_id),
        "signing with the first version": await bench.sign_outcome(first.key_id),
    }


@_check(
    "The first version of an authority, disabled",
    {
        "signing with it": "403 Forbidden KeyDisabled",
        "reading its key": ACCEPTED,
        "reading its secret": "403 Forbidden SecretDisabled",
        "reading its certificate": ACCEPTED,
        "signing with the second version": ACCEPTED,
        "signing by name": ACCEPTED,
    },
    "allow",
    key_types=KEY_TYPES,
)
async def disabled_first_version(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    first, merged = await bench.authority(name)
    version = version_of(first)
    await own.certificates.update_certificate_properties(name, version, enabled=False)
    return {
        "signing with it": await bench.sign_outcome(first.key_id),
        "reading its key": await outcome(own.keys.get_key(name, version)),
        "reading its secret": await outcome(own.secrets.get_secret(name, version)),
        "reading its certificate": await outcome(own.certificates.get_certificate_version(name, version)),
        "signing with the second version": await bench.sign_outcome(merged.key_id),
        "signing by name": await bench.sign_outcome(str(merged.key_id).rpartition("/")[0]),
    }


@_check(
    "An authority whose certificate has ended",
    {
        "merging": ACCEPTED,
        "signing with it": "403 Forbidden KeyExpired",
        "signing with the first version": ACCEPTED,
        "a new request over its key": ACCEPTED,
    },
    "allow",
)
async def ended_authority(bench: Bench) -> Answers:
    name = bench.name()
    first, _, csr = await bench.pending_authority(name)
    long_ago = datetime.now(UTC) - timedelta(days=365)
    ended = await bench.signed(bench.authority_draft(csr, issued_on=long_ago), first.key_id)
    merging = await outcome(bench.merged(name, ended))
    held = await bench.own.certificates.get_certificate(name)
    return {
        "merging": merging,
        "signing with it": await bench.sign_outcome(held.key_id),
        "signing with the first version": await bench.sign_outcome(first.key_id),
        "a new request over its key": await outcome(bench.requested(name, reuse_key=True)),
    }


# Leaves --------------------------------------------------------------------------------------------------------------


@_check(
    "A leaf that an authority in the vault signs, merged with its chain",
    {
        "content type": "application/x-pem-file",
        "the secret holds": ["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"],
        "its certificates are": ["leaf", "authority"],
        "its key is the leaf's": True,
        "tag": "merge",
    },
    key_types=KEY_TYPES,
)
async def leaf(bench: Bench) -> Answers:
    name = bench.name("leaf")
    _, authority = await bench.authority(bench.name("authority"))
    csr = request_of(await bench.requested(name, exportable=True))
    certificate = await bench.signed(bench.leaf_draft(csr, x509_of(authority)), authority.key_id)
    merged = await bench.merged(name, x509_of(authority), certificate)
    secret = await bench.own.secrets.get_secret(name)
    pem = (secret.value or "").encode()
    names = {certificate: "leaf", x509_of(authority): "authority"}
    return {
        "content type": secret.properties.content_type,
        "the secret holds": blocks(secret.value),
        "its certificates are": [names.get(each, "another") for each in x509.load_pem_x509_certificates(pem)],
        "its key is the leaf's": load_pem_private_key(pem, None).public_key() == certificate.public_key(),
        "tag": tag_of(merged),
    }


@_check(
    "A leaf renewed, with a new key and with the same",
    {
        "while pending, GET is": "first",
        "while pending, the secret is of": "first",
        "after the merge, GET is": "second",
        "tag, the merge having none": "renewal",
        "its key is new": True,
        "the first version": ACCEPTED,
        "its versions listed": 2,
        "with reuse_key its key is new": False,
    },
    "reused_key",
    "listed_versions",
    key_types=KEY_TYPES,
)
async def renewal(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    csr = request_of(await bench.requested(name, exportable=True))
    first = await bench.merged(name, bench.foreign(csr))
    known = {"first": version_of(first)}
    second_csr = request_of(await bench.requested(name, exportable=True, tag="renewal"))
    pending, secret = await own.certificates.get_certificate(name), await own.secrets.get_secret(name)
    second = await bench.merged(name, bench.foreign(second_csr), tag=None)
    held = await own.certificates.get_certificate(name)
    versions = await bench.versions(name)
    third_csr = request_of(await bench.requested(name, exportable=True, reuse_key=True))
    return {
        "while pending, GET is": which(version_of(pending), **known),
        "while pending, the secret is of": which(secret.properties.version, **known),
        "after the merge, GET is": which(version_of(held), **known, second=version_of(second)),
        "tag, the merge having none": tag_of(held),
        "its key is new": second_csr.public_key() != csr.public_key(),
        "the first version": await outcome(own.certificates.get_certificate_version(name, known["first"])),
        "its versions listed": len(versions),
        "with reuse_key its key is new": third_csr.public_key() != second_csr.public_key(),
    }


@_check(
    "A key that is to be reused as another kind of key",
    {"another curve": "400 BadParameter", "another type": "400 BadParameter", "exportable": "400 BadParameter"},
    "reused_key",
)
async def reuse_as_another_key(bench: Bench) -> Answers:
    changes: dict[str, dict[str, Any]] = {
        "another curve": {"key_type": KeyType.EC_P384},
        "another type": {"key_type": KeyType.RSA_2048},
        "exportable": {"exportable": True},
    }
    answers = {}
    for question, change in changes.items():
        name = bench.name(question.replace(" ", "-"))
        await bench.self_issued(name)
        answers[question] = await outcome(bench.requested(name, reuse_key=True, **change))
    return answers


@_check(
    "What a key may be asked, by the usages in the policy of its certificate",
    {
        "RSA, not given": ["sign", "verify", "wrapKey", "unwrapKey"],
        "RSA, none": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
        "RSA, keyEncipherment": ["wrapKey", "unwrapKey"],
        "RSA, dataEncipherment": ["encrypt", "decrypt"],
        "EC, none": ["sign", "verify"],
        "EC, keyAgreement": [],
    },
    "key_operations",
)
async def key_operations(bench: Bench) -> Answers:
    given: dict[str, dict[str, Any]] = {
        "RSA, not given": {},
        "RSA, none": {"key_usage": []},
        "RSA, keyEncipherment": {"key_usage": ["keyEncipherment"]},
        "RSA, dataEncipherment": {"key_usage": ["dataEncipherment"]},
        "EC, none": {"key_usage": []},
        "EC, keyAgreement": {"key_usage": ["keyAgreement"]},
    }
    answers: dict[str, Any] = {}
    for question, usages in given.items():
        kty, _, usage = question.partition(", ")
        name = bench.name(f"{kty}-{usage.replace(' ', '-')}")
        properties = {"subject": "CN=verify-azure", **usages}
        policy = {"issuer": {"name": "Self"}, "key_props": {"kty": kty}, "x509_props": properties}
        refused = await outcome(bench.created(name, policy))
        answers[question] = (await bench.own.keys.get_key(name)).key_operations if refused == ACCEPTED else refused
    return answers


# Requests that were begun and left -----------------------------------------------------------------------------------


@_check(
    "A creation that was killed, and is taken up",
    {"another creation meanwhile": "409 Conflict", "the request is still there": True, "merging": ACCEPTED},
    "refuse_merge",
)
async def abandoned_request(bench: Bench) -> Answers:
    name = bench.name()
    begun = await bench.requested(name)
    again = await outcome(bench.requested(name))
    found = await bench.own.certificates.get_certificate_operation(name)
    return {
        "another creation meanwhile": again,
        "the request is still there": found.csr == begun.csr,
        "merging": await outcome(bench.merged(name, bench.foreign(request_of(found)))),
    }


@_check(
    "A request that is cancelled",
    {
        "status at once": "inProgress",
        "status in the end": "cancelled",
        "cancelling again": "400 BadParameter",
        "merging": ACCEPTED,
        "another creation": ACCEPTED,
    },
    "cancelled",
)
async def cancelled_request(bench: Bench) -> Answers:
    name, certificates = bench.name(), bench.own.certificates
    csr = request_of(await bench.requested(name))
    at_once = await certificates.cancel_certificate_operation(name)
    in_the_end = await until(
        "the cancellation",
        lambda: certificates.get_certificate_operation(name),
        lambda found: found.status != "inProgress",
    )
    return {
        "status at once": at_once.status,
        "status in the end": in_the_end.status,
        "cancelling again": await outcome(certificates.cancel_certificate_operation(name)),
        "merging": await outcome(bench.merged(name, bench.foreign(csr))),
        "another creation": await outcome(bench.requested(name)),
    }


@_check(
    "A request that is deleted",
    {
        "deleting": ACCEPTED,
        "reading it": _NO_PENDING,
        "merging": _NO_PENDING,
        "GET": ACCEPTED,
        "its versions listed": 0,
        "another creation": ACCEPTED,
    },
    "pending_not_found",
    "listed_versions",
)
async def deleted_request(bench: Bench) -> Answers:
    name, certificates = bench.name(), bench.own.certificates
    csr = request_of(await bench.requested(name))
    return {
        "deleting": await outcome(certificates.delete_certificate_operation(name)),
        "reading it": await outcome(certificates.get_certificate_operation(name)),
        "merging": await outcome(bench.merged(name, bench.foreign(csr))),
        "GET": await outcome(certificates.get_certificate(name)),
        "its versions listed": len(await bench.versions(name)),
        "another creation": await outcome(bench.requested(name)),
    }


@_check(
    "Merges that are refused",
    {
        "without any request": _NO_PENDING,
        "for another key": "400 BadParameter",
        "what is no certificate": "400 BadParameter",
        "once it is completed": _NO_PENDING,
        "while the vault issues by itself": "403 Forbidden",
    },
    "refuse_merge",
    "pending_not_found",
)
async def refused_merges(bench: Bench) -> Answers:
    name, itself = bench.name(), bench.name("itself")
    without = await outcome(bench.merged(bench.name("none"), bench.misfit()))
    csr = request_of(await bench.requested(name))
    answers = {
        "without any request": without,
        "for another key": await outcome(bench.merged(name, bench.misfit())),
        "what is no certificate": await outcome(bench.own.certificates.merge_certificate(name, [b"no certificate"])),
    }
    await bench.merged(name, bench.foreign(csr))
    answers["once it is completed"] = await outcome(bench.merged(name, bench.foreign(csr)))
    policy = {"issuer": {"name": "Self"}, "x509_props": {"subject": "CN=verify-azure"}}
    await bench.own.send("POST", f"/certificates/{itself}/create", {"policy": policy})
    answers["while the vault issues by itself"] = await outcome(bench.merged(itself, bench.misfit()))
    return answers


# Deletion, names that are taken, objects that belong to a certificate -------------------------------------------------


@_check(
    "A deleted certificate, which still holds its name",
    {
        "GET": "404 CertificateNotFound",
        "creating it again": _DELETED_NAME,
        "creating a key": _DELETED_NAME,
        "setting a secret": _DELETED_NAME,
        "its tag, deleted": "merge",
        "recovering": ACCEPTED,
        "its versions listed, recovered": 2,
        "signing with it, recovered": ACCEPTED,
    },
)
async def deleted_certificate(bench: Bench) -> Answers:
    name, own = bench.name(), bench.own
    _, merged = await bench.authority(name)
    deleted = await own.certificates.delete_certificate(name)
    answers = {
        "GET": await outcome(own.certificates.get_certificate(name)),
        "creating it again": await outcome(bench.requested(name)),
        "creating a key": await outcome(own.keys.create_ec_key(name)),
        "setting a secret": await outcome(own.secrets.set_secret(name, "nothing")),
        "its tag, deleted": tag_of(deleted),
        "recovering": await outcome(own.certificates.recover_deleted_certificate(name)),
    }
    return {
        **answers,
        "its versions listed, recovered": len(await bench.versions(name)),
        "signing with it, recovered": await bench.sign_outcome(merged.key_id),
    }


@_check(
    "A certificate that is deleted while a version of it waits",
    {"deleting": ACCEPTED, "recovering": ACCEPTED, "the request is still there": True},
)
async def deleted_while_pending(bench: Bench) -> Answers:
    name, certificates = bench.name(), bench.own.certificates
    _, pending, _ = await bench.pending_authority(name)
    deleting = await outcome(certificates.delete_certificate(name))
    recovering = await outcome(certificates.recover_deleted_certificate(name))
    try:
        same = (await certificates.get_certificate_operation(name)).csr == pending.csr
    except HttpResponseError:
        same = False
    return {"deleting": deleting, "recovering": recovering, "the request is still there": same}


@_check(
    "A name that a plain key or a plain secret has",
    {"a key's": "409 Conflict", "a secret's": "409 Conflict"},
    "refuse_taken_name",
)
async def taken_names(bench: Bench) -> Answers:
    key, secret = bench.name("key"), bench.name("secret")
    await bench.own.keys.create_ec_key(key)
    await bench.own.secrets.set_secret(secret, "nothing")
    return {"a key's": await outcome(bench.requested(key)), "a secret's": await outcome(bench.requested(secret))}


@_check(
    "The key and the secret of a certificate, asked for what only the certificate may be",
    {
        "backing up the key": ACCEPTED,
        "updating the key": "403 Forbidden KeyManagedByKeyVault",
        "a new version of the key": "403 Forbidden KeyManagedByKeyVault",
        "deleting the key": "403 Forbidden KeyManagedByKeyVault",
        "updating the secret": "403 Forbidden SecretManagedByKeyVault",
        "a new version of the secret": "403 Forbidden SecretManagedByKeyVault",
        "deleting the secret": "403 Forbidden SecretManagedByKeyVault",
        "recovering the deleted key": "403 Forbidden KeyManagedByKeyVault",
        "recovering the deleted secret": "403 Forbidden SecretManagedByKeyVault",
    },
    "refuse_managed",
)
async def managed_key_and_secret(bench: Bench) -> Answers:
    name, keys, secrets = bench.name(), bench.own.keys, bench.own.secrets
    await bench.self_issued(name)
    answers = {
        "backing up the key": await outcome(keys.backup_key(name)),
        "updating the key": await outcome(keys.update_key_properties(name, tags={"made": "update"})),
        "a new version of the key": await outcome(keys.create_ec_key(name)),
        "deleting the key": await outcome(keys.delete_key(name)),
        "updating the secret": await outcome(secrets.update_secret_properties(name, tags={"made": "update"})),
        "a new version of the secret": await outcome(secrets.set_secret(name, "nothing")),
        "deleting the secret": await outcome(secrets.delete_secret(name)),
    }
    await bench.own.certificates.delete_certificate(name)
    return {
        **answers,
        "recovering the deleted key": await outcome(keys.recover_deleted_key(name)),
        "recovering the deleted secret": await outcome(secrets.recover_deleted_secret(name)),
    }


@_check(
    "When a key may be used, and what is looked at first",
    {
        "signing before its start": "403 Forbidden KeyNotYetValid",
        "signing after its end": "403 Forbidden KeyExpired",
        "verifying after its end": ACCEPTED,
        "signing, disabled and ended": "403 Forbidden KeyDisabled",
        "signing, made to verify only": "403 Forbidden KeyOperationForbidden",
        "signing, made to verify only, ended": "403 Forbidden KeyExpired",
        "reading a disabled key": ACCEPTED,
    },
    "allow",
)
async def use_of_keys(bench: Bench) -> Answers:
    name, keys = bench.name("key"), bench.own.keys
    now = datetime.now(UTC)
    past, future = now - timedelta(days=30), now + timedelta(days=30)
    made = await keys.create_ec_key(name, curve=KeyCurveName.p_256, not_before=past, expires_on=future)
    path = f"/keys/{name}/{made.properties.version}"
    digest = "A" * 43
    answer: dict[str, str] = (await bench.own.send("POST", f"{path}/sign", {"alg": "ES256", "value": digest})).json()

    async def signing() -> str:
        return await outcome(bench.own.send("POST", f"{path}/sign", {"alg": "ES256", "value": digest}))

    answers = {}
    await keys.update_key_properties(name, not_before=future, expires_on=future + timedelta(days=30))
    answers["signing before its start"] = await signing()
    await keys.update_key_properties(name, not_before=past - timedelta(days=30), expires_on=past)
    answers["signing after its end"] = await signing()
    verify = {"alg": "ES256", "digest": digest, "value": answer["value"]}
    answers["verifying after its end"] = await outcome(bench.own.send("POST", f"{path}/verify", verify))
    await keys.update_key_properties(name, enabled=False)
    answers["signing, disabled and ended"] = await signing()
    answers["reading a disabled key"] = await outcome(keys.get_key(name))
    await keys.update_key_properties(name, enabled=True, key_operations=[KeyOperation.verify])
    answers["signing, made to verify only, ended"] = await signing()
    await keys.update_key_properties(name, expires_on=future)
    answers["signing, made to verify only"] = await signing()
    return answers


# Refusals at the door ------------------------------------------------------------------------------------------------


@_check(
    "Somebody without any role",
    {
        "listing certificates": _NO_ROLE,
        "reading one that exists": _NO_ROLE,
        "reading one that does not": _NO_ROLE,
        "creating": _NO_ROLE,
        "reading a secret": _NO_ROLE,
        "signing": _NO_ROLE,
    },
    needs="stranger",
)
async def without_a_role(bench: Bench) -> Answers:
    stranger, name = bench.stranger, bench.name()
    assert stranger is not None
    created = await bench.self_issued(name)
    version = version_of(created)
    policy = {"issuer": {"name": "Unknown"}, "x509_props": {"subject": "CN=verify-azure"}}
    other, sign = bench.name("other"), {"alg": "ES256", "value": "A" * 43}
    return {
        "listing certificates": await outcome(stranger.send("GET", "/certificates")),
        "reading one that exists": await outcome(stranger.certificates.get_certificate(name)),
        "reading one that does not": await outcome(stranger.certificates.get_certificate(other)),
        "creating": await outcome(stranger.send("POST", f"/certificates/{other}/create", {"policy": policy})),
        "reading a secret": await outcome(stranger.secrets.get_secret(name)),
        "signing": await outcome(stranger.send("POST", f"/keys/{name}/{version}/sign", sign)),
    }


@_check(
    "A firewall that denies",
    {"reading": "403 Forbidden ForbiddenByFirewall"},
    needs="firewall",
    network="denied",
    kept_status=403,
)
async def denied_by_firewall(bench: Bench) -> Answers:
    return {"reading": await bench.shut_outcome("denied")}


@_check(
    "A public endpoint that is closed",
    {"reading": "403 Forbidden ForbiddenByConnection"},
    needs="firewall",
    network="closed",
    kept_status=403,
)
async def closed_endpoint(bench: Bench) -> Answers:
    return {"reading": await bench.shut_outcome("closed")}


@_check(
    f"{_BURST} keys at once, where the vault makes 20 in ten seconds",
    {"some are made": True, "the others": ["429 Throttled"], "they say when to come back": True},
    needs="throttle",
    kept_status=429,
)
async def burst_of_keys(bench: Bench) -> Answers:
    body = {"kty": "EC", "crv": "P-256"}
    paths = [f"/keys/{bench.name(str(number))}/create" for number in range(_BURST)]
    sent = (bench.own.send("POST", path, body, retry_total=0) for path in paths)
    refusals = [
        each for each in await asyncio.gather(*sent, return_exceptions=True) if isinstance(each, HttpResponseError)
    ]
    responses: list[Any] = [each.response for each in refusals]
    return {
        "some are made": len(refusals) < _BURST,
        "the others": sorted({refusal(each) for each in refusals}),
        "they say when to come back": bool(refusals) and all("Retry-After" in each.headers for each in responses),
    }


# Last, because nothing of its names is left ---------------------------------------------------------------------------


@_check(
    "Purging, unless purge protection forbids it",
    {"refused exactly under purge protection": True, "it is gone, or kept, accordingly": True},
)
async def purge(bench: Bench) -> Answers:
    name, certificates = bench.name(), bench.own.certificates
    await bench.self_issued(name)
    deleted = await certificates.delete_certificate(name)
    level = str(deleted.properties.recovery_level) if deleted.properties else ""
    purging = await outcome(certificates.purge_deleted_certificate(name))
    protected = "purgeable" not in level.lower()
    wanted = ACCEPTED if protected else "404 CertificateNotFound"
    found = await until(
        "the end of the purge",
        lambda: outcome(certificates.get_deleted_certificate(name)),
        lambda seen: protected or seen != ACCEPTED,
    )
    return {
        "refused exactly under purge protection": purging == ("403 Forbidden" if protected else ACCEPTED),
        "it is gone, or kept, accordingly": found == wanted,
    }


CHECKS = (
    first_request,
    key_only_version,
    basic_constraints,
    second_request,
    signing_while_pending,
    merged_authority,
    disabled_first_version,
    ended_authority,
    leaf,
    renewal,
    reuse_as_another_key,
    key_operations,
    abandoned_request,
    cancelled_request,
    deleted_request,
    refused_merges,
    deleted_certificate,
    deleted_while_pending,
    taken_names,
    managed_key_and_secret,
    use_of_keys,
    purge,
    without_a_role,
    denied_by_firewall,
    closed_endpoint,
    burst_of_keys,
)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


async def _is_signed(signing: Awaitable[x509.Certificate]) -> bool:
    try:
        await signing
    except ValueError:
        return False
    return True
