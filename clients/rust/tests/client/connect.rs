use std::fs;
use std::path::PathBuf;

use fakedaemon::Daemon;
use jobworker::{Client, Code, Config};

use crate::{JOB_ID, config, connect, failed, known, limited};

/// What is wrong with the files or the address is said before any call.
#[tokio::test]
async fn says_what_is_wrong() {
    let served = Daemon::default().serve().await.unwrap();
    let right = config(&served);
    let not_pem = served.folder().join("not.pem");
    fs::write(&not_pem, "no").unwrap();
    let none = PathBuf::from("/no/such/file");
    for (wrong, says) in [
        (Config { address: "localhost".to_owned(), ..right.clone() }, "is not host:port"),
        (Config { address: "a b:1".to_owned(), ..right.clone() }, "has no host that a certificate can name"),
        (Config { ca: none.clone(), ..right.clone() }, "cannot read the CA certificate"),
        (Config { ca: not_pem.clone(), ..right.clone() }, "is not PEM"),
        (
            Config { identity: Some((none.clone(), served.key())), ..right.clone() },
            "cannot read the client certificate",
        ),
        (Config { identity: Some((served.cert(), none)), ..right.clone() }, "cannot use the client certificate"),
        (Config { identity: Some((served.ca(), served.key())), ..right.clone() }, "cannot use the client certificate"),
    ] {
        let error = Client::connect(&wrong).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// A client without a certificate gets no further than the handshake, and neither does one that trusts another authority.
#[tokio::test]
async fn nobody_unknown_gets_in() {
    let (served, client) = connect(Daemon { get: Some(Box::new(known)), ..Daemon::default() }).await;
    limited(client.get(JOB_ID)).await.unwrap();
    let other = Daemon::default().serve().await.unwrap();
    for wrong in [Config { identity: None, ..config(&served) }, Config { ca: other.ca(), ..config(&served) }] {
        let client = Client::connect(&wrong).await.unwrap();
        failed(limited(client.get(JOB_ID)).await, Code::Unavailable);
    }
}

/// A client goes on when the connection was lost between its calls.
#[tokio::test]
async fn connects_again() {
    let (served, client) = connect(Daemon { get: Some(Box::new(known)), ..Daemon::default() }).await;
    for _ in 0..3 {
        limited(client.get(JOB_ID)).await.unwrap();
        served.cut();
    }
}
