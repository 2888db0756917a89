"""Keys: those of certificates, which are only used here, and plain ones.

A private key goes into the store and never out of it: no answer has any member of it, and a backup is opaque.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from localazure.errors import AzureError
from localazure.keyvault import assumptions, material, policy
from localazure.keyvault.collection import Answer, Attributes, Collection, present
from localazure.keyvault.models import Certificate, Key, KeyMaterial, KeyVersion, Version
from localazure.keyvault.policy import KeyProperties, Part
from localazure.vaults import Vault

_Operation = Literal["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]


class _Create(Part):
    kty: str
    key_size: int | None = None
    crv: str | None = None
    key_ops: list[_Operation] | None = None
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class _Update(Part):
    key_ops: list[_Operation] | None = None
    attributes: Attributes = Field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class _Sign(Part):
    alg: str
    value: str


class _Verify(Part):
    alg: str
    digest: str
    value: str


class Keys(Collection[Key]):
    noun = "key"
    reads = "keys/read"
    model = Key
    id_in_lists = "kid"

    def own_routes(self) -> list[web.RouteDef]:
        named = "/keys/{name}"
        version = f"{named}/{{version:[^/]*}}"
        return [
            web.post(f"{named}/create", self.create),
            web.get(named, self.get_version),
            web.get(version, self.get_version),
            web.patch(named, self.update),
            web.patch(version, self.update),
            web.post(f"{version}/sign", self.sign),
            web.post(f"{version}/verify", self.verify),
        ]

    def of_certificate(self, certificate: Certificate) -> Key | None:
        return certificate.as_key()

    def described(self, named: Key) -> Answer:
        return self._bundle(named, named.current)

    def item(self, named: Key, version: Version) -> Answer:
        return present(attributes=self.attributes(version), tags=version.tags, managed=named.managed or None)

    def _bundle(self, key: Key, version: KeyVersion) -> Answer:
        public_key = material.load(version.material.pkcs8).public_key()
        return present(
            key={
                "kid": self.url("keys", key.name, version.version),
                "kty": _kty(version.material, public_key),
                "key_ops": version.material.operations,
                **material.public_jwk(public_key),
            },
            attributes=self.attributes(version),
            tags=version.tags,
            managed=key.managed or None,
        )

    async def get_version(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "keys/read")
        return web.json_response(self._bundle(*self._get_version(name, request)))

    async def create(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "keys/create/action")
        wanted = await self.body(request, _Create)
        properties = _properties(wanted)
        self.require_free(name, "create")
        operations = wanted.key_ops or assumptions.key_operations(properties)
        key_material = await new_material(self.vault, properties, operations)

        self.require_free(name, "create")
        now = int(self.context.clock())
        version = KeyVersion(
            version=uuid.uuid4().hex,
            created=now,
            updated=now,
            enabled=wanted.attributes.enabled is not False,
            nbf=wanted.attributes.nbf,
            exp=wanted.attributes.exp,
            tags=wanted.tags,
            material=key_material,
        )
        key = self.shelf.find(name) or Key(name=name, versions=[])
        key.versions.append(version)
        self.shelf.put(key)
        return web.json_response(self._bundle(key, version))

    async def update(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "keys/update/action")
        changes = await self.body(request, _Update)
        key, version = self._get_version(name, request)
        assumptions.refuse_managed(self.noun, key.managed, "update")
        if changes.key_ops is not None:
            version.material.operations = list(changes.key_ops)
        changes.attributes.apply_to(version)
        if changes.tags is not None:
            version.tags = changes.tags
        version.updated = int(self.context.clock())
        self.shelf.put(key)
        return web.json_response(self._bundle(key, version))

    async def sign(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "keys/sign/action")
        wanted = await self.body(request, _Sign)
        key, version = self._get_version(name, request)
        key_id = self.url("keys", key.name, version.version)
        assumptions.allow("sign", key_id, version, self.context.clock())
        private_key = material.load(version.material.pkcs8)
        algorithm = _algorithm(wanted.alg, private_key.public_key(), key_id)
        digest = _digest(wanted.value, wanted.alg, algorithm, "value")
        signature = material.sign(private_key, algorithm, digest)
        return web.json_response({"kid": key_id, "value": material.base64url(signature)})

    async def verify(self, request: web.Request) -> web.Response:
        name = await self.admit(request, "keys/verify/action")
        wanted = await self.body(request, _Verify)
        key, version = self._get_version(name, request)
        key_id = self.url("keys", key.name, version.version)
        assumptions.allow("verify", key_id, version, self.context.clock())
        public_key = material.load(version.material.pkcs8).public_key()
        algorithm = _algorithm(wanted.alg, public_key, key_id)
        digest = _digest(wanted.digest, wanted.alg, algorithm, "digest")
        signature = _bytes(wanted.value, "value")
        return web.json_response({"value": material.verify(public_key, algorithm, digest, signature)})

    def _get_version(self, name: str, request: web.Request) -> tuple[Key, KeyVersion]:
        wanted = request.match_info.get("version", "")
        key = self.find(name)
        version = key.version(wanted) if key else None
        if key is None or version is None:
            raise self.not_found(name, wanted)
        return key, version


async def new_material(vault: Vault, properties: KeyProperties, operations: Sequence[str]) -> KeyMaterial:
    """A new key; 400 BadParameter for one in an HSM where the vault has none."""
    if properties.hsm and not vault.premium:
        raise AzureError(400, "BadParameter", f"Key type {properties.kty} needs a vault of SKU premium.")
    pkcs8 = await material.generate(curve=properties.crv, bits=properties.key_size)
    return KeyMaterial(pkcs8=pkcs8, hsm=properties.hsm, operations=[*operations])


def _properties(wanted: _Create) -> KeyProperties:
    given: dict[str, Any] = {"kty": wanted.kty, "key_size": wanted.key_size, "crv": wanted.crv, "exportable": False}
    return policy.checked(KeyProperties, given)


def _kty(key_material: KeyMaterial, public_key: material.PublicKey) -> str:
    return ("EC" if material.curve_of(public_key) else "RSA") + ("-HSM" if key_material.hsm else "")


def _algorithm(name: str, public_key: material.PublicKey, key_id: str) -> material.SignatureAlgorithm:
    algorithm = material.ALGORITHMS.get(name)
    if algorithm is None:
        raise AzureError(400, "BadParameter", f"Property alg has invalid value. {name} is no signature algorithm.")
    curve = material.curve_of(public_key)
    if algorithm.curve != curve:
        raise AzureError(
            400,
            "BadParameter",
            f"Key and signing algorithm are incompatible. Key {key_id} is of type '{'EC' if curve else 'RSA'}'"
            f"{f' on curve {curve}' if curve else ''}, and can not be used with algorithm '{name}'.",
        )
    return algorithm


def _digest(text: str, name: str, algorithm: material.SignatureAlgorithm, member: str) -> bytes:
    digest = _bytes(text, member)
    if len(digest) != algorithm.digest.digest_size:
        raise AzureError(
            400,
            "BadParameter",
            f"Invalid length of '{member}': {len(digest)} bytes. {name} requires {algorithm.digest.digest_size} bytes, "
            "encoded with base64url.",
        )
    return digest


def _bytes(text: str, member: str) -> bytes:
    try:
        return material.from_base64url(text)
    except ValueError:
        raise AzureError(400, "BadParameter", f"Property {member} has invalid value. It must be base64url.") from None
