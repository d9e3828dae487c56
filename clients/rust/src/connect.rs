use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::client::Config;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no client: what is wrong with its config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Returns a channel that connects when it is needed. It goes directly to the daemon, also where the environment names a
/// proxy for the web.
pub(crate) fn channel(config: &Config) -> Result<Channel, ConfigError> {
    let (host, port) = host_and_port(&config.address)?;
    let name = ServerName::try_from(host.clone()).map_err(|_| {
        ConfigError(format!("the address {:?} has no host that a certificate can name", config.address))
    })?;
    let tls = TlsConnector::from(Arc::new(identity(config)?));
    let endpoint = Endpoint::from_shared(format!("https://{}", config.address))
        .map_err(|error| ConfigError(format!("cannot call {:?}: {error}", config.address)))?
        .connect_timeout(CONNECT_TIMEOUT)
        // A follow of a quiet job must notice that the other side is gone.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (tls, host, name) = (tls.clone(), host.clone(), name.clone());
        async move { connect(tls, &host, port, name).await.map(TokioIo::new) }
    })))
}

/// Connects by tonic's own means but its TLS, which would take TLS 1.2 too.
async fn connect(
    tls: TlsConnector,
    host: &str,
    port: u16,
    name: ServerName<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let stream = tls.connect(name, tcp).await?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(stream),
        _ => Err(std::io::Error::other("the other side does not speak HTTP/2")),
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), ConfigError> {
    let wrong = || ConfigError(format!("the address {address:?} is not host:port, such as localhost:8080"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (bare.is_none() && host.contains(':')) {
        return Err(wrong());
    }
    Ok((bare.unwrap_or(host).to_owned(), port.parse().map_err(|_| wrong())?))
}

fn identity(config: &Config) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.ca, "CA certificate")? {
        roots
            .add(certificate)
            .map_err(|error| ConfigError(format!("cannot use the CA certificate {:?}: {error}", config.ca)))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| ConfigError(format!("there is no TLS 1.3: {error}")))?
        .with_root_certificates(roots);
    let mut tls = match &config.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let wrong = |error: &dyn fmt::Display| {
                ConfigError(format!("cannot use the client certificate {cert:?} with the key {key:?}: {error}"))
            };
            let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error))?;
            builder
                .with_client_auth_cert(certificates(cert, "client certificate")?, private)
                .map_err(|error| wrong(&error))?
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let content =
        std::fs::read(path).map_err(|error| ConfigError(format!("cannot read the {what} {path:?}: {error}")))?;
    match CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(ConfigError(format!("the {what} {path:?} is not PEM"))),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    /// An address is a host and a port, and an IPv6 address stands in brackets.
    #[test]
    fn addresses() {
        for (address, host, port) in
            [("localhost:8080", "localhost", 8080), ("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:65535", "::1", 65535)]
        {
            assert_eq!(host_and_port(address), Ok((host.to_owned(), port)));
        }
        for address in
            ["", "localhost", ":8080", "localhost:", "localhost:http", "localhost:65536", "::1:8080", "[::1]"]
        {
            assert!(host_and_port(address).unwrap_err().to_string().contains("is not host:port"), "{address}");
        }
    }
}
