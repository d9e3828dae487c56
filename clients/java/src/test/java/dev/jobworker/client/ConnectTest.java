package dev.jobworker.client;

import static dev.jobworker.client.Daemons.JOB_ID;
import static dev.jobworker.client.Daemons.failed;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.jobworker.fakedaemon.FakeDaemon;
import io.grpc.Status;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class ConnectTest {
  @TempDir private Path folder;
  @TempDir private Path otherFolder;
  private FakeDaemon daemon;

  @BeforeEach
  void serve() throws IOException {
    daemon = new FakeDaemon(folder).onGet(request -> Daemons.job());
  }

  @AfterEach
  void end() {
    daemon.close();
  }

  /** An address without a port is said before any call. */
  @Test
  void addressIsChecked() {
    for (String address :
        new String[] {"localhost", "::1:80", "localhost:65536", "unix:/tmp/x", ""}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> JobworkerClient.connect(address, daemon.ca(), daemon.cert(), daemon.key()));
    }
  }

  /** What is wrong with the files is said before any call. */
  @Test
  void filesAreChecked() throws IOException {
    Path notPem = Files.writeString(folder.resolve("not.pem"), "no");
    Path missing = folder.resolve("missing");
    says("is not PEM", notPem, daemon.cert(), daemon.key());
    says("cannot read the CA certificate", missing, daemon.cert(), daemon.key());
    says("cannot use the client certificate", daemon.ca(), notPem, daemon.key());
    says("cannot use the client certificate", daemon.ca(), daemon.cert(), notPem);
    says("cannot use the client certificate", daemon.ca(), daemon.cert(), missing);
    says("cannot use the client certificate", daemon.ca(), daemon.cert(), null);
  }

  /** A client without a certificate gets no further than the handshake. */
  @Test
  void withoutCertificateNobodyGetsIn() throws IOException {
    try (JobworkerClient client =
        JobworkerClient.connect(daemon.address(), daemon.ca(), null, null)) {
      failed(Status.Code.UNAVAILABLE, () -> client.get(JOB_ID));
    }
  }

  /** Where nobody listens, the error says so. */
  @Test
  void nobodyListens() throws IOException {
    String address;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      address = "127.0.0.1:" + socket.getLocalPort();
    }
    try (JobworkerClient client =
        JobworkerClient.connect(address, daemon.ca(), daemon.cert(), daemon.key())) {
      JobworkerException error = failed(Status.Code.UNAVAILABLE, () -> client.get(JOB_ID));
      assertTrue(error.getMessage().contains("Connection refused: "), error.getMessage());
      assertTrue(error.getMessage().contains(address), error.getMessage());
    }
  }

  /** A client does not talk to a daemon of another authority. */
  @Test
  void anotherAuthoritysDaemonIsRefused() throws IOException {
    try (FakeDaemon other = new FakeDaemon(otherFolder);
        JobworkerClient client =
            JobworkerClient.connect(daemon.address(), other.ca(), daemon.cert(), daemon.key())) {
      failed(Status.Code.UNAVAILABLE, () -> client.get(JOB_ID));
    }
  }

  private void says(String text, Path ca, Path cert, Path key) {
    IOException error =
        assertThrows(
            IOException.class, () -> JobworkerClient.connect(daemon.address(), ca, cert, key));
    assertTrue(error.getMessage().contains(text), error.getMessage());
  }
}
