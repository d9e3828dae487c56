use jobworker::{Error, Follow, Frame, Read};
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};

use crate::facts;

/// What gives frames.
pub(crate) enum Frames {
    /// One call.
    Of(Box<Read>),
    /// The library's own follow.
    Following(Box<Follow>),
}

impl Frames {
    async fn next(&mut self) -> Result<Option<Frame>, Error> {
        match self {
            Frames::Of(read) => read.next().await,
            Frames::Following(follow) => follow.next().await,
        }
    }
}

/// What a read has come to so far.
struct Reading {
    sum: Context,
    bytes: u64,
    first: Option<i64>,
    /// Where the next frame has to begin; none until the first one says where the reading begins.
    due: Option<i64>,
    ordered: bool,
    gaps: Vec<[i64; 2]>,
    end: Option<(i64, Value)>,
    resumes: u64,
}

impl Reading {
    fn expect(&mut self, from: i64, to: i64) {
        self.ordered &= self.due.is_none_or(|due| due == from);
        self.due = Some(to);
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Data { offset, bytes } => {
                self.expect(offset, offset + bytes.len() as i64);
                self.first.get_or_insert(offset);
                self.bytes += bytes.len() as u64;
                self.sum.update(&bytes);
            }
            Frame::Gap { from, to } => {
                self.expect(from, to);
                self.gaps.push([from, to]);
            }
            Frame::End { offset, job } => {
                self.expect(offset, offset);
                self.end = Some((offset, facts::of(&job)));
            }
            Frame::Resumed { .. } => self.resumes += 1,
        }
    }
}

/// Reads to the end, or until it has as many bytes as it is to be cancelled after.
pub(crate) async fn take(mut frames: Frames, cancel_after: Option<u64>) -> Result<Value, Error> {
    let mut reading = Reading {
        sum: Context::new(&SHA256),
        bytes: 0,
        first: None,
        due: None,
        ordered: true,
        gaps: Vec::new(),
        end: None,
        resumes: 0,
    };
    let mut cancelled = false;
    while !cancelled && let Some(frame) = frames.next().await? {
        reading.take(frame);
        cancelled = cancel_after.is_some_and(|bytes| reading.bytes >= bytes);
    }
    let (end_offset, job) = reading.end.unzip();
    let mut result = json!({
        "bytes": reading.bytes,
        "sha256": hex(reading.sum.finish().as_ref()),
        "first_offset": reading.first,
        "end_offset": end_offset,
        "gaps": reading.gaps,
        "job": job,
        "cancelled": cancelled,
        "ordered": reading.ordered,
    });
    if matches!(frames, Frames::Following(_)) {
        result["resumes"] = json!(reading.resumes);
    }
    Ok(result)
}

/// Writes bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
