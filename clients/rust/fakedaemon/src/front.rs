use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Takes connections, ends their TLS, and passes what comes to the server behind, which is without. It can cut them.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    connections: Arc<Mutex<JoinSet<io::Result<()>>>>,
    accepting: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn open(tls: ServerConfig, behind: SocketAddr) -> io::Result<Front> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let known = connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let pass = pass(acceptor.clone(), connection, behind);
                known.lock().expect("nobody panics with it").spawn(pass);
            }
        });
        Ok(Front { address, connections, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cut(&self) {
        self.connections.lock().expect("nobody panics with it").abort_all();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn pass(acceptor: TlsAcceptor, connection: TcpStream, behind: SocketAddr) -> io::Result<()> {
    let mut outside = acceptor.accept(connection).await?;
    let mut inside = TcpStream::connect(behind).await?;
    copy_bidirectional(&mut outside, &mut inside).await?;
    Ok(())
}
