use jobworker::Job;
use jobworker::v1::job::Outcome;
use serde_json::{Value, json};

/// Returns a job as the runner wants it.
pub(crate) fn of(job: &Job) -> Value {
    let (mut exit_code, mut signal) = (None, None);
    match job.outcome {
        Some(Outcome::ExitCode(code)) => exit_code = Some(code),
        Some(Outcome::Signal(number)) => signal = Some(number),
        Some(Outcome::Lost(_)) | None => {}
    }
    json!({
        "id": job.id,
        "command": job.command,
        "state": job.state().as_str_name().trim_start_matches("JOB_STATE_"),
        "exit_code": exit_code,
        "signal": signal,
        "stdout_bytes": job.stdout_bytes,
        "stderr_bytes": job.stderr_bytes,
        "owner": job.owner,
        "principal": job.principal,
        "killed_processes": job.termination.as_ref().map(|termination| termination.killed_processes),
        "lost": matches!(job.outcome, Some(Outcome::Lost(_))),
        "started": job.start_time.is_some(),
        "ended": job.end_time.is_some(),
        "stop_requested": job.stop_request_time.is_some(),
    })
}
