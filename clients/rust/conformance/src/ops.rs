use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use jobworker::v1::StopJobRequest;
use jobworker::v1::job_worker_service_client::JobWorkerServiceClient;
use jobworker::{Client, Error, Job, ReadOptions, Stream};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::facts;
use crate::reading::{self, Frames, hex};
use crate::step::Step;

/// Does what a step asks for. The outer error is an op that there is not.
pub(crate) async fn perform(
    client: &Client,
    deadline: Option<Instant>,
    step: &Step,
) -> Result<Result<Value, Error>, String> {
    Ok(match step.op.as_str() {
        "start" => start(client, step).await,
        "stop" => stop(client, step).await,
        "get" => job(client.get(&step.job).await),
        "delete" => job(client.delete(&step.job).await),
        "list" => list(client, step).await,
        "list_all" => list_all(client, step).await,
        "read" => read(client, step).await,
        "follow" => {
            let follow = client.follow(&step.job, stream(step), step.offset);
            reading::take(Frames::Following(Box::new(follow)), step.cancel_after_bytes).await
        }
        "health" => limited(deadline, health(client, step)).await,
        "reflection" => limited(deadline, reflection(client)).await,
        op => return Err(format!("there is no op {op:?}")),
    })
}

async fn start(client: &Client, step: &Step) -> Result<Value, Error> {
    match &step.request_id {
        None => job(client.start(&step.command).await),
        Some(id) => job(client.start_with_id(&step.command, id).await),
    }
}

async fn stop(client: &Client, step: &Step) -> Result<Value, Error> {
    if let Ok(grace) = u64::try_from(step.grace_ms) {
        return job(client.stop(&step.job, Duration::from_millis(grace)).await);
    }
    // The library's grace period can't be negative, and the daemon is to be asked all the same.
    let grace =
        prost_types::Duration { seconds: step.grace_ms / 1000, nanos: (step.grace_ms % 1000) as i32 * 1_000_000 };
    let request = StopJobRequest { job_id: step.job.clone(), grace_period: Some(grace) };
    let response = JobWorkerServiceClient::new(client.channel()).stop_job(request).await?;
    job(response.into_inner().job.ok_or_else(|| Status::internal("no job").into()))
}

fn job(result: Result<Job, Error>) -> Result<Value, Error> {
    result.map(|job| json!({ "job": facts::of(&job) }))
}

async fn list(client: &Client, step: &Step) -> Result<Value, Error> {
    let (jobs, next) = client.list(step.page_size, &step.page_token).await?;
    let ids: Vec<_> = jobs.into_iter().map(|job| job.id).collect();
    Ok(json!({ "count": ids.len(), "ids": ids, "next_page_token": next }))
}

async fn list_all(client: &Client, step: &Step) -> Result<Value, Error> {
    let mut jobs = client.all(step.page_size);
    let mut ids = Vec::new();
    while let Some(job) = jobs.next().await? {
        ids.push(job.id);
    }
    let sum = digest(&SHA256, ids.join("\n").as_bytes());
    let unique: HashSet<_> = ids.iter().collect();
    Ok(json!({ "count": ids.len(), "unique": unique.len(), "ids_sha256": hex(sum.as_ref()) }))
}

async fn read(client: &Client, step: &Step) -> Result<Value, Error> {
    let options =
        ReadOptions { offset: step.offset, follow: step.follow, tail_lines: step.tail_lines, limit: step.limit };
    let read = client.read(&step.job, stream(step), options);
    reading::take(Frames::Of(Box::new(read)), step.cancel_after_bytes).await
}

/// Leaves it to the daemon to refuse what is no stream.
fn stream(step: &Step) -> Stream {
    match step.stream.as_str() {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => Stream::Unspecified,
    }
}

async fn health(client: &Client, step: &Step) -> Result<Value, Status> {
    let request = HealthCheckRequest { service: step.service.clone() };
    let response = HealthClient::new(client.channel()).check(request).await?;
    Ok(json!({ "status": response.into_inner().status().as_str_name() }))
}

async fn reflection(client: &Client) -> Result<Value, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut stub = ServerReflectionClient::new(client.channel());
    let mut answers = stub.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        return Err(Status::internal("the daemon gave no list of services"));
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    Ok(json!({ "services": names }))
}

/// Limits what is not the library's own.
async fn limited(deadline: Option<Instant>, work: impl Future<Output = Result<Value, Status>>) -> Result<Value, Error> {
    let result = match deadline {
        None => work.await,
        Some(deadline) => timeout_at(deadline, work)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "the deadline has come"))),
    };
    result.map_err(Error::from)
}
