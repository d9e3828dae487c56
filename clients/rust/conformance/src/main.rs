//! The driver of clients/conformance for this language: it takes the steps of a scenario from stdin, does them over one
//! client, and writes their results to stdout, both as JSON.

mod facts;
mod ops;
mod reading;
mod step;

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jobworker::{Client, Config, Error};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use step::Step;

/// What comes in.
#[derive(Deserialize)]
struct Scenario {
    address: String,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    steps: Vec<Map<String, Value>>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut result = Ok(());
    match io::read_to_string(io::stdin()) {
        Err(error) => result = Err(error.into()),
        Ok(input) => match run(&input).await {
            Err(error) => result = Err(error),
            Ok(output) => println!("{output}"),
        },
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does a whole scenario. An error is a fault of the scenario or of the driver, never what a step came to.
async fn run(input: &str) -> Result<Value, Box<dyn StdError>> {
    let scenario: Scenario = serde_json::from_str(input)?;
    let mut config = Config::new(scenario.address, scenario.ca, &scenario.cert, &scenario.key);
    if scenario.cert.as_os_str().is_empty() && scenario.key.as_os_str().is_empty() {
        config.identity = None;
    }
    let client = Client::connect(&config).await?;
    let mut results = Vec::new();
    for (number, fields) in scenario.steps.into_iter().enumerate() {
        let result = step(&client, fields, &results).await.map_err(|error| format!("step {number}: {error}"))?;
        results.push(result);
    }
    Ok(json!({ "results": results }))
}

/// Does one step, which may name what came of the earlier ones.
async fn step(client: &Client, fields: Map<String, Value>, earlier: &[Value]) -> Result<Value, Box<dyn StdError>> {
    let step = Step::parse(fields, earlier)?;
    let deadline = step.deadline_ms.map(|milliseconds| Instant::now() + Duration::from_millis(milliseconds));
    let client = deadline.map_or_else(|| client.clone(), |deadline| client.with_deadline(deadline));
    Ok(match ops::perform(&client, deadline, &step).await? {
        Ok(ok) => json!({ "ok": ok }),
        Err(error) => json!({ "error": failure(&error) }),
    })
}

fn failure(error: &Error) -> Value {
    json!({
        "code": code_name(error),
        "reason": error.reason,
        "field": error.field,
        "metadata": error.metadata,
    })
}

/// Returns gRPC's own name of the code. tonic calls `INVALID_ARGUMENT` `InvalidArgument`.
fn code_name(error: &Error) -> String {
    let mut name = String::new();
    for letter in format!("{:?}", error.code).chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
