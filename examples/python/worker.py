"""A worker with client certificate and access token; where Temporal is and who it is itself come from the environment.

It works until it is told to stop (SIGTERM, SIGINT), and ends first what it has begun.
"""

import asyncio
import logging
import signal

from temporalio.worker import Worker

from greeting import TASK_QUEUE, Greeting, compose
from temporal_token import connected


async def main() -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with (
        connected() as client,
        Worker(client, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[compose]),
    ):
        logging.info("working in namespace %s", client.namespace)
        await stopped.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.ERROR)
    asyncio.run(main())
