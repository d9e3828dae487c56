use tokio::time::Instant;

use crate::client::{Client, within};
use crate::error::Error;
use crate::outage::Outage;
use crate::read::{Frame, Read, ReadOptions};
use crate::v1::LogStream;

/// A read that goes on over as many calls as it takes, from [`Client::follow`]. To drop it ends the call.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    job_id: String,
    stream: LogStream,
    /// Of the byte that is due next.
    offset: i64,
    outage: Outage,
    state: State,
    /// What broke the last call, until the next one gives something.
    broken: Option<Error>,
}

#[derive(Debug)]
enum State {
    /// The job's whole id is not known yet.
    New,
    /// The next call may be made then.
    Pausing(Instant),
    Reading(Read, Instant),
    /// A frame has come, and before it the caller was told of the resumption.
    Holding(Read, Instant, Frame),
    Over,
}

impl Follow {
    pub(crate) fn new(client: Client, job_id: &str, stream: LogStream, offset: i64) -> Follow {
        let outage = Outage::new(client.patience());
        Follow { client, job_id: job_id.to_owned(), stream, offset, outage, state: State::New, broken: None }
    }

    /// Returns the next frame, or `None` after [`Frame::End`] or an error. What was dropped while it waited is not lost:
    /// the next one goes on waiting.
    ///
    /// # Errors
    /// The daemon's, as the proto says them of GetJob and ReadLogs; `UNAVAILABLE` if patience is over, with what broke
    /// the last call as its source; `DATA_LOSS` if the daemon sent bytes that are not due, which are never passed on.
    pub async fn next(&mut self) -> Result<Option<Frame>, Error> {
        let result = self.advance().await;
        if !matches!(result, Ok(Some(Frame::Data { .. } | Frame::Gap { .. } | Frame::Resumed { .. }))) {
            self.state = State::Over;
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            match &mut self.state {
                State::Over => return Ok(None),
                State::New => {
                    // The beginning of an id may fit another job by the time a broken read is resumed; the whole id
                    // never does.
                    self.job_id = self.client.get(&self.job_id).await?.id;
                    self.state = State::Reading(self.open(), Instant::now());
                }
                State::Pausing(until) => {
                    let until = *until;
                    let pause = async {
                        tokio::time::sleep_until(until).await;
                        Ok(())
                    };
                    within(self.client.deadline(), pause).await?;
                    self.state = State::Reading(self.open(), Instant::now());
                }
                State::Reading(read, began) => {
                    let began = *began;
                    match read.next().await {
                        Ok(Some(frame)) => {
                            self.check(&frame)?;
                            return Ok(Some(self.give(frame)));
                        }
                        Ok(None) => return Ok(None),
                        Err(error) => self.pause(error, began)?,
                    }
                }
                State::Holding(..) => {
                    if let State::Holding(read, began, frame) = std::mem::replace(&mut self.state, State::Over) {
                        self.state = State::Reading(read, began);
                        return Ok(Some(self.give(frame)));
                    }
                }
            }
        }
    }

    fn open(&self) -> Read {
        let options = ReadOptions { offset: self.offset, follow: true, ..ReadOptions::default() };
        self.client.read(&self.job_id, self.stream, options)
    }

    /// Lets no frame pass but the one that is due: nothing is skipped or repeated.
    fn check(&self, frame: &Frame) -> Result<(), Error> {
        let (from, to) = span(frame);
        if from == self.offset && to >= from {
            return Ok(());
        }
        let due = self.offset;
        Err(Error::data_loss(format!(
            "the daemon sent bytes {from} to {to} where byte {due} was due; please report this"
        )))
    }

    /// Passes a frame on, or first the word of a resumption.
    fn give(&mut self, frame: Frame) -> Frame {
        self.outage.over();
        if let Some(cause) = self.broken.take() {
            if let State::Reading(read, began) = std::mem::replace(&mut self.state, State::Over) {
                self.state = State::Holding(read, began, frame);
            }
            return Frame::Resumed { offset: self.offset, cause };
        }
        self.offset = span(&frame).1;
        frame
    }

    /// Takes note of a break, and of when to read on. It returns an error if it is none, or if patience is over.
    fn pause(&mut self, error: Error, began: Instant) -> Result<(), Error> {
        if !error.is_break() {
            return Err(error);
        }
        let now = Instant::now();
        if !error.is_of_connecting() {
            self.outage.stood(now - began);
        }
        match self.outage.pause(now, fastrand::f64()) {
            Some(pause) => {
                self.broken = Some(error);
                self.state = State::Pausing(now + pause);
                Ok(())
            }
            None => {
                let (offset, patience) = (self.offset, self.client.patience());
                let message = format!("gave up at byte {offset} after {patience:?} without progress: {error}");
                Err(Error::gave_up(message, error))
            }
        }
    }
}

/// Returns where a frame begins and where the next one has to.
fn span(frame: &Frame) -> (i64, i64) {
    match frame {
        Frame::Data { offset, bytes } => {
            (*offset, offset.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX)))
        }
        Frame::Gap { from, to } => (*from, *to),
        Frame::End { offset, .. } | Frame::Resumed { offset, .. } => (*offset, *offset),
    }
}
