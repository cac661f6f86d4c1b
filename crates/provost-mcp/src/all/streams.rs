//! What servers send of their own accord, as one stream.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE, response};
use provost_gateway::HttpFrame;
use provost_pipeline::Reply;
use tokio::sync::mpsc;

use super::{
    ToAll,
    names::{Of, split_event},
    passing::Passing,
    sessions::Member,
    subs::{Frames, Sub},
};
use crate::wire::head::{bare, of_stream};

/// Most pieces of all streams that wait for a slow client.
const PIECES_MAX: usize = 16;

/// Where a client wants to go on with a stream that broke off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    pub(super) server: String,
    /// Of which stream the event was.
    of: Of,
    /// The server's own id of it.
    event: String,
}

impl Resumed {
    /// Behind the event with this id.
    pub(super) fn at(id: &str) -> Option<Self> {
        let (server, of, event) = split_event(id)?;
        Some(Self { server: server.to_owned(), of, event: event.to_owned() })
    }
}

/// What comes of one server's stream.
#[derive(Debug)]
enum Piece {
    /// It has begun.
    Head(response::Parts),
    /// Whole events.
    Events(Bytes),
}

/// Listens to every server at once, or to the one that a client resumes an answer of.
pub(super) async fn listen(
    request: &ToAll<'_>,
    resumed: Option<Resumed>,
    mut reply: Reply<HttpFrame>,
) {
    let alone = resumed.as_ref().filter(|resumed| resumed.of == Of::Request);
    let is_in = |member: &&Member| alone.is_none_or(|alone| alone.server == member.server);
    let members: Vec<_> = request.members.iter().filter(is_in).cloned().collect();
    let members = if alone.is_some() { members } else { request.open_to(members) };
    let (to, mut pieces) = mpsc::channel(PIECES_MAX);
    for member in members {
        let own = resumed.as_ref().filter(|resumed| resumed.server == member.server);
        let of = own.map_or(Of::Listening, |own| own.of);
        let last_event = own.map(|own| own.event.clone());
        let frames = request.send(&member, Sub { last_event, ..Sub::default() });
        request.service.tasks.spawn(pump((member.server, of), frames, to.clone()));
    }
    drop(to);
    let mut has_begun = false;
    loop {
        let piece = tokio::select! {
            biased;
            () = reply.gone() => return,
            piece = pieces.recv() => piece,
        };
        let frame = match piece {
            Some(Piece::Head(_)) if has_begun => continue,
            Some(Piece::Head(parts)) => {
                has_begun = true;
                HttpFrame::Head(parts)
            }
            Some(Piece::Events(events)) => HttpFrame::Data(events),
            None => break,
        };
        if reply.send(frame).await.is_err() {
            return;
        }
    }
    let end = match has_begun {
        true => HttpFrame::End,
        false => HttpFrame::Whole(not_allowed()),
    };
    if reply.send(end).await.is_err() {
        tracing::debug!("client left before its streams ended");
    }
}

/// No server has such a stream, or none that this agent may hear.
fn not_allowed() -> http::Response<Bytes> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(http::header::ALLOW, HeaderValue::from_static("POST, DELETE"));
    response
}

/// Passes one server's stream on until it ends, or nobody listens any more.
async fn pump((server, of): (String, Of), mut frames: Frames, to: mpsc::Sender<Piece>) {
    let mut passing = Passing::of(&server, of);
    loop {
        let frame = tokio::select! {
            biased;
            () = to.closed() => return,
            frame = frames.recv() => frame,
        };
        let piece = match frame {
            Some(HttpFrame::Head(parts)) => Piece::Head(first(parts)),
            Some(HttpFrame::Data(bytes)) => match passing.data(&bytes) {
                Some(events) if events.is_empty() => continue,
                Some(events) => Piece::Events(events),
                None => return,
            },
            Some(HttpFrame::Whole(_) | HttpFrame::End | HttpFrame::Abort) | None => return,
        };
        if to.send(piece).await.is_err() {
            return;
        }
    }
}

/// The head of all streams, of which this one is the first.
fn first(mut parts: response::Parts) -> response::Parts {
    parts.headers = of_stream(parts.headers.remove(CONTENT_TYPE));
    parts
}
