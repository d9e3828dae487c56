//! The library against a daemon that answers as each test has it, over real mutual TLS.

mod connect;
mod errors;
mod follow;
mod jobs;
mod read;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakedaemon::{Act, Daemon, Served};
use jobworker::v1::read_logs_response::Frame as Sent;
use jobworker::v1::{GetJobRequest, LogData, LogEnd, LogGap, ReadLogsRequest, ReadLogsResponse};
use jobworker::{Client, Code, Config, Error, Job, JobState};
use tonic::Status;

const JOB_ID: &str = "5a2e0b1c-0000-4000-8000-000000000000";

/// Has little patience: tests that wait for its end should be short.
fn config(served: &Served) -> Config {
    Config {
        patience: Duration::from_secs(10),
        ..Config::new(served.address(), served.ca(), served.cert(), served.key())
    }
}

async fn connect(daemon: Daemon) -> (Served, Client) {
    let served = daemon.serve().await.unwrap();
    let client = Client::connect(&config(&served)).await.unwrap();
    (served, client)
}

/// Ends a test which hangs.
async fn limited<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it hangs")
}

fn failed<T: std::fmt::Debug>(result: Result<T, Error>, code: Code) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error:?}");
    error
}

fn known(_: GetJobRequest) -> Result<Job, Status> {
    Ok(Job { id: JOB_ID.to_owned(), state: JobState::Running.into(), ..Job::default() })
}

fn send(frame: Sent) -> Act {
    Act::Send(Box::new(ReadLogsResponse { frame: Some(frame) }))
}

fn data(offset: i64, text: &str) -> Act {
    send(Sent::Data(LogData { offset, data: text.as_bytes().to_vec() }))
}

fn gap(from: i64, to: i64) -> Act {
    send(Sent::Gap(LogGap { from, to }))
}

fn end(offset: i64) -> Act {
    let job = Job { id: JOB_ID.to_owned(), state: JobState::Succeeded.into(), ..Job::default() };
    send(Sent::End(LogEnd { offset, job: Some(job) }))
}

fn fail(code: Code) -> Act {
    Act::Fail(Status::new(code, "as the test has it"))
}

/// The requests that a script has had.
type Requests = Arc<Mutex<Vec<ReadLogsRequest>>>;

/// Returns a daemon that knows the job and answers each ReadLogs with the next of the answers, and its requests.
fn script(answers: Vec<Vec<Act>>) -> (Daemon, Requests) {
    let requests = Requests::default();
    let kept = requests.clone();
    let read = move |request| {
        let mut requests = kept.lock().unwrap();
        requests.push(request);
        answers.get(requests.len() - 1).cloned().ok_or_else(|| Status::internal("the test expects no more calls"))
    };
    (Daemon { get: Some(Box::new(known)), read: Some(Box::new(read)), ..Daemon::default() }, requests)
}
