"""Workflows without a pause, until SIGTERM. Each that completes is a line; anything else that is said is a complaint.

No call is tried twice, so whatever is refused shows, unless the argument `retry` says so: then calls are tried again as
the SDK does unless told otherwise, since a server that ends takes calls along. Beside the client that connected first,
one connects anew for each round, as a process that was just started would.
"""

import asyncio
import os
import signal
import sys
import uuid
from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RetryConfig
from temporalio.worker import Worker

from tests.e2e.sample_worker import TASK_QUEUE, Greeting, compose

RETRY = "retry"


async def connect() -> Client:
    calls = None if RETRY in sys.argv else RetryConfig(max_retries=1)
    return await Client.connect(**ClientConfig.load_client_connect_config(), retry_config=calls)


async def greet(client: Client) -> str:
    """Run a workflow. A task that a server took along when it ended is given out again after a second, not ten."""
    return await client.execute_workflow(
        Greeting.run, "Temporal", id=str(uuid.uuid4()), task_queue=TASK_QUEUE, task_timeout=timedelta(seconds=1)
    )


async def main() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    first = await connect()
    async with Worker(first, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[compose]):
        while not ended.is_set():
            for client in (first, await connect()):
                print(await greet(client), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
    # The SDK's threads still run while an interpreter winds down, and have been seen to crash it; all is said by now.
    os._exit(0)
