//! The shape of an HTTP plane: what it is asked, what it answers.

use bytes::Bytes;
use http::{Response, request, response};
use provost_pipeline::Gateway;

use crate::http::Room;

/// One HTTP request, its body read to the end.
#[derive(Debug)]
pub struct HttpAsk {
    /// Method, target and headers as they came.
    pub parts: request::Parts,
    /// The whole body, content codings untouched.
    pub body: Bytes,
    /// The body's share of what all bodies may hold, given back when this is dropped.
    _room: Room,
}

impl HttpAsk {
    /// An ask that takes no room of a listener's.
    pub fn new(parts: request::Parts, body: Bytes) -> Self {
        Self::with_room(parts, body, Room::default())
    }

    pub(crate) fn with_room(parts: request::Parts, body: Bytes, room: Room) -> Self {
        Self { parts, body, _room: room }
    }
}

/// One piece of an HTTP reply: [`Self::Whole`] alone, or a [`Self::Head`], any number of
/// [`Self::Data`], and an [`Self::End`] or [`Self::Abort`].
#[derive(Debug)]
pub enum HttpFrame {
    /// A whole reply.
    Whole(Response<Bytes>),
    /// The status and headers of a streamed reply. A `content-length` is believed.
    Head(response::Parts),
    /// The next bytes of its body.
    Data(Bytes),
    /// The end of the body. A reply whose sender is dropped without it is aborted, so that a
    /// half can never be taken for the whole.
    End,
    /// There is no end, the upstream broke: the connection is reset.
    Abort,
}

/// A plane that is spoken over HTTP: makes one gateway for each request, which may hold what
/// it read in it.
pub trait HttpPlane: Clone + Send + Sync + 'static {
    /// What serves a request.
    type Gateway: Gateway<Ask = HttpAsk, Answer = HttpFrame> + Sync + 'static;

    /// A gateway for this request. A request that is refused before its body was read has an
    /// empty one.
    fn gateway(&self, ask: &HttpAsk) -> Self::Gateway;
}
