"""A worker as anybody would write it: where Temporal is and how to be let in come from the environment alone."""

import asyncio
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

TASK_QUEUE = "greetings"


@activity.defn
async def compose(name: str) -> str:
    return f"Hello, {name}"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(compose, name, start_to_close_timeout=timedelta(seconds=3))


async def main() -> None:
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    async with Worker(client, task_queue=TASK_QUEUE, workflows=[Greeting], activities=[compose]):
        print(await client.execute_workflow(Greeting.run, "Temporal", id=str(uuid.uuid4()), task_queue=TASK_QUEUE))


if __name__ == "__main__":
    asyncio.run(main())
