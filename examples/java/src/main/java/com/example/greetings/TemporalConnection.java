package com.example.greetings;

import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.core.http.jdk.httpclient.JdkHttpClientBuilder;
import com.azure.identity.DefaultAzureCredentialBuilder;
import io.temporal.authorization.AuthorizationGrpcMetadataProvider;
import io.temporal.client.WorkflowClient;
import io.temporal.envconfig.ClientConfigProfile;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import java.io.IOException;
import java.net.http.HttpClient;
import java.security.GeneralSecurityException;

/**
 * A Temporal client that signs in: client certificate and access token, both as its environment says.
 *
 * <p>Each call asks azure-identity for the token. It has one in its cache, and a new one from five minutes before the
 * end: nobody reconnects, and nothing here knows when a token ends.
 */
final class TemporalConnection {
  private TemporalConnection() {}

  /**
   * Connects as the environment says: with a token if TEMPORAL_TOKEN_SCOPE says what for, else with the certificate
   * alone.
   */
  static WorkflowClient fromEnvironment() throws IOException, GeneralSecurityException {
    var profile = ClientConfigProfile.load();
    var options = WorkflowServiceStubsOptions.newBuilder(profile.toWorkflowServiceStubsOptions());
    var scope = System.getenv("TEMPORAL_TOKEN_SCOPE");
    if (scope != null && !scope.isEmpty()) {
      var credential = credential();
      var request = new TokenRequestContext().addScopes(scope);
      options.addGrpcMetadataProvider(
          new AuthorizationGrpcMetadataProvider(() -> "Bearer " + credential.getTokenSync(request).getToken()));
    }
    return WorkflowClient.newInstance(
        WorkflowServiceStubs.newServiceStubs(options.build()), profile.toWorkflowClientOptions());
  }

  /**
   * Whoever the environment says that we are: by a secret (AZURE_CLIENT_SECRET), else as a workload identity
   * (AZURE_FEDERATED_TOKEN_FILE), else as the machine's managed identity.
   */
  private static TokenCredential credential() throws IOException, GeneralSecurityException {
    var https = HttpClient.newBuilder().sslContext(HttpsTrust.fromEnvironment());
    return new DefaultAzureCredentialBuilder()
        .httpClient(new JdkHttpClientBuilder(https).build())
        // Discovery asks Microsoft's public cloud about AZURE_AUTHORITY_HOST, which it knows nothing of when that is a
        // private cloud. The host comes from whoever deploys the worker, as the secret does.
        .disableInstanceDiscovery()
        .build();
  }
}
