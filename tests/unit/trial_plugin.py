"""A plugin that fails in the ways that a plugin can, for test_plugin.py to be served by."""

from pulumi.provider.experimental.provider import (
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    Provider,
)

from plugin import Engine, PluginError, plain, serve


class Trial(Provider):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, request: CreateRequest) -> CreateResponse:
        """Say something in each way."""
        message = str(plain(request.properties)["message"])
        await self._engine.info(message, request.urn)
        await self._engine.warning(message, request.urn)
        await self._engine.status(message, request.urn)
        await self._engine.info(message)
        return CreateResponse(resource_id="1", properties=request.properties)

    async def delete(self, request: DeleteRequest) -> None:
        """Fail in a way that a person can mend, after something else went wrong."""
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise PluginError("The vault is closed. Nothing was deleted. Open it.") from error

    async def diff(self, request: DiffRequest) -> DiffResponse:
        """Have a bug."""
        raise KeyError("policy")


if __name__ == "__main__":
    serve(Trial, "1.2.3")
