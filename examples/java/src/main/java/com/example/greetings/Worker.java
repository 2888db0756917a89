package com.example.greetings;

import io.temporal.client.WorkflowClient;
import io.temporal.client.WorkflowOptions;
import io.temporal.worker.WorkerFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A worker with client certificate and access token; where Temporal is and who it is itself come from the environment
 * alone.
 *
 * <p>Without an argument it works until it is told to stop (SIGTERM, SIGINT). With names it greets each by a workflow,
 * which this worker runs itself, and ends.
 */
public final class Worker {
  private static final String TASK_QUEUE = "greetings-java";

  private Worker() {}

  public static void main(String[] names) throws Exception {
    var client = TemporalConnection.fromEnvironment();
    var factory = WorkerFactory.newInstance(client);
    var worker = factory.newWorker(TASK_QUEUE);
    worker.registerWorkflowImplementationTypes(Greeting.Definition.class);
    worker.registerActivitiesImplementations(new Greeting.Composer());
    factory.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(factory, client)));
    if (names.length == 0) {
      new CountDownLatch(1).await();
    }
    for (var name : names) {
      System.out.println(greeting(client).greet(name));
    }
    System.exit(0);
  }

  private static Greeting greeting(WorkflowClient client) {
    return client.newWorkflowStub(Greeting.class, WorkflowOptions.newBuilder().setTaskQueue(TASK_QUEUE).build());
  }

  /** What the worker has begun it ends first, for at most ten seconds. */
  private static void stop(WorkerFactory factory, WorkflowClient client) {
    factory.shutdown();
    factory.awaitTermination(10, TimeUnit.SECONDS);
    client.getWorkflowServiceStubs().shutdown();
  }
}
