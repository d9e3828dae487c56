use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

/// Why a call failed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Error {
    /// The gRPC status code. The proto says of each method which there are, and which may be tried again.
    pub code: Code,
    /// Tells apart what a code alone does not, such as `JOB_NOT_FOUND`. Empty if the error is not the service's own, but
    /// the transport's or the client's.
    pub reason: String,
    /// The field of the request that is wrong, such as `job_id`. Empty if none is.
    pub field: String,
    /// What else the service says for programs.
    pub metadata: BTreeMap<String, String>,
    /// For people.
    pub message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(code: Code, message: String) -> Error {
        Error { code, message, reason: String::new(), field: String::new(), metadata: BTreeMap::new(), source: None }
    }

    pub(crate) fn late() -> Error {
        Error::new(Code::DeadlineExceeded, "the deadline has come".to_owned())
    }

    pub(crate) fn data_loss(message: String) -> Error {
        Error::new(Code::DataLoss, message)
    }

    pub(crate) fn invalid(field: &str, message: &str) -> Error {
        Error { field: field.to_owned(), ..Error::new(Code::InvalidArgument, message.to_owned()) }
    }

    pub(crate) fn no_end() -> Error {
        Error::new(Code::Unavailable, "the daemon ended the output without its end mark".to_owned())
    }

    /// Says that a follow gave up, and of what.
    pub(crate) fn gave_up(message: String, cause: Error) -> Error {
        Error { source: Some(Arc::new(cause)), ..Error::new(Code::Unavailable, message) }
    }

    /// Tells whether a follow may read on: it broke. `CANCELLED`, which the service never says, is also what gRPC makes
    /// of calls that have come, and are not begun, when their server is told to stop; who cancels a call here drops it.
    pub(crate) fn is_break(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::Cancelled)
    }

    /// Tells whether the daemon could not even be connected to.
    pub(crate) fn is_of_connecting(&self) -> bool {
        chain(self).any(|error| error.is::<tonic::ConnectError>())
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        // With a source the status is not the daemon's word: tonic made it of what happened to the connection.
        let (code, message) = match status.source() {
            None => (status.code(), status.message().to_owned()),
            Some(source) if chain(source).any(|error| error.is::<TimeoutExpired>()) => {
                (Code::DeadlineExceeded, status.message().to_owned())
            }
            Some(source) => (Code::Unavailable, told(source)),
        };
        let mut error = Error::new(code, message);
        if let Some(info) = status.get_details_error_info() {
            error.reason = info.reason;
            error.metadata = info.metadata.into_iter().collect();
        }
        if let Some(violation) =
            status.get_details_bad_request().and_then(|request| request.field_violations.into_iter().next())
        {
            error.field = violation.field;
        }
        error.source = Some(Arc::new(status));
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Returns an error and what caused it, the outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns what an error and its causes say, in one line. Some say the same as their cause.
fn told(error: &(dyn StdError + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in chain(error).map(ToString::to_string) {
        if !texts.iter().any(|before| before.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}
