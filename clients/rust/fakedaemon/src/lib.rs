//! Serves the API for tests: real gRPC over real mutual TLS on loopback, with answers that the test gives.

mod certificates;
mod front;
mod service;

use std::error::Error;
use std::path::{Path, PathBuf};

use jobworker::v1::{
    DeleteJobRequest, GetJobRequest, Job, ListJobsRequest, ListJobsResponse, ReadLogsRequest, ReadLogsResponse,
    StartJobRequest, StopJobRequest,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Server;

use front::Front;
use service::Service;
use stubs::job_worker_service_server::JobWorkerServiceServer;

#[allow(clippy::all, missing_docs, rustdoc::all)]
mod stubs {
    tonic::include_proto!("jobworker.v1");
}

/// Answers a method.
pub type Answer<Q, A> = Option<Box<dyn Fn(Q) -> Result<A, Status> + Send + Sync>>;

/// One thing of what the daemon does with a ReadLogs. After the last the call ends well.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sends a frame.
    Send(Box<ReadLogsResponse>),
    /// Ends the call with an error.
    Fail(Status),
    /// Waits until the client ends the call, and says so by [`Served::left`].
    Wait,
}

/// What a daemon answers with; a method whose function is none is `UNIMPLEMENTED`.
#[derive(Default)]
pub struct Daemon {
    /// Answers StartJob.
    pub start: Answer<StartJobRequest, Job>,
    /// Answers StopJob.
    pub stop: Answer<StopJobRequest, Job>,
    /// Answers GetJob.
    pub get: Answer<GetJobRequest, Job>,
    /// Answers DeleteJob.
    pub delete: Answer<DeleteJobRequest, Job>,
    /// Answers ListJobs.
    pub list: Answer<ListJobsRequest, ListJobsResponse>,
    /// Answers ReadLogs.
    pub read: Answer<ReadLogsRequest, Vec<Act>>,
}

/// A daemon that serves until it is dropped.
#[derive(Debug)]
pub struct Served {
    folder: TempDir,
    front: Front,
    server: JoinHandle<()>,
    left: mpsc::UnboundedReceiver<()>,
}

impl Daemon {
    /// Starts serving on a free port.
    ///
    /// # Errors
    /// There is no port, or no room for the certificates.
    pub async fn serve(self) -> Result<Served, Box<dyn Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let tls = certificates::make(folder.path())?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let behind = listener.local_addr()?;
        let (sender, left) = mpsc::unbounded_channel();
        let service = JobWorkerServiceServer::new(Service::new(self, sender));
        let server = tokio::spawn(async move {
            let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
            serving.await.expect("nothing stops the server but its end");
        });
        Ok(Served { folder, front: Front::open(tls, behind).await?, server, left })
    }
}

impl Served {
    /// Returns its `host:port`.
    pub fn address(&self) -> String {
        self.front.address().to_string()
    }

    /// Returns the PEM file with the certificate of its authority.
    pub fn ca(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// Returns the PEM file with a client's certificate.
    pub fn cert(&self) -> PathBuf {
        self.folder().join("cert.pem")
    }

    /// Returns the PEM file with the key of the client's certificate.
    pub fn key(&self) -> PathBuf {
        self.folder().join("key.pem")
    }

    /// Returns a folder that is deleted with the daemon.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Breaks all connections there are, without a word.
    pub fn cut(&self) {
        self.front.cut();
    }

    /// Waits for the next end of a call that was told to wait.
    pub async fn left(&mut self) {
        self.left.recv().await.expect("the service is there");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}
