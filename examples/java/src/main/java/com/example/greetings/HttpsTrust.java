package com.example.greetings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/**
 * Whom to believe over HTTPS: Java's own authorities and those in SSL_CERT_FILE (PEM), which other languages read and
 * Java does not. A private cloud, or a proxy that breaks TLS open, has an authority of its own.
 */
final class HttpsTrust {
  private HttpsTrust() {}

  static SSLContext fromEnvironment() throws IOException, GeneralSecurityException {
    var file = System.getenv("SSL_CERT_FILE");
    if (file == null || file.isEmpty()) {
      return SSLContext.getDefault();
    }
    var authorities = new ArrayList<>(defaults());
    try (var pem = Files.newInputStream(Path.of(file))) {
      for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
        authorities.add((X509Certificate) certificate);
      }
    }
    var store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    for (var number = 0; number < authorities.size(); number++) {
      store.setCertificateEntry("authority-" + number, authorities.get(number));
    }
    var context = SSLContext.getInstance("TLS");
    context.init(null, trustIn(store).getTrustManagers(), null);
    return context;
  }

  private static List<X509Certificate> defaults() throws GeneralSecurityException {
    for (var manager : trustIn(null).getTrustManagers()) {
      if (manager instanceof X509TrustManager x509) {
        return List.of(x509.getAcceptedIssuers());
      }
    }
    return List.of();
  }

  private static TrustManagerFactory trustIn(KeyStore store) throws GeneralSecurityException {
    var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory;
  }
}
