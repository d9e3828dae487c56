//! A tour of the API: starts jobs, follows one, stops one, lists all, and tells errors apart.
//!
//!     cargo run --locked --example tour [HOST:PORT [FOLDER]]
//!
//! The folder has ca-cert.pem, client-cert.pem and client-key.pem.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jobworker::v1::job::Outcome;
use jobworker::{Client, Code, Config, Error, Frame, Stream};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "localhost:8080".to_owned());
    let certs = PathBuf::from(arguments.next().unwrap_or_else(|| "../../certs".to_owned()));
    if arguments.next().is_some() {
        eprintln!("usage: tour [HOST:PORT [FOLDER]]");
        return ExitCode::FAILURE;
    }
    let config =
        Config::new(address, certs.join("ca-cert.pem"), certs.join("client-cert.pem"), certs.join("client-key.pem"));
    let client = match Client::connect(&config).await {
        Ok(client) => client,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match tour(&client).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", advice(&error));
            ExitCode::FAILURE
        }
    }
}

async fn tour(client: &Client) -> Result<(), Error> {
    // The call carries a request id, so that it can be repeated and there is one job all the same.
    let job = client.start(["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 1; done"]).await?;
    println!("started {}", job.id);
    // Restart the daemon meanwhile, with --state-dir, or cut the network: no line is lost or repeated.
    let mut follow = client.follow(&job.id, Stream::Stdout, 0);
    while let Some(frame) = follow.next().await? {
        match frame {
            Frame::Data { bytes, .. } => io::stdout().write_all(&bytes).expect("there is a standard output"),
            Frame::Gap { from, to } => println!("(bytes {from} to {to} are gone)"),
            Frame::Resumed { offset, cause } => println!("(resumed at byte {offset} after: {cause})"),
            Frame::End { offset, job } => println!("ended as {} with {offset} bytes", job.state().as_str_name()),
        }
    }
    let job = client.start(["sleep", "3600"]).await?;
    let job = client.stop(&job.id, Duration::from_secs(5)).await?;
    if let Some(Outcome::Signal(signal)) = job.outcome {
        println!("stopped {}, by signal {signal}", job.id);
    }
    let mut count = 0;
    let mut jobs = client.all(100);
    while jobs.next().await?.is_some() {
        count += 1;
    }
    println!("the daemon has {count} jobs");
    if let Err(error) = client.start(["no-such-program"]).await {
        println!("to start no-such-program: {}", advice(&error));
    }
    Ok(())
}

/// Tells errors apart: by their code what may be done, by their reason what is the matter.
fn advice(error: &Error) -> String {
    let message = &error.message;
    match (error.code, error.reason.as_str()) {
        (_, "PROGRAM_NOT_FOUND") => format!("the daemon's host has no such program: {message}"),
        (Code::PermissionDenied, _) => format!("ask the operator for a role: {message}"),
        (Code::Unavailable, _) => format!("see whether the daemon runs there and takes this certificate: {message}"),
        (code, reason) => format!("{code:?} {reason} {}: {message}", error.field),
    }
}
