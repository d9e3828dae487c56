use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;
use tonic::codec::Streaming;
use tonic::{Response, Status};

use crate::client::{Client, timed, within};
use crate::error::Error;
use crate::v1::read_logs_response::Frame as Sent;
use crate::v1::{Job, LogStream, ReadLogsRequest, ReadLogsResponse};

/// A piece of what a read gives.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A piece of the stream, exactly as the job wrote it. How a stream is divided has no meaning.
    Data {
        /// Of the first byte, counted from 0 at the stream's first one.
        offset: i64,
        /// What the job wrote.
        bytes: Vec<u8>,
    },
    /// Stands for bytes that the daemon has released, the oldest first, to keep the stream within its size limit.
    Gap {
        /// The first byte that is gone.
        from: i64,
        /// The first byte after it that is still there.
        to: i64,
    },
    /// The last frame of every read that was complete. None that broke has it.
    End {
        /// Where to read on; of a follow the stream's final size.
        offset: i64,
        /// As it is at the end of the read.
        job: Box<Job>,
    },
    /// Says that a follow had broken and goes on, with nothing lost or repeated.
    Resumed {
        /// Of the byte with which it goes on.
        offset: i64,
        /// What broke it.
        cause: Error,
    },
}

/// What [`Client::read`] reads. The default is all that there is now.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The first byte wanted.
    pub offset: i64,
    /// Whether to wait for more output at the end of what there is now, until the stream is final.
    pub follow: bool,
    /// If set, begins so many lines before the end, in place of at the offset.
    pub tail_lines: Option<i64>,
    /// The most bytes to read; zero is no limit.
    pub limit: i64,
}

impl ReadOptions {
    pub(crate) fn request(self, job_id: &str, stream: LogStream) -> ReadLogsRequest {
        ReadLogsRequest {
            job_id: job_id.to_owned(),
            stream: stream.into(),
            offset: self.offset,
            follow: self.follow,
            tail_lines: self.tail_lines,
            limit: self.limit,
        }
    }
}

type Opening = Pin<Box<dyn Future<Output = Result<Response<Streaming<ReadLogsResponse>>, Status>> + Send>>;

/// One ReadLogs, from [`Client::read`]. To drop it ends the call.
pub struct Read {
    state: State,
    deadline: Option<Instant>,
}

enum State {
    Opening(Opening),
    Open(Streaming<ReadLogsResponse>),
    /// The end has come and only the status has not.
    Ending(Streaming<ReadLogsResponse>, Frame),
    Over,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("over", &matches!(self.state, State::Over)).finish_non_exhaustive()
    }
}

impl Read {
    pub(crate) fn new(client: &Client, request: ReadLogsRequest) -> Read {
        let (mut stub, deadline) = (client.stub(), client.deadline());
        let opening = async move { stub.read_logs(timed(request, deadline)).await };
        Read { state: State::Opening(Box::pin(opening)), deadline }
    }

    /// Returns the next frame, or `None` after [`Frame::End`] or an error. What was dropped while it waited is not lost:
    /// the next one goes on waiting.
    ///
    /// # Errors
    /// The daemon's, as the proto says them of ReadLogs; `UNAVAILABLE` if the call broke.
    pub async fn next(&mut self) -> Result<Option<Frame>, Error> {
        let deadline = self.deadline;
        let result = within(deadline, self.advance()).await;
        if !matches!(result, Ok(Some(Frame::Data { .. } | Frame::Gap { .. }))) {
            self.state = State::Over;
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            match &mut self.state {
                State::Over => return Ok(None),
                State::Opening(opening) => self.state = State::Open(opening.await?.into_inner()),
                State::Open(stream) => {
                    let frame = match stream.message().await? {
                        None => return Err(Error::no_end()),
                        Some(response) => received(response)?,
                    };
                    if !matches!(frame, Frame::End { .. }) {
                        return Ok(Some(frame));
                    }
                    if let State::Open(stream) = std::mem::replace(&mut self.state, State::Over) {
                        self.state = State::Ending(stream, frame);
                    }
                }
                State::Ending(stream, frame) => {
                    // To cancel before the status would make a failure of a good call in the daemon's log. What the
                    // status is has no meaning any more.
                    let _ = stream.message().await;
                    return Ok(Some(frame.clone()));
                }
            }
        }
    }
}

fn received(response: ReadLogsResponse) -> Result<Frame, Error> {
    match response.frame {
        Some(Sent::Data(data)) => Ok(Frame::Data { offset: data.offset, bytes: data.data }),
        Some(Sent::Gap(gap)) => Ok(Frame::Gap { from: gap.from, to: gap.to }),
        Some(Sent::End(end)) => Ok(Frame::End { offset: end.offset, job: Box::new(end.job.unwrap_or_default()) }),
        None => Err(Error::data_loss("the daemon sent a frame that this client does not know".to_owned())),
    }
}
