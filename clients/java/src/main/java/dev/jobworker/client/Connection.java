package dev.jobworker.client;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContext;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Makes the channels to a daemon: how it is reached, and as whom. */
final class Connection {
  /** Enough for a page of jobs with the longest commands that Linux allows. */
  private static final int MAX_PAGE = 256 << 20;

  /** A request longer than this is not kept for being sent again; no daemon's default takes it. */
  private static final int MAX_REQUEST = 8 << 20;

  private static final Pattern HOST_AND_PORT =
      Pattern.compile("(?:\\[[^\\]]+\\]|[^:\\[\\]]+):(\\d{1,5})");

  private final String address;
  private final SslContext identity;

  Connection(String address, Path ca, Path cert, Path key) throws IOException {
    Matcher parts = HOST_AND_PORT.matcher(address);
    if (!parts.matches() || Integer.parseInt(parts.group(1)) > 65_535) {
      throw new IllegalArgumentException(
          "the address \"" + address + "\" is not host:port, such as localhost:8080");
    }
    this.address = address;
    this.identity = identity(ca, cert, key);
  }

  /** Returns a channel that repeats calls as the published service config says. */
  ManagedChannel repeating() {
    return builder().enableRetry().defaultServiceConfig(serviceConfig()).build();
  }

  /** Returns a channel that sends each call once. */
  ManagedChannel once() {
    return builder().disableRetry().defaultServiceConfig(serviceConfig()).build();
  }

  private ManagedChannelBuilder<?> builder() {
    // Without a scheme a host named `unix` would be taken for one.
    return NettyChannelBuilder.forTarget("dns:///" + address)
        .sslContext(identity)
        // How long one attempt to connect may take.
        .withOption(ChannelOption.CONNECT_TIMEOUT_MILLIS, 10_000)
        .disableServiceConfigLookUp()
        .maxInboundMessageSize(MAX_PAGE)
        .perRpcBufferLimit(MAX_REQUEST)
        // A daemon is called directly, also where the system's properties name a proxy.
        .proxyDetector(target -> null)
        // A follow of a quiet job must notice that the other side is gone.
        .keepAliveTime(30, TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS);
  }

  private static Map<String, ?> serviceConfig() {
    try (InputStream resource = Connection.class.getResourceAsStream("service_config.json");
        Reader reader = new InputStreamReader(resource, StandardCharsets.UTF_8)) {
      return new Gson().fromJson(reader, new TypeToken<Map<String, ?>>() {}.getType());
    } catch (IOException e) {
      throw new IllegalStateException("the library's own service config cannot be read", e);
    }
  }

  private static SslContext identity(Path ca, Path cert, Path key) throws IOException {
    SslContextBuilder builder = GrpcSslContexts.forClient().protocols("TLSv1.3");
    try (InputStream authorities = Files.newInputStream(ca)) {
      builder.trustManager(authorities);
    } catch (IllegalArgumentException e) {
      throw new IOException("the CA certificate \"" + ca + "\" is not PEM", e);
    } catch (IOException e) {
      throw new IOException("cannot read the CA certificate \"" + ca + "\": " + e, e);
    }
    if (cert == null && key == null) {
      return builder.build();
    }
    try (InputStream certificate = Files.newInputStream(cert);
        InputStream secret = Files.newInputStream(key)) {
      return builder.keyManager(certificate, secret).build();
    } catch (IllegalArgumentException | NullPointerException | IOException e) {
      throw new IOException(
          "cannot use the client certificate \"%s\" with the key \"%s\": %s"
              .formatted(cert, key, e),
          e);
    }
  }
}
