//! One server's answer to one client, under names that say whose each thing is.

use bytes::{Bytes, BytesMut};
use http::Response;
use provost_gateway::{
    HttpFrame,
    sse::{Event, Events},
};
use provost_pipeline::Reply;

use super::{
    ToAll,
    names::{Of, event_mark},
    renamed::{Routed, outward},
    sessions::Member,
    subs::Sub,
};
use crate::{
    execute::ANSWER_BYTES_MAX,
    header::SESSION,
    wire::{events, jsonrpc},
};

/// Passes what is one server's on to it, and its answer back.
pub(super) async fn pass_one(
    request: &ToAll<'_>,
    (member, routed): (&Member, Routed),
    mut reply: Reply<HttpFrame>,
) {
    let sub = Sub { body: routed.body.into(), named: routed.named, last_event: None };
    let mut frames = request.send(member, sub.clone());
    let mut is_first = true;
    let mut passing = Passing::of(&member.server, Of::Request);
    loop {
        let frame = tokio::select! {
            biased;
            () = reply.gone() => return,
            frame = frames.recv() => frame,
        };
        // A reply that is dropped without its end is aborted, here as there.
        let Some(frame) = frame else { return };
        if let HttpFrame::Whole(response) = &frame
            && std::mem::take(&mut is_first)
            && let Some(member) = request.renewed(member, response).await
        {
            frames = request.send(&member, sub.clone());
            continue;
        }
        let Some(frame) = passing.frame(frame) else { continue };
        if reply.send(frame).await.is_err() {
            return;
        }
    }
}

/// An answer of one server on its way.
#[derive(Debug)]
pub(super) struct Passing<'a> {
    server: &'a str,
    mark: String,
    events: Events,
}

impl<'a> Passing<'a> {
    pub(super) fn of(server: &'a str, of: Of) -> Self {
        let events = Events::new(ANSWER_BYTES_MAX);
        Self { server, mark: event_mark(server, of), events }
    }

    /// A frame as the client is to see it; nothing if it holds no whole event yet.
    pub(super) fn frame(&mut self, frame: HttpFrame) -> Option<HttpFrame> {
        Some(match frame {
            HttpFrame::Whole(response) => HttpFrame::Whole(self.whole(response)),
            HttpFrame::Head(mut parts) => {
                parts.headers.remove(SESSION);
                HttpFrame::Head(parts)
            }
            HttpFrame::Data(bytes) => match self.data(&bytes) {
                Some(bytes) if bytes.is_empty() => return None,
                Some(bytes) => HttpFrame::Data(bytes),
                None => HttpFrame::Abort,
            },
            frame @ (HttpFrame::End | HttpFrame::Abort) => frame,
        })
    }

    /// The events in the next bytes; `None` if one is too long.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Option<Bytes> {
        self.events.push(bytes).ok()?;
        let mut passed = BytesMut::new();
        while let Some(event) = self.events.next() {
            passed.extend_from_slice(&self.event(event));
        }
        Some(passed.freeze())
    }

    fn whole(&self, response: Response<Bytes>) -> Response<Bytes> {
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(SESSION);
        let renamed = if parts.status.is_success() { self.message(&body) } else { None };
        Response::from_parts(parts, renamed.map_or(body, Bytes::from))
    }

    fn event(&self, event: Event) -> Bytes {
        let raw = match event.data.filter(|data| !data.trim_ascii().is_empty()) {
            None => event.raw,
            Some(data) => match self.message(&data) {
                Some(text) if text.as_bytes() == data => event.raw,
                Some(text) => events::with_data(&event.raw, Some(&text)),
                None => {
                    tracing::warn!(server = %self.server, "a message has no name here: dropped");
                    events::with_data(&event.raw, None)
                }
            },
        };
        match event.id {
            Some(id) if !id.is_empty() => events::marked(&raw, &self.mark),
            Some(_) | None => raw,
        }
    }

    fn message(&self, bytes: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        let message = jsonrpc::read_told(bytes).ok()?;
        outward(self.server, (text, &message))
    }
}
