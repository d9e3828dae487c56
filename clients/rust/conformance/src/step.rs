use std::error::Error;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One step of a scenario; an op takes from it what it needs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) op: String,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) command: Vec<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) job: String,
    pub(crate) grace_ms: i64,
    pub(crate) page_size: i32,
    pub(crate) page_token: String,
    pub(crate) stream: String,
    pub(crate) offset: i64,
    pub(crate) follow: bool,
    pub(crate) tail_lines: Option<i64>,
    pub(crate) limit: i64,
    pub(crate) cancel_after_bytes: Option<u64>,
    pub(crate) service: String,
}

impl Step {
    /// Puts what came of earlier steps in the place of `$3`, `$3:8` and `$page3`, in fields that are strings.
    pub(crate) fn parse(mut fields: Map<String, Value>, earlier: &[Value]) -> Result<Step, Box<dyn Error>> {
        for value in fields.values_mut() {
            if let Value::String(text) = value {
                *text = resolve(text, earlier)?;
            }
        }
        Ok(serde_json::from_value(Value::Object(fields))?)
    }
}

fn resolve(text: &str, earlier: &[Value]) -> Result<String, String> {
    let Some(reference) = text.strip_prefix('$') else {
        return Ok(text.to_owned());
    };
    let (number, pointer) = match reference.strip_prefix("page") {
        Some(number) => (number, "/ok/next_page_token"),
        None => (reference, "/ok/job/id"),
    };
    let (number, length) = number.split_once(':').unwrap_or((number, "36"));
    let (Ok(number), Ok(length)) = (number.parse::<usize>(), length.parse::<usize>()) else {
        return Ok(text.to_owned());
    };
    let found = earlier.get(number).and_then(|result| result.pointer(pointer)).and_then(Value::as_str);
    let found = found.ok_or_else(|| format!("{text} names nothing that an earlier step came to"))?;
    Ok(if pointer == "/ok/job/id" { found.chars().take(length).collect() } else { found.to_owned() })
}
