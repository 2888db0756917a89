"""What the worker does: a workflow with one activity. It knows nothing of certificates and tokens."""

from datetime import timedelta

from temporalio import activity, workflow

TASK_QUEUE = "greetings-python"


@activity.defn
async def compose(name: str) -> str:
    return f"Hello, {name}"


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(compose, name, start_to_close_timeout=timedelta(seconds=10))
