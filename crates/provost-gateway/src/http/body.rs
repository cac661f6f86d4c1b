//! Request bodies, read whole within bounds of size, time and memory.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use provost_pipeline::{Malformed, MalformedKind};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::Limits;

/// What bodies are counted in; the first of each body is free. Unit: bytes.
const UNIT: usize = 64 * 1024;

/// A body that was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("the request body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the request body stopped arriving in the middle")]
    Silent,
    #[error("the request body took too long to arrive")]
    Slow,
    #[error("the request body broke off in the middle")]
    Broken(#[source] hyper::Error),
}

impl Unread {
    pub(crate) fn malformed(&self) -> Malformed {
        let kind = match self {
            Self::TooLarge { .. } => MalformedKind::TooLarge,
            Self::Silent | Self::Slow | Self::Broken(_) => MalformedKind::Syntax,
        };
        Malformed { message: self.to_string(), kind }
    }
}

/// A body's share of the memory for bodies.
#[derive(Debug, Default)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

/// The memory for the bodies of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Rooms(Arc<Semaphore>);

impl Rooms {
    pub(crate) fn new(limits: &Limits) -> Self {
        let units = limits.bodies_bytes_max.max(limits.body_bytes_max).div_ceil(UNIT);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    /// Makes `room` large enough for `bytes`; waits for others to give back.
    async fn grow(&self, room: &mut Room, bytes: usize) {
        let held = room.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (bytes.saturating_sub(1) / UNIT).saturating_sub(held);
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        if missing == 0 {
            return;
        }
        let Ok(more) = Arc::clone(&self.0).acquire_many_owned(missing).await else {
            return; // never closed
        };
        match &mut room.0 {
            Some(held) => held.merge(more),
            None => room.0 = Some(more),
        }
    }
}

/// Reads `body` to its end. One that arrives in one piece is not copied.
pub(crate) async fn read(
    body: &mut Incoming,
    rooms: &Rooms,
    limits: &Limits,
) -> Result<(Bytes, Room), Unread> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    check_size(announced, limits)?;
    if body.is_end_stream() {
        return Ok((Bytes::new(), Room::default()));
    }
    let mut room = Room::default();
    let Some(first) = timeout(limits.body_idle_timeout, next(body, rooms, &mut room, 0))
        .await
        .map_err(|_| Unread::Silent)??
    else {
        return Ok((Bytes::new(), room));
    };
    check_size(first.len(), limits)?;
    if body.is_end_stream() {
        return Ok((first, room));
    }
    let mut whole = BytesMut::with_capacity(announced.clamp(first.len(), 16 * UNIT));
    whole.extend_from_slice(&first);
    let rest = read_rest(body, &mut whole, (rooms, &mut room), limits);
    timeout(limits.body_read_timeout, rest).await.map_err(|_| Unread::Slow)??;
    Ok((whole.freeze(), room))
}

async fn read_rest(
    body: &mut Incoming,
    whole: &mut BytesMut,
    (rooms, room): (&Rooms, &mut Room),
    limits: &Limits,
) -> Result<(), Unread> {
    loop {
        let next = next(body, rooms, room, whole.len());
        match timeout(limits.body_idle_timeout, next).await.map_err(|_| Unread::Silent)?? {
            None => return Ok(()),
            Some(bytes) => {
                check_size(whole.len().saturating_add(bytes.len()), limits)?;
                whole.extend_from_slice(&bytes);
            }
        }
    }
}

/// The next bytes, with room for them besides the `held` ones; trailers are skipped.
async fn next(
    body: &mut Incoming,
    rooms: &Rooms,
    room: &mut Room,
    held: usize,
) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(Unread::Broken)?.into_data() {
            rooms.grow(room, held.saturating_add(bytes.len())).await;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn check_size(bytes: usize, limits: &Limits) -> Result<(), Unread> {
    let bytes_max = limits.body_bytes_max;
    if bytes > bytes_max { Err(Unread::TooLarge { bytes_max }) } else { Ok(()) }
}
