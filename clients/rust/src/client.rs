use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::connect::{self, ConfigError};
use crate::error::Error;
use crate::follow::Follow;
use crate::jobs::Jobs;
use crate::read::{Read, ReadOptions};
use crate::retry::{self, Policy};
use crate::v1::job_worker_service_client::JobWorkerServiceClient;
use crate::v1::{DeleteJobRequest, GetJobRequest, Job, ListJobsRequest, LogStream, StartJobRequest, StopJobRequest};

/// Enough for a page of jobs with the longest commands that Linux allows.
const MAX_PAGE: usize = 256 << 20;

pub(crate) type Stub = JobWorkerServiceClient<Channel>;

/// Which daemon to call, and as whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// The daemon's `host:port`, such as `localhost:8080` or `[::1]:8080`.
    pub address: String,
    /// The PEM file with the certificate of the daemon's authority.
    pub ca: PathBuf,
    /// The PEM files with the client's own certificate and with its key. A client without is refused by every daemon; it
    /// is good for trying just that.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// How long [`Client::follow`] bears to be without progress.
    pub patience: Duration,
}

impl Config {
    /// Returns a config with a minute's patience.
    pub fn new(
        address: impl Into<String>,
        ca: impl AsRef<Path>,
        cert: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Config {
        Config {
            address: address.into(),
            ca: ca.as_ref().into(),
            identity: Some((cert.as_ref().into(), key.as_ref().into())),
            patience: Duration::from_secs(60),
        }
    }
}

/// A connection to a daemon. Its clones share the connection and may be used from many tasks at once; it ends with the
/// last of them.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    patience: Duration,
    deadline: Option<Instant>,
}

impl Client {
    /// Returns a client, which connects with its first call and again whenever the connection was lost. The certificate
    /// files are read now and not again.
    ///
    /// # Errors
    /// It is the caller's: a file or the address is wrong.
    pub async fn connect(config: &Config) -> Result<Client, ConfigError> {
        let channel = connect::channel(config)?;
        Ok(Client { channel, patience: config.patience, deadline: None })
    }

    /// Returns a client on the same connection whose calls end with `DEADLINE_EXCEEDED` when it is as late as this. Their
    /// jobs go on.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Client {
        Client { deadline: Some(deadline), ..self.clone() }
    }

    /// Returns the connection itself, for stubs of other services, such as gRPC's health and reflection. `Error::from`
    /// makes their errors ours.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Starts a command as a new job and returns it once its first process runs. The first element is the program; no
    /// shell takes part. The request carries a request id of its own and is repeated by itself if the connection breaks:
    /// there is one job all the same.
    ///
    /// # Errors
    /// The command's: `INVALID_ARGUMENT`; a limit's: `RESOURCE_EXHAUSTED`; and those that every call has.
    pub async fn start<I>(&self, command: I) -> Result<Job, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.start_with_id(command, &Uuid::new_v4().to_string()).await
    }

    /// Is [`Client::start`] with a request id from the caller, a UUID: whoever keeps it can ask again, even after a
    /// crash, and gets the job that the first request started. With an empty id every request starts a job, and it is
    /// made once.
    ///
    /// # Errors
    /// As of [`Client::start`], and `INVALID_ARGUMENT` of an id that is no UUID or was used for another command.
    pub async fn start_with_id<I>(&self, command: I, request_id: &str) -> Result<Job, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut policy = retry::policy("StartJob");
        if request_id.is_empty() {
            policy.retry = None;
        }
        let command = command.into_iter().map(Into::into).collect();
        let request = StartJobRequest { command, request_id: request_id.to_owned() };
        let send = |mut stub: Stub, request| async move { stub.start_job(request).await };
        job(self.unary(&policy, request, send).await?.job)
    }

    /// Ends all processes of a job and returns it once they are gone. With a grace period its process group gets SIGTERM
    /// first, and what is left after it is killed; with zero it is killed at once. A job that has ended already is
    /// returned as it is.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such job, `INVALID_ARGUMENT` if the id or the grace period can't be.
    pub async fn stop(&self, job_id: &str, grace: Duration) -> Result<Job, Error> {
        let grace_period = if grace.is_zero() {
            None
        } else {
            Some(grace.try_into().map_err(|_| Error::invalid("grace_period", "the grace period is too long"))?)
        };
        let request = StopJobRequest { job_id: job_id.to_owned(), grace_period };
        let send = |mut stub: Stub, request| async move { stub.stop_job(request).await };
        job(self.unary(&retry::policy("StopJob"), request, send).await?.job)
    }

    /// Returns a job as it is now.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such job, `INVALID_ARGUMENT` if the id can't be.
    pub async fn get(&self, job_id: &str) -> Result<Job, Error> {
        let request = GetJobRequest { job_id: job_id.to_owned() };
        let send = |mut stub: Stub, request| async move { stub.get_job(request).await };
        job(self.unary(&retry::policy("GetJob"), request, send).await?.job)
    }

    /// Deletes a job that has ended, and its output, and returns it as it was. It is not repeated by itself, since after a
    /// request that got through the next one finds no such job.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` if the job runs, and as of [`Client::get`].
    pub async fn delete(&self, job_id: &str) -> Result<Job, Error> {
        let request = DeleteJobRequest { job_id: job_id.to_owned() };
        let send = |mut stub: Stub, request| async move { stub.delete_job(request).await };
        job(self.unary(&retry::policy("DeleteJob"), request, send).await?.job)
    }

    /// Returns one page of jobs, newest first, and the token of the next page, which is empty after the last one. A page
    /// size of zero leaves it to the daemon; the first page's token is empty.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the size or the token can't be.
    pub async fn list(&self, page_size: i32, page_token: &str) -> Result<(Vec<Job>, String), Error> {
        let request = ListJobsRequest { page_size, page_token: page_token.to_owned() };
        let send = |mut stub: Stub, request| async move { stub.list_jobs(request).await };
        let response = self.unary(&retry::policy("ListJobs"), request, send).await?;
        Ok((response.jobs, response.next_page_token))
    }

    /// Walks all jobs, newest first, and gets them in pages as the walk goes on.
    pub fn all(&self, page_size: i32) -> Jobs {
        Jobs::new(self.clone(), page_size)
    }

    /// Reads an output stream of a job with one call, which may break: [`Client::follow`] is what goes on by itself.
    pub fn read(&self, job_id: &str, stream: LogStream, options: ReadOptions) -> Read {
        Read::new(self, options.request(job_id, stream))
    }

    /// Reads an output stream of a job from an offset until the stream is final. If the connection breaks, or the daemon
    /// is started anew, it reads on at its offset by itself, and says so with [`Frame::Resumed`](crate::Frame); after a
    /// minute without progress, or what [`Config::patience`] says, it gives up.
    pub fn follow(&self, job_id: &str, stream: LogStream, offset: i64) -> Follow {
        Follow::new(self.clone(), job_id, stream, offset)
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn stub(&self) -> Stub {
        Stub::new(self.channel()).max_decoding_message_size(MAX_PAGE)
    }

    /// Makes a call, and again what the service config lets be repeated.
    async fn unary<Q, A, F, S>(&self, policy: &Policy, request: Q, send: S) -> Result<A, Error>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
        S: Fn(Stub, Request<Q>) -> F,
    {
        let allowed = policy.timeout.map(|timeout| Instant::now() + timeout);
        let deadline = [self.deadline, allowed].into_iter().flatten().min();
        within(deadline, async {
            let mut failures = 0;
            loop {
                let error = match send(self.stub(), timed(request.clone(), deadline)).await {
                    Ok(response) => return Ok(response.into_inner()),
                    Err(status) => Error::from(status),
                };
                failures += 1;
                match policy.pause(failures, error.code, fastrand::f64()) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                }
            }
        })
        .await
    }
}

/// Tells the daemon how long the caller is going to wait.
pub(crate) fn timed<Q>(request: Q, deadline: Option<Instant>) -> Request<Q> {
    let mut request = Request::new(request);
    if let Some(deadline) = deadline {
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    }
    request
}

/// Waits no longer than to a deadline. What fails when it has come fails of it.
pub(crate) async fn within<A>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<A, Error>>,
) -> Result<A, Error> {
    let Some(deadline) = deadline else {
        return work.await;
    };
    match tokio::time::timeout_at(deadline, work).await {
        Ok(Err(_)) if Instant::now() >= deadline => Err(Error::late()),
        Ok(result) => result,
        Err(_) => Err(Error::late()),
    }
}

fn job(job: Option<Job>) -> Result<Job, Error> {
    job.ok_or_else(|| Error::data_loss("the daemon's answer has no job; please report this".to_owned()))
}
