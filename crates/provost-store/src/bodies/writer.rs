//! Writes one body as it passes by, in bounded memory and away from the runtime's threads.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    mem,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use age::stream::StreamWriter;
use bytes::Bytes;

use crate::BodyRecipient;

/// Bytes gathered before the disk is bothered: age's own chunk. Unit: bytes. Source:
/// age-encryption.org/v1, "Payload". So a stream holds at most two of these, and no thread.
const GATHER_BYTES: usize = 64 << 10;

/// One body being written. Dropped unfinished, it leaves nothing.
pub struct BodyWriter {
    place: Place,
    gathered: Vec<u8>,
    /// Bytes that may still be kept.
    room: u64,
    kept: Kept,
    state: State,
}

/// How much of a body was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    Whole,
    /// Its beginning, as much as is allowed.
    Cut,
    /// Nothing: the disk did not take it.
    Nothing,
}

#[derive(Clone)]
struct Place {
    unfinished: PathBuf,
    path: PathBuf,
    recipient: BodyRecipient,
}

enum State {
    Fresh,
    Open(Box<Sink>),
    Lost,
}

impl BodyWriter {
    pub(super) fn new(
        unfinished: PathBuf,
        path: PathBuf,
        recipient: BodyRecipient,
        body_bytes_max: u64,
    ) -> Self {
        Self {
            place: Place { unfinished, path, recipient },
            gathered: Vec::new(),
            room: body_bytes_max,
            kept: Kept::Whole,
            state: State::Fresh,
        }
    }

    /// Takes the next bytes; waits while the disk is slow. What the disk does not take is
    /// logged and given up.
    pub async fn write(&mut self, mut bytes: Bytes) {
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        if bytes.len() > room {
            bytes.truncate(room);
            self.kept = Kept::Cut;
        }
        self.room = self.room.saturating_sub(bytes.len() as u64);
        if self.gathered.len().saturating_add(bytes.len()) < GATHER_BYTES {
            self.gathered.extend_from_slice(&bytes);
        } else {
            self.step(move |mut sink, gathered| {
                sink.writer.write_all(&gathered)?;
                sink.writer.write_all(&bytes)?;
                Ok(State::Open(sink))
            })
            .await;
        }
    }

    /// Ends the body: from now on it is there, and would survive power loss.
    pub async fn finish(mut self) -> Kept {
        let path = self.place.path.clone();
        self.step(move |mut sink, gathered| {
            sink.writer.write_all(&gathered)?;
            sink.finish(&path)?;
            Ok(State::Fresh)
        })
        .await;
        match self.state {
            State::Lost => Kept::Nothing,
            State::Fresh | State::Open(_) => self.kept,
        }
    }

    /// Does `work` with the file, which is made first if need be, on a thread that may wait.
    async fn step(
        &mut self,
        work: impl FnOnce(Box<Sink>, Vec<u8>) -> io::Result<State> + Send + 'static,
    ) {
        let gathered = mem::take(&mut self.gathered);
        // Should this future be dropped while the thread works, the body is lost.
        let state = mem::replace(&mut self.state, State::Lost);
        let place = self.place.clone();
        let done = tokio::task::spawn_blocking(move || match state {
            State::Fresh => work(Box::new(Sink::create(&place)?), gathered),
            State::Open(sink) => work(sink, gathered),
            State::Lost => Ok(State::Lost),
        });
        match done.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(state) => self.state = state,
            Err(error) => {
                let path = self.place.path.display();
                tracing::error!(%error, %path, "body not kept");
                metrics::counter!("provost_bodies_lost_total").increment(1);
            }
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyWriter({})", self.place.path.display())
    }
}

/// The file of a body that is being written.
struct Sink {
    writer: StreamWriter<File>,
    unfinished: Unfinished,
}

impl Sink {
    fn create(place: &Place) -> io::Result<Self> {
        make_parent(&place.unfinished)?;
        let mut options = File::options();
        let file = options.write(true).create_new(true).mode(0o600).open(&place.unfinished)?;
        let unfinished = Unfinished(place.unfinished.clone());
        let recipient = std::iter::once(&place.recipient as _);
        let encryptor = age::Encryptor::with_recipients(recipient).map_err(io::Error::other)?;
        Ok(Self { writer: encryptor.wrap_output(file)?, unfinished })
    }

    fn finish(self, path: &Path) -> io::Result<()> {
        self.writer.finish()?.sync_all()?;
        make_parent(path)?;
        fs::rename(&self.unfinished.0, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    }
}

/// A file that goes with this value, unless it was given another name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)
}
