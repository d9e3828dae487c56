use fakedaemon::Act;
use jobworker::v1::ReadLogsRequest;
use jobworker::{Code, Frame, ReadOptions, Stream};

use crate::{JOB_ID, connect, data, end, failed, gap, limited, script};

/// A read passes its options on and gives the frames as they come.
#[tokio::test]
async fn gives_the_frames() {
    let (daemon, requests) = script(vec![vec![gap(0, 3), data(3, "\u{0}ÿ"), end(6)]]);
    let (_served, client) = connect(daemon).await;
    let options = ReadOptions { follow: true, tail_lines: Some(20), limit: 9, ..ReadOptions::default() };
    let mut read = client.read(JOB_ID, Stream::Stderr, options);
    assert!(matches!(limited(read.next()).await.unwrap(), Some(Frame::Gap { from: 0, to: 3 })));
    let Some(Frame::Data { offset: 3, bytes }) = limited(read.next()).await.unwrap() else { panic!("no data") };
    assert_eq!(bytes, "\u{0}ÿ".as_bytes());
    let Some(Frame::End { offset: 6, job }) = limited(read.next()).await.unwrap() else { panic!("no end") };
    assert_eq!(job.id, JOB_ID);
    assert!(limited(read.next()).await.unwrap().is_none());
    let wanted = ReadLogsRequest {
        job_id: JOB_ID.to_owned(),
        stream: Stream::Stderr.into(),
        offset: 0,
        follow: true,
        tail_lines: Some(20),
        limit: 9,
    };
    assert_eq!(*requests.lock().unwrap(), [wanted]);
}

/// A read that ends without its end mark has failed.
#[tokio::test]
async fn without_end_is_broken() {
    let (daemon, _) = script(vec![vec![data(0, "hello")]]);
    let (_served, client) = connect(daemon).await;
    let mut read = client.read(JOB_ID, Stream::Stdout, ReadOptions::default());
    limited(read.next()).await.unwrap();
    failed(limited(read.next()).await, Code::Unavailable);
    assert!(limited(read.next()).await.unwrap().is_none());
}

/// To drop a read ends the call.
#[tokio::test]
async fn is_dropped() {
    let (daemon, _) = script(vec![vec![data(0, "hello"), Act::Wait]]);
    let (mut served, client) = connect(daemon).await;
    let mut read = client.read(JOB_ID, Stream::Stdout, ReadOptions { follow: true, ..ReadOptions::default() });
    limited(read.next()).await.unwrap();
    drop(read);
    limited(served.left()).await;
}
