//! What the endpoint does with one request: an answer in steps, or a fault instead of one.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{coding::Coding, message::error_body};

/// What the endpoint does with one request.
#[derive(Debug)]
pub enum Play {
    /// Answers.
    Answer(Answer),
    /// Accepts the request and never says a word, until the client goes away.
    Hang,
    /// Resets the connection (RST) without a word.
    Reset,
}

/// A reply: a head at once, then its content.
#[derive(Debug)]
pub struct Answer {
    /// The status line's code.
    pub status: StatusCode,
    /// Headers as sent; `date` and framing headers are added.
    pub headers: HeaderMap,
    /// What follows.
    pub content: Content,
}

/// The body of an [`Answer`].
pub enum Content {
    /// One piece with a `content-length`.
    Whole(Bytes),
    /// Pieces one after the other, chunked; may be endless.
    Steps(Box<dyn Iterator<Item = Step> + Send>),
}

/// One step of a streamed reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes as one chunk.
    Send(Bytes),
    /// Does nothing for a while.
    Wait(Duration),
    /// Does nothing until the client goes away.
    Hang,
    /// Resets the connection (RST).
    Reset,
    /// Closes the connection in mid-message (FIN without the last chunk).
    Close,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Steps(_) => f.write_str("Steps(..)"),
        }
    }
}

impl Play {
    /// A whole `application/json` reply.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Answer(Answer::new(status, "application/json", Content::Whole(body.into())))
    }

    /// A `text/event-stream` reply.
    pub fn stream<I>(steps: I) -> Self
    where
        I: IntoIterator<Item = Step>,
        I::IntoIter: Send + 'static,
    {
        let steps = Content::Steps(Box::new(steps.into_iter()));
        Self::Answer(Answer::new(StatusCode::OK, "text/event-stream; charset=utf-8", steps))
    }

    /// An error in the API's own form, its `type` derived from `status`.
    pub fn error(status: StatusCode, message: &str) -> Self {
        Self::json(status, error_body(status, message))
    }

    /// This play with one more header, if it is an answer.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let (Self::Answer(answer), Ok(value)) = (&mut self, HeaderValue::from_str(value)) {
            answer.headers.insert(name, value);
        }
        self
    }

    /// This play with its content encoded, if it is an answer; each step can be decoded as
    /// soon as it arrives.
    #[must_use]
    pub fn encoded(self, coding: Coding) -> Self {
        let Self::Answer(mut answer) = self else { return self };
        answer.headers.insert(header::CONTENT_ENCODING, coding.header_value());
        answer.content = coding.encode(answer.content);
        Self::Answer(answer)
    }
}

impl Answer {
    /// A reply of one content type.
    pub fn new(status: StatusCode, content_type: &'static str, content: Content) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, content }
    }
}
