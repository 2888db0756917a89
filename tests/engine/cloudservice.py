"""A CloudService of Temporal Cloud on loopback, served from the official messages: namespaces, and the operations that
change them.

It behaves like the service where that hurts: an API key is asked for, an update names the version that it is for and
counts only when its operation has ended, and one namespace has one operation at a time. What the service does in its
own time, or against one's hopes, is dialled. Namespaces and operations are files in a folder, and survive a restart.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.json_format import MessageToJson, Parse
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.api.cloud.cloudservice.v1.service_pb2 import DESCRIPTOR
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState

from tests.e2e.ports import free_ports

UNDER_WAY = (AsyncOperation.STATE_PENDING, AsyncOperation.STATE_IN_PROGRESS)
UPDATE, READ, LOOK = "UpdateNamespace", "GetNamespace", "GetAsyncOperation"

_SERVICE = DESCRIPTOR.services_by_name["CloudService"]

When = Literal["before", "after"]
_Message = TypeVar("_Message", bound=Message)
_Result = TypeVar("_Result")


@dataclass
class Fault:
    """An answer instead of the right one, `times` times; `applied`: what was asked is done all the same."""

    method: str
    code: grpc.StatusCode
    times: int = 1
    message: str = "as dialled"
    applied: bool = False


@dataclass
class Dials:
    """How the service behaves. `polls`: how often an operation is looked at before it has ended, and `end` is how.

    `meanwhile` is done by somebody else before the next update is judged, and then forgotten.
    """

    polls: int = 1
    check_seconds: float = 0.02
    end: "AsyncOperation.State.ValueType" = AsyncOperation.STATE_FULFILLED
    failure_reason: str = ""
    conflict: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION
    repeated: Literal["refused", "answered"] = "refused"
    faults: list[Fault] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that was made, its answer, and how long after the service began."""

    method: str
    namespace: str = ""
    operation: str = ""
    status: str
    api_version: str
    at: float


class Held:
    """The update that is stopped, before it is applied or after."""

    def __init__(self, when: When) -> None:
        self.when = when
        self.reached = threading.Event()
        self.left = threading.Event()

    async def wait(self) -> None:
        """Until the client is gone."""
        self.reached.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.left.set()


class CloudService:
    """Runs from `with` to `with`'s end, in a thread. `state` is its folder; `tls` is a server's chain and key, PEM."""

    def __init__(self, state: Path, *, api_key: str, tls: tuple[bytes, bytes] | None = None) -> None:
        self.api_key = api_key
        self.dials = Dials()
        self.calls: list[Call] = []
        self.updates: list[UpdateNamespaceRequest] = []
        # Of those that the kernel gives nobody else while this one is down.
        (self.port,) = free_ports(1)
        self._state = state
        self._tls = tls
        self._held: Held | None = None
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._server: grpc.aio.Server | None = None

    def __enter__(self) -> Self:
        self._state.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def address(self) -> str:
        """HOST:PORT, with the scheme where there is no TLS."""
        return f"{'' if self._tls else 'http://'}127.0.0.1:{self.port}"

    def down(self) -> None:
        """Stop listening; what is kept stays."""
        self._run(self._stop())

    def up(self) -> None:
        """Listen again, at the same port."""
        self._run(self._start())

    # By hand

    def create(self, namespace: str, *, api_keys: bool = False, **mtls: Any) -> None:
        """Make a namespace, with `accepted_client_ca`, `certificate_filters` and `enabled` in `mtls`."""
        spec = NamespaceSpec(name=namespace.partition(".")[0], regions=["aws-eu-central-1"], retention_days=30)
        spec.codec_server.endpoint = "https://codec.example.com"
        spec.search_attributes["customer"] = NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD
        if api_keys:
            spec.api_key_auth.enabled = True
        for name, value in mtls.items():
            if name == "certificate_filters":
                spec.mtls_auth.certificate_filters.extend(value)
            else:
                setattr(spec.mtls_auth, name, value)
        made = Namespace(
            namespace=namespace, spec=spec, resource_version="1", state=ResourceState.RESOURCE_STATE_ACTIVE
        )
        self._keep("namespaces", namespace, made)

    def change(self, namespace: str, change: Callable[[NamespaceSpec], None]) -> None:
        """Change a namespace at once, as somebody else."""
        with self._lock:
            found = self.namespace(namespace)
            change(found.spec)
            self._keep("namespaces", namespace, _next_version(found))

    def delete(self, namespace: str) -> None:
        self._file("namespaces", namespace).unlink()

    def namespace(self, namespace: str) -> Namespace:
        found = self._kept("namespaces", namespace, Namespace)
        assert found is not None, namespace
        return found

    def operations(self) -> dict[str, AsyncOperation]:
        """All that ever began, by ID, oldest first."""
        files = sorted((self._state / "operations").glob("*.json"), key=lambda path: path.stat().st_ctime_ns)
        return {each.stem: Parse(each.read_text(), AsyncOperation()) for each in files}

    def look(self, operation: str) -> AsyncOperation:
        """Look at an operation, which takes it a step nearer to its end."""
        return self._looked_at(GetAsyncOperationRequest(async_operation_id=operation)).async_operation

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    # Holding an update

    def hold(self, when: When) -> Held:
        """Stop the next update, before it is applied or after, until its client is gone."""
        self._held = Held(when)
        return self._held

    async def _wait(self, when: When) -> None:
        if (held := self._held) is None or held.when != when:
            return
        self._held = None
        await held.wait()

    # What is kept

    def _file(self, kind: str, key: str) -> Path:
        return self._state / kind / f"{key}.json"

    def _kept(self, kind: str, key: str, message: type[_Message]) -> _Message | None:
        with self._lock:
            file = self._file(kind, key)
            return Parse(file.read_text(), message()) if key and file.exists() else None

    def _keep(self, kind: str, key: str, message: Message) -> None:
        with self._lock:
            file = self._file(kind, key)
            file.parent.mkdir(exist_ok=True)
            partial = file.with_suffix(".partial")
            partial.write_text(MessageToJson(message))
            partial.replace(file)

    # The service

    def _run(self, task: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result()

    async def _start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {
            READ: self._handler(self._read, GetNamespaceRequest, GetNamespaceResponse),
            LOOK: self._handler(self._look, GetAsyncOperationRequest, GetAsyncOperationResponse),
            UPDATE: self._handler(self._update, UpdateNamespaceRequest, UpdateNamespaceResponse),
        }
        assert handlers.keys() <= {*_SERVICE.methods_by_name.keys()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),))
        address = f"127.0.0.1:{self.port}"
        if self._tls is None:
            self.port = self._server.add_insecure_port(address)
        else:
            chain, key = self._tls
            credentials = grpc.ssl_server_credentials([(key, chain)])
            self.port = self._server.add_secure_port(address, credentials)
        await self._server.start()

    async def _stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    @staticmethod
    def _handler(method: Callable[..., Any], request: type[Message], response: type[Message]) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            method, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )

    async def _read(self, request: GetNamespaceRequest, context: Any) -> Any:
        return await self._answer(READ, request, context, lambda: self._found(request))

    async def _look(self, request: GetAsyncOperationRequest, context: Any) -> Any:
        return await self._answer(LOOK, request, context, lambda: self._looked_at(request))

    async def _update(self, request: UpdateNamespaceRequest, context: Any) -> Any:
        await self._wait("before")
        answer = await self._answer(UPDATE, request, context, lambda: self._updated(request))
        await self._wait("after")
        return answer

    async def _answer(self, method: str, request: Any, context: Any, right: Callable[[], Message]) -> Any:
        """The answer to a request whose right one is `right()`, which may raise _Refusal."""
        metadata = dict(context.invocation_metadata() or ())
        code: Any = grpc.StatusCode.OK
        try:
            if metadata.get("authorization") != f"Bearer {self.api_key}":
                raise _Refusal(grpc.StatusCode.UNAUTHENTICATED, "the API key is not valid")
            fault = next((each for each in self.dials.faults if each.method == method and each.times), None)
            if fault is not None:
                fault.times -= 1
                if fault.applied:
                    right()
                raise _Refusal(fault.code, fault.message)
            return right()
        except _Refusal as refusal:
            code = refusal.code
            await context.abort(refusal.code, refusal.message)
        finally:
            self.calls.append(
                Call(
                    method=method,
                    namespace=getattr(request, "namespace", ""),
                    operation=request.async_operation_id if method != READ else "",
                    status=code.name,
                    api_version=str(metadata.get("temporal-cloud-api-version")),
                    at=time.monotonic() - self._began,
                )
            )

    def _found(self, request: GetNamespaceRequest) -> GetNamespaceResponse:
        found = self._kept("namespaces", request.namespace, Namespace)
        if found is None:
            raise _Refusal(grpc.StatusCode.NOT_FOUND, "namespace not found")
        return GetNamespaceResponse(namespace=found)

    def _looked_at(self, request: GetAsyncOperationRequest) -> GetAsyncOperationResponse:
        """An operation, one step nearer to its end."""
        with self._lock:
            found = self._kept("operations", request.async_operation_id, AsyncOperation)
            if found is None:
                raise _Refusal(grpc.StatusCode.NOT_FOUND, "operation not found")
            if found.state in UNDER_WAY:
                self._advance(found)
            return GetAsyncOperationResponse(async_operation=found)

    def _advance(self, operation: AsyncOperation) -> None:
        request = UpdateNamespaceRequest()
        operation.operation_input.Unpack(request)
        looked = sum(1 for call in self.called(LOOK) if call.operation == operation.id and call.status == "OK")
        operation.state = AsyncOperation.STATE_IN_PROGRESS
        if looked + 1 >= self.dials.polls:
            operation.state = self.dials.end
            operation.failure_reason = self.dials.failure_reason
            namespace = self.namespace(request.namespace)
            if operation.state == AsyncOperation.STATE_FULFILLED:
                namespace.spec.CopyFrom(request.spec)
                _next_version(namespace)
            namespace.state = ResourceState.RESOURCE_STATE_ACTIVE
            namespace.async_operation_id = ""
            self._keep("namespaces", request.namespace, namespace)
        self._keep("operations", operation.id, operation)

    def _updated(self, request: UpdateNamespaceRequest) -> UpdateNamespaceResponse:
        with self._lock:
            while self.dials.meanwhile:
                self.dials.meanwhile.pop(0)()
            namespace = self._kept("namespaces", request.namespace, Namespace)
            if namespace is None:
                raise _Refusal(grpc.StatusCode.NOT_FOUND, "namespace not found")
            known = self._kept("operations", request.async_operation_id, AsyncOperation)
            if known is not None and self.dials.repeated == "answered":
                return UpdateNamespaceResponse(async_operation=known)
            if known is not None:
                raise _Refusal(grpc.StatusCode.ALREADY_EXISTS, "operation already exists")
            if request.resource_version != namespace.resource_version:
                raise _Refusal(self.dials.conflict, "resource version mismatch")
            if namespace.async_operation_id:
                raise _Refusal(grpc.StatusCode.FAILED_PRECONDITION, "another operation is in progress")
            if request.spec == namespace.spec:
                raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, "nothing to change")
            if reason := _wrong(request.spec):
                raise _Refusal(grpc.StatusCode.INVALID_ARGUMENT, reason)
            self.updates.append(request)
            operation = AsyncOperation(
                id=request.async_operation_id or f"random-{len(self.updates)}",
                state=AsyncOperation.STATE_PENDING,
                operation_type="UpdateNamespace",
            )
            operation.check_duration.FromMilliseconds(int(self.dials.check_seconds * 1000))
            operation.operation_input.Pack(request)
            namespace.state = ResourceState.RESOURCE_STATE_UPDATING
            namespace.async_operation_id = operation.id
            self._keep("operations", operation.id, operation)
            self._keep("namespaces", request.namespace, namespace)
            return UpdateNamespaceResponse(async_operation=operation)


def fingerprint(pem: str) -> str:
    """As tcld shows it; written without the program's own way, or a mistake there would be expected here."""
    return sha1(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)).hexdigest()


def filters(spec: NamespaceSpec) -> list[dict[str, str]]:
    """Those of a namespace, each without what it leaves open."""
    return [{field.name: value for field, value in each.ListFields()} for each in spec.mtls_auth.certificate_filters]


class _Refusal(Exception):
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _next_version(namespace: Namespace) -> Namespace:
    namespace.resource_version = str(int(namespace.resource_version) + 1)
    return namespace


def _wrong(spec: NamespaceSpec) -> str | None:
    bundle = spec.mtls_auth.accepted_client_ca
    authorities = x509.load_pem_x509_certificates(bundle) if bundle else []
    filters = [json.dumps(MessageToJson(each)) for each in spec.mtls_auth.certificate_filters]
    if len(authorities) > 16:
        return "too many certificates"
    if filters and not authorities:
        return "certificate filters need a CA certificate"
    if len(set(filters)) != len(filters):
        return "duplicate certificate filters"
    if spec.mtls_auth.enabled and not authorities:
        return "mTLS needs a CA certificate"
    return None
