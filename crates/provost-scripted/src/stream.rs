//! A [`Content`] as the body hyper polls.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::{
    endpoint::Live,
    play::{Content, Step},
    socket::ResetFlag,
};

/// The reply is to end in the middle: tells hyper to drop the connection.
#[derive(Debug, thiserror::Error)]
#[error("the script cuts the reply here")]
pub(crate) struct Cut;

pub(crate) struct Stream {
    content: Option<Content>,
    waiting: Waiting,
    reset: ResetFlag,
    /// Counts this reply as live until the last frame is handed over.
    _live: Live,
}

enum Waiting {
    No,
    Until(Pin<Box<Sleep>>),
    ForEver,
    /// Let hyper flush what it holds, then cut.
    ToCut,
}

impl Stream {
    pub(crate) fn new(content: Content, reset: ResetFlag, live: Live) -> Self {
        Self { content: Some(content), waiting: Waiting::No, reset, _live: live }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            match &mut self.waiting {
                Waiting::No => {}
                Waiting::Until(sleep) => ready!(sleep.as_mut().poll(context)),
                Waiting::ForEver => return Poll::Pending,
                Waiting::ToCut => return Poll::Ready(Some(Err(Cut))),
            }
            self.waiting = Waiting::No;
            let step = match self.content.take() {
                None => return Poll::Ready(None),
                Some(Content::Whole(bytes)) => {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Content::Steps(mut steps)) => {
                    let step = steps.next();
                    self.content = Some(Content::Steps(steps));
                    step
                }
            };
            self.waiting = match step {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(time)) => Waiting::Until(Box::pin(tokio::time::sleep(time))),
                Some(Step::Hang) => Waiting::ForEver,
                Some(Step::Close) => Waiting::ToCut,
                Some(Step::Reset) => {
                    self.reset.raise();
                    Waiting::ToCut
                }
            };
            if matches!(self.waiting, Waiting::ToCut) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            None => SizeHint::with_exact(0),
            Some(Content::Whole(bytes)) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Some(Content::Steps(_)) => SizeHint::default(),
        }
    }
}
