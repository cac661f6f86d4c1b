//! The way back to the client.

use std::future::Future;

use tokio::sync::mpsc;

/// The client stopped listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client went away")]
pub struct ClientGone;

/// The way back to the client: a bounded channel of reply frames.
///
/// Gateways have no other way to answer. A full channel makes [`Reply::send`] wait, so a
/// slow client slows the upstream instead of filling memory.
#[derive(Debug)]
pub struct Reply<F> {
    frames: mpsc::Sender<F>,
}

impl<F: Send> Reply<F> {
    /// A reply and the driver's end of it. At most `frames_max` frames wait for a slow client.
    pub fn channel(frames_max: usize) -> (Self, mpsc::Receiver<F>) {
        let (frames, receiver) = mpsc::channel(frames_max.max(1));
        (Self { frames }, receiver)
    }

    /// Sends one piece of the answer, waiting while the client is slow.
    ///
    /// # Errors
    ///
    /// [`ClientGone`] if nobody is listening. The gateway then stops the upstream and still
    /// returns an outcome.
    pub async fn send(&mut self, frame: F) -> Result<(), ClientGone> {
        self.frames.send(frame).await.map_err(|_| ClientGone)
    }

    /// Resolves when nobody listens any more: watch it while waiting for the upstream.
    pub async fn gone(&self) {
        self.frames.closed().await;
    }

    /// The same, to be watched while something is sent. The reply does not end before this is
    /// dropped.
    pub fn leaving(&self) -> impl Future<Output = ()> + Send + use<F> {
        let frames = self.frames.clone();
        async move { frames.closed().await }
    }
}
