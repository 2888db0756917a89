"""Greet each name that is given by a workflow, as whoever the environment says that we are, and print the greeting."""

import asyncio
import sys
import uuid

from greeting import TASK_QUEUE, Greeting
from temporal_token import connected


async def main(names: list[str]) -> None:
    async with connected() as client:
        for name in names:
            print(await client.execute_workflow(Greeting.run, name, id=str(uuid.uuid4()), task_queue=TASK_QUEUE))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
