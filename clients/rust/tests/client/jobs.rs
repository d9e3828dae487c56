use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakedaemon::Daemon;
use jobworker::v1::ListJobsResponse;
use jobworker::{Code, Error, Job, ReadOptions, Stream};
use tonic::Status;

use crate::{JOB_ID, connect, failed, limited};

/// Start makes a request id of its own, a fresh one for each job.
#[tokio::test]
async fn start_sends_a_fresh_request_id() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let kept = ids.clone();
    let start = move |request: jobworker::v1::StartJobRequest| {
        kept.lock().unwrap().push(request.request_id);
        Ok(Job { command: request.command, ..Job::default() })
    };
    let (_served, client) = connect(Daemon { start: Some(Box::new(start)), ..Daemon::default() }).await;
    for _ in 0..2 {
        assert_eq!(limited(client.start(["echo", "größe"])).await.unwrap().command, ["echo", "größe"]);
    }
    let ids = ids.lock().unwrap();
    for id in ids.iter() {
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
    }
    assert_ne!(ids[0], ids[1]);
}

/// Stop passes the grace period on; without one there is none in the request.
#[tokio::test]
async fn stop_passes_the_grace_period() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let stop = move |request: jobworker::v1::StopJobRequest| {
        kept.lock().unwrap().push(request.grace_period.map(|grace| (grace.seconds, grace.nanos)));
        Ok(Job { id: request.job_id, ..Job::default() })
    };
    let (_served, client) = connect(Daemon { stop: Some(Box::new(stop)), ..Daemon::default() }).await;
    for grace in [Duration::ZERO, Duration::from_millis(1500)] {
        assert_eq!(limited(client.stop(JOB_ID, grace)).await.unwrap().id, JOB_ID);
    }
    let error = failed(limited(client.stop(JOB_ID, Duration::MAX)).await, Code::InvalidArgument);
    assert_eq!(error.field, "grace_period");
    assert_eq!(*asked.lock().unwrap(), [None, Some((1, 500_000_000))]);
}

/// The walk goes over all pages with their tokens, also over one that is empty, and asks for no page that is not wanted.
#[tokio::test]
async fn all_walks_the_pages() {
    let pages: [&[&str]; 3] = [&["a", "b"], &[], &["c"]];
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let list = move |request: jobworker::v1::ListJobsRequest| {
        counted.fetch_add(1, Ordering::SeqCst);
        let page = request.page_token.parse().unwrap_or(0);
        let jobs = pages[page].iter().map(|id| Job { id: (*id).to_owned(), ..Job::default() }).collect();
        let next = if page + 1 < pages.len() { (page + 1).to_string() } else { String::new() };
        Ok(ListJobsResponse { jobs, next_page_token: next })
    };
    let (_served, client) = connect(Daemon { list: Some(Box::new(list)), ..Daemon::default() }).await;
    let mut all = client.all(2);
    assert_eq!(limited(all.next()).await.unwrap().unwrap().id, "a");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let mut rest = Vec::new();
    while let Some(job) = limited(all.next()).await.unwrap() {
        rest.push(job.id);
    }
    assert_eq!(rest, ["b", "c"]);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

/// The walk ends with the error of a page that could not be read.
#[tokio::test]
async fn all_ends_with_the_error() {
    let list = |_| Err(Status::invalid_argument("page_size is negative"));
    let (_served, client) = connect(Daemon { list: Some(Box::new(list)), ..Daemon::default() }).await;
    let mut all = client.all(-1);
    failed(limited(all.next()).await, Code::InvalidArgument);
    assert!(limited(all.next()).await.unwrap().is_none());
}

/// What may be repeated is repeated when the daemon is going away, and what may not be is not.
#[tokio::test]
async fn retries() {
    let calls = Arc::new(AtomicU32::new(0));
    let third = |calls: &Arc<AtomicU32>| {
        let calls = calls.clone();
        move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(Status::unavailable("going away")),
            _ => Ok(()),
        }
    };
    macro_rules! answer {
        ($ok:expr) => {{
            let third = third(&calls);
            Some(Box::new(move |_| third().map(|()| $ok)))
        }};
    }
    let (_served, client) = connect(Daemon {
        start: answer!(Job::default()),
        stop: answer!(Job::default()),
        get: answer!(Job::default()),
        delete: answer!(Job::default()),
        list: answer!(ListJobsResponse::default()),
        read: answer!(Vec::new()),
    })
    .await;
    let expect = |method: &str, result: Result<(), Error>, repeated: bool| {
        let calls = calls.swap(0, Ordering::SeqCst);
        if repeated {
            assert!(result.is_ok() && calls == 3, "{method}, after {calls} calls: {result:?}");
        } else {
            failed(result, Code::Unavailable);
            assert_eq!(calls, 1, "{method}");
        }
    };
    expect("start", limited(client.start(["x"])).await.map(drop), true);
    expect("start without id", limited(client.start_with_id(["x"], "")).await.map(drop), false);
    expect("stop", limited(client.stop(JOB_ID, Duration::ZERO)).await.map(drop), true);
    expect("get", limited(client.get(JOB_ID)).await.map(drop), true);
    expect("delete", limited(client.delete(JOB_ID)).await.map(drop), false);
    expect("list", limited(client.list(0, "")).await.map(drop), true);
    let mut read = client.read(JOB_ID, Stream::Stdout, ReadOptions::default());
    expect("read", limited(read.next()).await.map(drop), false);
}

/// The attempts come to an end, and what the daemon refuses has none but one.
#[tokio::test]
async fn retries_end() {
    for (code, attempts) in [(Code::Unavailable, 4), (Code::ResourceExhausted, 1)] {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let get = move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(Status::new(code, "no"))
        };
        let (_served, client) = connect(Daemon { get: Some(Box::new(get)), ..Daemon::default() }).await;
        failed(limited(client.get(JOB_ID)).await, code);
        assert_eq!(calls.load(Ordering::SeqCst), attempts);
    }
}
