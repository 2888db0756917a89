"""Workflows without a pause, until SIGTERM. Each that completes is a line; anything else that is said is a complaint.

No call is tried twice, so whatever is refused shows. Beside the client that connected first, one connects anew for each
round, as a process that was just started would.
"""

import asyncio
import signal
import uuid

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RetryConfig
from temporalio.worker import Worker

from tests.e2e.sample_worker import TASK_QUEUE, Greeting, compose

ONCE = RetryConfig(max_retries=1)


async def connect() -> Client:
    return await Client.connect(**ClientConfig.load_client_connect_config(), retry_config=ONCE)


async def main() -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    first = await connect()
    async with Worker(first, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[compose]):
        while not ended.is_set():
            for client in (first, await connect()):
                name = str(uuid.uuid4())
                greeting = await client.execute_workflow(Greeting.run, "Temporal", id=name, task_queue=TASK_QUEUE)
                print(greeting, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
