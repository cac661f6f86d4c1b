//! The pipeline's frames as the body hyper polls.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Method, Response, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::wire::{Phase, PhaseCell};
use crate::HttpFrame;

/// There is no reply, or no end of it: hyper drops the connection (HTTP/2: the stream).
#[derive(Debug, thiserror::Error)]
#[error("the reply was aborted")]
pub(crate) struct Aborted;

/// A reply's body. While it exists the connection is busy.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    source: Source,
    /// The connection's phase; none for HTTP/2, where requests share a connection.
    phase: Option<PhaseCell>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Frames(Frames),
    Ended,
    /// The client is given what was already taken, then the connection ends.
    Aborting,
}

#[derive(Debug)]
struct Frames {
    queue: mpsc::Receiver<HttpFrame>,
    /// What is left of the `content-length`, if there is one.
    left: Option<usize>,
    /// The last bytes of that length, until it is certain that the reply ends well: hyper
    /// stops asking at the last byte.
    last: Option<Bytes>,
}

/// Waits for the first frame and makes a response of it.
pub(crate) async fn respond(
    method: &Method,
    mut queue: mpsc::Receiver<HttpFrame>,
    phase: Option<PhaseCell>,
) -> Result<Response<ReplyBody>, Aborted> {
    let body = |source| ReplyBody { source, phase: phase.clone() };
    match queue.recv().await {
        Some(HttpFrame::Whole(response)) => {
            Ok(response.map(|whole| body(Source::Whole(whole))))
        }
        Some(HttpFrame::Head(head)) => {
            let left = head.headers.get(CONTENT_LENGTH);
            let left = left.and_then(|length| length.to_str().ok()?.parse().ok());
            if left == Some(0) || is_bodiless(method, head.status) {
                // Hyper asks for no body, and the sender must not take that for a client gone.
                while let Some(HttpFrame::Data(_)) = queue.recv().await {}
                return Ok(Response::from_parts(head, body(Source::Ended)));
            }
            let frames = Frames { queue, left, last: None };
            Ok(Response::from_parts(head, body(Source::Frames(frames))))
        }
        Some(HttpFrame::Data(_) | HttpFrame::End | HttpFrame::Abort) | None => {
            drop(ReplyBody { source: Source::Aborting, phase });
            Err(Aborted)
        }
    }
}

/// Source: RFC 9110 §6.4.1.
fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

enum Piece {
    More(Bytes),
    /// What is left to send of a reply that ended well.
    Last(Option<Bytes>),
}

impl Frames {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Aborted>> {
        loop {
            let frame = ready!(self.queue.poll_recv(context));
            match (frame, self.last.take()) {
                (Some(HttpFrame::End), last) => return Poll::Ready(Ok(Piece::Last(last))),
                (Some(HttpFrame::Data(bytes)), None) => match &mut self.left {
                    Some(left) if bytes.len() >= *left => self.last = Some(bytes),
                    Some(left) => {
                        *left = left.saturating_sub(bytes.len());
                        return Poll::Ready(Ok(Piece::More(bytes)));
                    }
                    None => return Poll::Ready(Ok(Piece::More(bytes))),
                },
                _ => return Poll::Ready(Err(Aborted)),
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let last = match &mut self.source {
            Source::Ended => return Poll::Ready(None),
            Source::Aborting => return Poll::Ready(Some(Err(Aborted))),
            Source::Whole(bytes) => Some(std::mem::take(bytes)),
            Source::Frames(frames) => match ready!(frames.poll_next(context)) {
                Ok(Piece::More(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(Piece::Last(last)) => last,
                Err(Aborted) => {
                    // Hyper flushes what it holds when a body is pending, not when it fails.
                    self.source = Source::Aborting;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            },
        };
        self.source = Source::Ended;
        Poll::Ready(last.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Ended => true,
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Frames(_) | Source::Aborting => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended => SizeHint::with_exact(0),
            Source::Whole(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Source::Frames(_) | Source::Aborting => SizeHint::default(),
        }
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        let Some(phase) = &self.phase else { return };
        if matches!(self.source, Source::Aborting) {
            phase.set(Phase::Broken);
        } else if phase.get() == Phase::Busy {
            phase.set(Phase::Idle);
        }
    }
}
