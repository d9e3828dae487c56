//! Drives a worker-daemon: starts commands as jobs on the daemon's host, stops them, tells their state, and reads their
//! output to the byte, also across broken connections. Wherever a job is named, an unambiguous beginning of its id is
//! enough.
//!
//! Whatever waits can be dropped, as in [`tokio::time::timeout`]: that ends the call and never harms the job. Only
//! [`Client::stop`] does.

mod client;
mod connect;
mod error;
mod follow;
mod jobs;
mod outage;
mod read;
mod retry;

pub use client::{Client, Config};
pub use connect::ConfigError;
pub use error::Error;
pub use follow::Follow;
pub use jobs::Jobs;
pub use read::{Frame, Read, ReadOptions};
pub use tonic::Code;
pub use v1::{Job, JobState, LogStream as Stream};

/// The stubs, which are made from the repository's proto folder, never committed.
#[allow(clippy::all, missing_docs, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("jobworker.v1");
}
