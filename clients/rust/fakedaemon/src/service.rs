use jobworker::v1::{
    DeleteJobRequest, DeleteJobResponse, GetJobRequest, GetJobResponse, ListJobsRequest, ListJobsResponse,
    ReadLogsRequest, ReadLogsResponse, StartJobRequest, StartJobResponse, StopJobRequest, StopJobResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::stubs::job_worker_service_server::JobWorkerService;
use crate::{Act, Answer, Daemon};

pub(crate) struct Service {
    daemon: Daemon,
    left: mpsc::UnboundedSender<()>,
}

impl Service {
    pub(crate) fn new(daemon: Daemon, left: mpsc::UnboundedSender<()>) -> Service {
        Service { daemon, left }
    }
}

fn answer<Q, A>(function: &Answer<Q, A>, request: Request<Q>) -> Result<A, Status> {
    match function {
        Some(function) => function(request.into_inner()),
        None => Err(Status::unimplemented("the test expects no such call")),
    }
}

#[async_trait]
impl JobWorkerService for Service {
    async fn start_job(&self, request: Request<StartJobRequest>) -> Result<Response<StartJobResponse>, Status> {
        Ok(Response::new(StartJobResponse { job: Some(answer(&self.daemon.start, request)?) }))
    }

    async fn stop_job(&self, request: Request<StopJobRequest>) -> Result<Response<StopJobResponse>, Status> {
        Ok(Response::new(StopJobResponse { job: Some(answer(&self.daemon.stop, request)?) }))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<GetJobResponse>, Status> {
        Ok(Response::new(GetJobResponse { job: Some(answer(&self.daemon.get, request)?) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        Ok(Response::new(answer(&self.daemon.list, request)?))
    }

    async fn delete_job(&self, request: Request<DeleteJobRequest>) -> Result<Response<DeleteJobResponse>, Status> {
        Ok(Response::new(DeleteJobResponse { job: Some(answer(&self.daemon.delete, request)?) }))
    }

    type ReadLogsStream = ReceiverStream<Result<ReadLogsResponse, Status>>;

    async fn read_logs(&self, request: Request<ReadLogsRequest>) -> Result<Response<Self::ReadLogsStream>, Status> {
        let acts = answer(&self.daemon.read, request)?;
        let (sender, frames) = mpsc::channel(1);
        let left = self.left.clone();
        tokio::spawn(async move {
            for act in acts {
                // If nobody takes it any more, the call is over.
                let sent = match act {
                    Act::Send(frame) => sender.send(Ok(*frame)).await,
                    Act::Fail(status) => sender.send(Err(status)).await,
                    Act::Wait => {
                        sender.closed().await;
                        let _ = left.send(());
                        return;
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}
