use std::error::Error as _;
use std::time::Duration;

use fakedaemon::{Act, Daemon};
use jobworker::{Client, Code, Config, Error, Follow, Frame, Job, Stream};
use tonic::Status;

use crate::{JOB_ID, Requests, config, connect, data, end, fail, failed, gap, limited, script};

/// What a follow gave.
#[derive(Debug, Default)]
struct Taken {
    text: String,
    gaps: Vec<(i64, i64)>,
    resumed: Vec<i64>,
    end: Option<(i64, Box<Job>)>,
}

impl Taken {
    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Data { bytes, .. } => self.text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Frame::Gap { from, to } => self.gaps.push((from, to)),
            Frame::Resumed { offset, .. } => self.resumed.push(offset),
            Frame::End { offset, job } => self.end = Some((offset, job)),
        }
    }

    /// Checks that a follow came to the end of "hello, world".
    fn complete(&self, text: &str) {
        assert_eq!(self.text, text);
        let (offset, job) = self.end.as_ref().expect("there is an end");
        assert_eq!((*offset, job.id.as_str()), (12, JOB_ID));
    }
}

async fn drain(follow: &mut Follow) -> (Taken, Result<(), Error>) {
    let mut taken = Taken::default();
    loop {
        match limited(follow.next()).await {
            Ok(Some(frame)) => taken.take(frame),
            Ok(None) => return (taken, Ok(())),
            Err(error) => {
                assert!(limited(follow.next()).await.unwrap().is_none(), "there is something after the error");
                return (taken, Err(error));
            }
        }
    }
}

/// Follows to the end or an error.
async fn follow(client: &Client, offset: i64) -> (Taken, Result<(), Error>) {
    drain(&mut client.follow(&JOB_ID[..4], Stream::Stdout, offset)).await
}

fn offsets(requests: &Requests) -> Vec<i64> {
    requests.lock().unwrap().iter().map(|request| request.offset).collect()
}

/// After each kind of break, the connection's own among them, a follow reads on at its byte, by the job's whole id.
#[tokio::test]
async fn resumes_at_its_offset() {
    let (daemon, requests) = script(vec![
        vec![data(0, "hello"), fail(Code::Unavailable)],
        vec![data(5, ", "), fail(Code::Cancelled)],
        vec![data(7, "wo"), Act::Wait],
        vec![data(9, "r")], // an end without its mark
        vec![data(10, "ld"), end(12)],
    ]);
    let (served, client) = connect(daemon).await;
    let mut taken = Taken::default();
    let mut follow = client.follow(&JOB_ID[..4], Stream::Stdout, 0);
    while let Some(frame) = limited(follow.next()).await.unwrap() {
        if matches!(frame, Frame::Data { offset: 7, .. }) {
            served.cut();
        }
        taken.take(frame);
    }
    taken.complete("hello, world");
    assert_eq!(offsets(&requests), [0, 5, 7, 9, 10]);
    assert_eq!(taken.resumed, [5, 7, 9, 10]);
    for request in requests.lock().unwrap().iter() {
        assert!(request.job_id == JOB_ID && request.follow && request.stream() == Stream::Stdout, "{request:?}");
    }
}

/// A gap is told, and a follow goes on behind it, also when it breaks there.
#[tokio::test]
async fn tells_of_gaps() {
    let (daemon, requests) = script(vec![vec![gap(2, 7), fail(Code::Unavailable)], vec![data(7, "world"), end(12)]]);
    let (_served, client) = connect(daemon).await;
    let (taken, result) = follow(&client, 2).await;
    result.unwrap();
    taken.complete("world");
    assert_eq!(taken.gaps, [(2, 7)]);
    assert_eq!(offsets(&requests), [2, 7]);
}

/// What the daemon refuses is not tried again.
#[tokio::test]
async fn ends_with_a_refusal() {
    for code in [Code::NotFound, Code::PermissionDenied, Code::OutOfRange, Code::ResourceExhausted, Code::Internal] {
        let (daemon, requests) = script(vec![vec![fail(code)]]);
        let (_served, client) = connect(daemon).await;
        failed(follow(&client, 0).await.1, code);
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

/// A job that does not exist is said before anything is read.
#[tokio::test]
async fn of_no_job() {
    let get = |_| Err(Status::not_found("no job"));
    let (_served, client) = connect(Daemon { get: Some(Box::new(get)), ..Daemon::default() }).await;
    failed(follow(&client, 0).await.1, Code::NotFound);
}

/// Bytes that come twice, or are left out without a gap, are an error and never passed on.
#[tokio::test]
async fn refuses_bytes_that_are_not_due() {
    for wrong in [data(4, "o, "), data(6, " "), end(4), gap(5, 3), Act::Send(Box::default())] {
        let (daemon, requests) = script(vec![vec![data(0, "hello"), wrong.clone()]]);
        let (_served, client) = connect(daemon).await;
        let (taken, result) = follow(&client, 0).await;
        failed(result, Code::DataLoss);
        assert_eq!((taken.text.as_str(), requests.lock().unwrap().len()), ("hello", 1), "{wrong:?}");
    }
}

/// Without progress for as long as its patience is, a follow gives up, says where, and keeps what broke it.
#[tokio::test]
async fn gives_up() {
    let mut answers = vec![vec![fail(Code::Unavailable)]; 100];
    answers[0].insert(0, data(0, "hello"));
    let (daemon, requests) = script(answers);
    let served = daemon.serve().await.unwrap();
    let config = Config { patience: Duration::from_millis(300), ..config(&served) };
    let client = Client::connect(&config).await.unwrap();
    let (taken, result) = follow(&client, 0).await;
    let error = failed(result, Code::Unavailable);
    assert!(error.message.contains("gave up at byte 5 after 300ms"), "{error}");
    assert!(error.source().unwrap().to_string().contains("as the test has it"), "{error:?}");
    assert_eq!(taken.text, "hello");
    assert!(taken.resumed.is_empty());
    assert!(requests.lock().unwrap().len() >= 3);
}

/// A daemon that is away altogether is waited for just as long.
#[tokio::test]
async fn gives_up_on_a_daemon_that_is_away() {
    let (daemon, _) = script(vec![vec![data(0, "hello"), Act::Wait]]);
    let served = daemon.serve().await.unwrap();
    let client = Client::connect(&Config { patience: Duration::from_millis(300), ..config(&served) }).await.unwrap();
    let mut follow = client.follow(JOB_ID, Stream::Stdout, 0);
    limited(follow.next()).await.unwrap();
    drop(served);
    let (taken, result) = drain(&mut follow).await;
    assert!(failed(result, Code::Unavailable).message.contains("gave up at byte 5 after 300ms"));
    assert!(taken.text.is_empty());
}

/// To drop a follow ends the call, at whichever frame.
#[tokio::test]
async fn is_dropped() {
    let (daemon, _) = script(vec![vec![data(0, "hello"), fail(Code::Unavailable)], vec![data(5, "hello"), Act::Wait]]);
    let (mut served, client) = connect(daemon).await;
    let mut follow = client.follow(JOB_ID, Stream::Stdout, 0);
    while !matches!(limited(follow.next()).await.unwrap(), Some(Frame::Resumed { offset: 5, .. })) {}
    drop(follow);
    limited(served.left()).await;
}

/// Who waits for a frame only for a while loses none, and makes no further call.
#[tokio::test]
async fn goes_on_after_a_wait_that_was_dropped() {
    let (daemon, requests) = script(vec![vec![data(0, "hello"), Act::Wait], vec![data(5, ", world"), end(12)]]);
    let (served, client) = connect(daemon).await;
    let mut follow = client.follow(JOB_ID, Stream::Stdout, 0);
    let mut taken = Taken::default();
    taken.take(limited(follow.next()).await.unwrap().unwrap());
    for _ in 0..3 {
        tokio::time::timeout(Duration::from_millis(20), follow.next()).await.unwrap_err();
    }
    assert_eq!(requests.lock().unwrap().len(), 1);
    served.cut();
    let (rest, result) = drain(&mut follow).await;
    result.unwrap();
    assert_eq!((taken.text + &rest.text).as_str(), "hello, world");
    assert_eq!(offsets(&requests), [0, 5]);
}
