package com.example.greetings;

import io.temporal.activity.ActivityInterface;
import io.temporal.activity.ActivityOptions;
import io.temporal.workflow.Workflow;
import io.temporal.workflow.WorkflowInterface;
import io.temporal.workflow.WorkflowMethod;
import java.time.Duration;

/** What the worker does: a workflow with one activity. It knows nothing of certificates and tokens. */
@WorkflowInterface
public interface Greeting {
  @WorkflowMethod
  String greet(String name);

  @ActivityInterface
  interface Activities {
    String compose(String name);
  }

  class Composer implements Activities {
    @Override
    public String compose(String name) {
      return "Hello, " + name;
    }
  }

  class Definition implements Greeting {
    private final Activities activities =
        Workflow.newActivityStub(
            Activities.class,
            ActivityOptions.newBuilder().setStartToCloseTimeout(Duration.ofSeconds(10)).build());

    @Override
    public String greet(String name) {
      return activities.compose(name);
    }
  }
}
