use fakedaemon::{Act, Daemon};
use jobworker::v1::job::Outcome;
use jobworker::v1::read_logs_response::Frame;
use jobworker::v1::{
    Job, JobState, ListJobsResponse, LogData, LogEnd, LogGap, LogStream, ReadLogsResponse, Termination,
};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tonic::Status;

use crate::run;

const ID: &str = "5a2e0b1c-0000-4000-8000-000000000000";

fn running() -> Job {
    Job {
        id: ID.to_owned(),
        command: vec!["echo".to_owned(), "$0".to_owned()],
        state: JobState::Running.into(),
        start_time: Some(Timestamp::default()),
        owner: "ab".to_owned(),
        ..Job::default()
    }
}

fn ended() -> Job {
    Job {
        state: JobState::Stopped.into(),
        end_time: Some(Timestamp::default()),
        stop_request_time: Some(Timestamp::default()),
        outcome: Some(Outcome::Signal(9)),
        termination: Some(Termination { killed_processes: 2 }),
        stdout_bytes: 5,
        principal: "ci".to_owned(),
        ..running()
    }
}

fn answer(asked: &str, right: bool) -> Result<Job, Status> {
    if !asked.is_empty() && ID.starts_with(asked) && right {
        Ok(ended())
    } else {
        Err(Status::not_found("no such job"))
    }
}

/// Knows one job and has two pages with one job each.
fn fake() -> Daemon {
    let frame = |frame| Act::Send(Box::new(ReadLogsResponse { frame: Some(frame) }));
    Daemon {
        start: Some(Box::new(|request| Ok(Job { principal: request.request_id, ..running() }))),
        stop: Some(Box::new(|request| {
            let grace = request.grace_period.unwrap_or_default();
            answer(&request.job_id, (grace.seconds, grace.nanos) == (1, 500_000_000))
        })),
        get: Some(Box::new(|request| answer(&request.job_id, true))),
        delete: Some(Box::new(|request| answer(&request.job_id, true))),
        list: Some(Box::new(|request| {
            let job = Job { id: format!("job{}", request.page_token), ..Job::default() };
            let next = if request.page_token.is_empty() { "2" } else { "" };
            Ok(ListJobsResponse { jobs: vec![job], next_page_token: next.to_owned() })
        })),
        read: Some(Box::new(move |request| {
            if request.stream() == LogStream::Unspecified {
                return Err(Status::invalid_argument("no stream"));
            }
            Ok(vec![
                frame(Frame::Gap(LogGap { from: request.offset, to: 3 })),
                frame(Frame::Data(LogData { offset: 3, data: b"ab".to_vec() })),
                frame(Frame::End(LogEnd { offset: 5, job: Some(ended()) })),
            ])
        })),
    }
}

async fn results(steps: Value) -> Result<Vec<Value>, String> {
    let served = fake().serve().await.unwrap();
    let scenario = json!({
        "address": served.address(), "ca": served.ca(), "cert": served.cert(), "key": served.key(), "steps": steps,
    });
    let mut output = run(&scenario.to_string()).await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_value(output["results"].take()).unwrap())
}

/// Each operation gives what the runner expects of it, written out by hand.
#[tokio::test]
async fn each_operation() {
    let started = json!({
        "id": ID, "command": ["echo", "$0"], "state": "RUNNING", "exit_code": null, "signal": null, "stdout_bytes": 0,
        "stderr_bytes": 0, "owner": "ab", "principal": "", "killed_processes": null, "lost": false, "started": true,
        "ended": false, "stop_requested": false,
    });
    let stopped = json!({
        "id": ID, "command": ["echo", "$0"], "state": "STOPPED", "exit_code": null, "signal": 9, "stdout_bytes": 5,
        "stderr_bytes": 0, "owner": "ab", "principal": "ci", "killed_processes": 2, "lost": false, "started": true,
        "ended": true, "stop_requested": true,
    });
    let read = json!({
        "bytes": 2, "sha256": "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603", "first_offset": 3,
        "gaps": [[0, 3]], "ordered": true, "end_offset": 5, "job": stopped, "cancelled": false,
    });
    let mut cancelled = read.clone();
    (cancelled["end_offset"], cancelled["job"], cancelled["cancelled"]) = (Value::Null, Value::Null, json!(true));
    let mut followed = read.clone();
    followed["resumes"] = json!(0);
    let error = |code| json!({"error": {"code": code, "reason": "", "field": "", "metadata": {}}});
    let walk = json!({
        "count": 2, "unique": 2, "ids_sha256": "5261cc4cfa511c25c4ca6c42a8e7603019b48b4b56c351b32ce0e858527cc7e7",
    });
    let cases = [
        (json!({"op": "start", "command": ["echo", "$0"], "request_id": ""}), json!({"ok": {"job": started}})),
        (json!({"op": "stop", "job": "$0:8", "grace_ms": 1500, "deadline_ms": 60000}), json!({"ok": {"job": stopped}})),
        (json!({"op": "stop", "job": "$0", "grace_ms": -1500}), error("NOT_FOUND")),
        (json!({"op": "get", "job": "$1"}), json!({"ok": {"job": stopped}})),
        (json!({"op": "delete", "job": "ffff"}), error("NOT_FOUND")),
        (json!({"op": "list", "page_size": 1}), json!({"ok": {"count": 1, "ids": ["job"], "next_page_token": "2"}})),
        (
            json!({"op": "list", "page_size": 1, "page_token": "$page5"}),
            json!({"ok": {"count": 1, "ids": ["job2"], "next_page_token": ""}}),
        ),
        (json!({"op": "list_all", "page_size": 1}), json!({"ok": walk})),
        (json!({"op": "read", "job": "$0", "stream": "stdout"}), json!({"ok": read})),
        (
            json!({"op": "read", "job": "$8", "stream": "stderr", "follow": true, "cancel_after_bytes": 1}),
            json!({"ok": cancelled}),
        ),
        (json!({"op": "read", "job": "$0", "stream": "unspecified"}), error("INVALID_ARGUMENT")),
        (json!({"op": "follow", "job": "$0", "stream": "stdout", "offset": 0}), json!({"ok": followed})),
        (
            json!({"op": "follow", "job": "$11", "stream": "stdout", "offset": 2, "deadline_ms": 0}),
            error("DEADLINE_EXCEEDED"),
        ),
        (json!({"op": "health", "service": "", "deadline_ms": 60000}), error("UNIMPLEMENTED")),
        (json!({"op": "reflection"}), error("UNIMPLEMENTED")),
    ];
    let (steps, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let got = results(json!(steps)).await.unwrap();
    assert_eq!(got.len(), steps.len());
    for (step, (got, expected)) in steps.iter().zip(got.iter().zip(&expected)) {
        assert_eq!(got, expected, "of {step}");
    }
}

/// Without a request id in the step the library makes one.
#[tokio::test]
async fn start_with_the_librarys_request_id() {
    let got = results(json!([{"op": "start", "command": ["x"]}])).await.unwrap();
    assert_eq!(got[0]["ok"]["job"]["principal"].as_str().map(str::len), Some(ID.len()));
}

/// A scenario that makes no sense fails as a whole.
#[tokio::test]
async fn senseless_scenarios() {
    for step in [
        json!({"op": "no such"}),
        json!({"op": "get", "job": "$0"}),
        json!({"op": "list", "page_token": "$page0"}),
        json!({"op": "get", "job": 7}),
        json!({"op": "get", "jobs": "x"}),
    ] {
        assert!(results(json!([step])).await.unwrap_err().starts_with("step 0: "), "{step}");
    }
}
