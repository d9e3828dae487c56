use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;
use tonic::Code;

/// The published one: which calls are repeated by themselves, and how. tonic has nothing that reads it.
const SERVICE_CONFIG: &str = include_str!("../../../proto/jobworker/v1/service_config.json");

/// No client makes more attempts than so many, whatever the service config says: gRPC has it so.
const MOST_ATTEMPTS: u32 = 5;

static METHODS: LazyLock<Vec<(String, Policy)>> =
    LazyLock::new(|| methods(SERVICE_CONFIG).expect("the published service config is what a test takes it for"));

/// What the service config says of a method.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Policy {
    /// How long a call may take with all its attempts.
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Retry {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    backoff_multiplier: f64,
    codes: Vec<Code>,
}

impl Policy {
    /// Returns how long to wait after so many failures, the last of them with a code, or `None` if that was the last
    /// attempt. Chance is a random number from 0 to 1; by gRPC's rule a fifth more or less is left to it.
    pub(crate) fn pause(&self, failures: u32, code: Code, chance: f64) -> Option<Duration> {
        let retry = self.retry.as_ref()?;
        if failures >= retry.max_attempts.min(MOST_ATTEMPTS) || !retry.codes.contains(&code) {
            return None;
        }
        let grown = retry.initial_backoff.as_secs_f64() * retry.backoff_multiplier.powf(f64::from(failures) - 1.0);
        let backoff = grown.min(retry.max_backoff.as_secs_f64());
        Some(Duration::from_secs_f64(backoff * (0.8 + 0.4 * chance)))
    }
}

/// Returns what the service config says of a method of the service; of one that it does not name, nothing.
pub(crate) fn policy(method: &str) -> Policy {
    METHODS.iter().find(|(name, _)| name == method).map(|(_, policy)| policy.clone()).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ServiceConfig {
    method_config: Vec<MethodConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MethodConfig {
    name: Vec<Name>,
    timeout: Option<String>,
    retry_policy: Option<RetryPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    service: String,
    method: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: String,
    max_backoff: String,
    backoff_multiplier: f64,
    retryable_status_codes: Vec<String>,
}

/// Reads a service config. What it does not know is an error: nothing that is published is passed over in silence.
fn methods(text: &str) -> Result<Vec<(String, Policy)>, String> {
    let config: ServiceConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut methods = Vec::new();
    for entry in config.method_config {
        let timeout = entry.timeout.as_deref().map(seconds).transpose()?;
        let policy = Policy { timeout, retry: entry.retry_policy.map(retry).transpose()? };
        for name in entry.name {
            if name.service != "jobworker.v1.JobWorkerService" {
                return Err(format!("there is no service {}", name.service));
            }
            methods.push((name.method, policy.clone()));
        }
    }
    Ok(methods)
}

fn retry(policy: RetryPolicy) -> Result<Retry, String> {
    Ok(Retry {
        max_attempts: policy.max_attempts,
        initial_backoff: seconds(&policy.initial_backoff)?,
        max_backoff: seconds(&policy.max_backoff)?,
        backoff_multiplier: policy.backoff_multiplier,
        codes: policy.retryable_status_codes.iter().map(|name| code(name)).collect::<Result<_, _>>()?,
    })
}

/// Reads a duration as JSON has it for protobuf, such as `0.1s`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').and_then(|number| number.parse().ok());
    number.and_then(|number| Duration::try_from_secs_f64(number).ok()).ok_or_else(|| format!("{text:?} is no duration"))
}

/// Returns the code with a name such as `INVALID_ARGUMENT`. tonic calls it `InvalidArgument`.
fn code(name: &str) -> Result<Code, String> {
    let plain = name.replace('_', "");
    (0..=16)
        .map(Code::from_i32)
        .find(|code| format!("{code:?}").eq_ignore_ascii_case(&plain))
        .ok_or_else(|| format!("there is no code {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published config can be read, and no call that must not be repeated is.
    #[test]
    fn the_published_config() {
        for method in ["StartJob", "StopJob", "GetJob", "ListJobs"] {
            let retry = policy(method).retry.expect(method);
            assert!(retry.codes.contains(&Code::Unavailable) && retry.max_attempts > 1, "{method}: {retry:?}");
        }
        for method in ["DeleteJob", "ReadLogs"] {
            assert_eq!(policy(method).retry, None, "{method}");
        }
        assert_eq!(policy("ReadLogs").timeout, None);
    }

    /// The pauses grow as the config says, and end with its attempts; other codes than its own have none.
    #[test]
    fn pauses() {
        let text = r#"{"methodConfig": [{"name": [{"service": "jobworker.v1.JobWorkerService", "method": "M"}],
            "timeout": "2.5s", "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "0.3s",
            "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"]}}]}"#;
        let (name, mut policy) = methods(text).unwrap().remove(0);
        assert_eq!((name.as_str(), policy.timeout), ("M", Some(Duration::from_millis(2500))));
        for (failures, milliseconds) in [(1, 100), (2, 200), (3, 300)] {
            let middle = policy.pause(failures, Code::Unavailable, 0.5).unwrap();
            assert_eq!(middle.as_secs_f64(), f64::from(milliseconds) / 1000.0);
        }
        assert_eq!(policy.pause(1, Code::DeadlineExceeded, 0.0).unwrap(), Duration::from_millis(80));
        assert_eq!(policy.pause(4, Code::Unavailable, 0.5), None);
        assert_eq!(policy.pause(1, Code::NotFound, 0.5), None);
        policy.retry.as_mut().unwrap().max_attempts = 1000;
        assert_eq!(policy.pause(5, Code::Unavailable, 0.5), None);
    }

    /// What can't be understood is an error.
    #[test]
    fn configs_that_cannot_be() {
        let entry = |name: &str, rest: &str| format!(r#"{{"methodConfig": [{{"name": [{name}]{rest}}}]}}"#);
        let name = r#"{"service": "jobworker.v1.JobWorkerService", "method": "M"}"#;
        assert!(methods(&entry(name, "")).is_ok());
        for text in [
            "no".to_owned(),
            entry(r#"{"service": "other", "method": "M"}"#, ""),
            entry(name, r#", "timeout": "soon""#),
            entry(name, r#", "timeout": "-1s""#),
            entry(name, r#", "hedgingPolicy": {}"#),
        ] {
            assert!(methods(&text).is_err(), "{text}");
        }
        assert_eq!(code("CANCELLED"), Ok(Code::Cancelled));
        assert!(code("CANCELED").is_err());
    }
}
