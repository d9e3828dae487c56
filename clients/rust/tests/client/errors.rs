use std::collections::HashMap;
use std::time::Duration;

use fakedaemon::{Act, Daemon};
use jobworker::{Code, ReadOptions, Stream};
use tokio::time::Instant;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::{JOB_ID, connect, failed, known, limited, script};

fn ambiguous() -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("AMBIGUOUS_JOB_ID", "jobworker", HashMap::from([("jobs".to_owned(), "2".to_owned())]));
    details.add_bad_request_violation("job_id", "it fits several");
    Status::with_error_details(Code::InvalidArgument, "several jobs", details)
}

/// An error has all that the daemon says of it for programs.
#[tokio::test]
async fn has_the_details() {
    let (_served, client) = connect(Daemon { get: Some(Box::new(|_| Err(ambiguous()))), ..Daemon::default() }).await;
    let error = failed(limited(client.get("5")).await, Code::InvalidArgument);
    assert_eq!((error.reason.as_str(), error.field.as_str()), ("AMBIGUOUS_JOB_ID", "job_id"));
    assert_eq!(error.metadata.into_iter().collect::<Vec<_>>(), [("jobs".to_owned(), "2".to_owned())]);
    assert_eq!(
        failed(limited(client.get("5")).await, Code::InvalidArgument).to_string(),
        "InvalidArgument: several jobs"
    );
}

/// So has one that ends a read.
#[tokio::test]
async fn a_read_has_the_details() {
    let (daemon, _) = script(vec![vec![Act::Fail(ambiguous())]]);
    let (_served, client) = connect(daemon).await;
    let mut read = client.read("5", Stream::Stdout, ReadOptions::default());
    let error = failed(limited(read.next()).await, Code::InvalidArgument);
    assert_eq!((error.reason.as_str(), error.field.as_str()), ("AMBIGUOUS_JOB_ID", "job_id"));
    assert!(limited(read.next()).await.unwrap().is_none());
}

/// An error without details has none.
#[tokio::test]
async fn without_details() {
    let (_served, client) = connect(Daemon::default()).await;
    let error = failed(limited(client.delete(JOB_ID)).await, Code::Unimplemented);
    assert!(error.reason.is_empty() && error.field.is_empty() && error.metadata.is_empty(), "{error:?}");
}

/// A deadline ends each kind of call as such, and the clients that share the connection have none.
#[tokio::test]
async fn deadlines() {
    let (daemon, _) = script(vec![vec![Act::Wait]; 2]);
    let (mut served, client) = connect(daemon).await;
    let late = || client.with_deadline(Instant::now() + Duration::from_millis(100));
    let mut read = late().read(JOB_ID, Stream::Stdout, ReadOptions::default());
    failed(limited(read.next()).await, Code::DeadlineExceeded);
    limited(served.left()).await;
    let mut follow = late().follow(JOB_ID, Stream::Stdout, 0);
    failed(limited(follow.next()).await, Code::DeadlineExceeded);
    limited(served.left()).await;
    failed(limited(client.with_deadline(Instant::now()).get(JOB_ID)).await, Code::DeadlineExceeded);
    limited(client.get(JOB_ID)).await.unwrap();
}

/// A deadline holds while a daemon is away, too, and the pauses between the attempts count.
#[tokio::test]
async fn deadlines_of_breaks() {
    let down = |_| Err(Status::unavailable("going away"));
    let daemon = Daemon { get: Some(Box::new(known)), read: Some(Box::new(down)), ..Daemon::default() };
    let (_served, client) = connect(daemon).await;
    let mut follow =
        client.with_deadline(Instant::now() + Duration::from_millis(500)).follow(JOB_ID, Stream::Stdout, 0);
    failed(limited(follow.next()).await, Code::DeadlineExceeded);
}
