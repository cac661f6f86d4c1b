//! Group commit: one thread takes whatever waits and commits it together.
//!
//! There is no delay to tune: whoever comes while a commit runs joins the next one. So a
//! lone caller pays one commit, and a crowd shares each.

use std::{error::Error as _, io, thread};

use provost_ledger::ENTRY_LEN_MAX;
use tokio::sync::{mpsc, oneshot, watch};

use super::JournalError;

/// Most callers that wait in the queue; more wait for a place in it. Unit: entries, so at
/// most 64 MiB.
const QUEUE_LEN_MAX: usize = 1024;

/// Most entries committed together. Unit: entries, so at most 32 MiB.
const BATCH_LEN_MAX: usize = 512;

/// What makes a batch durable.
pub(super) trait Medium: Send + 'static {
    /// Makes `entries` durable, in order, and readable; returns the index of the first.
    /// After an error none of them is there, and the next call tries to mend first.
    fn write(&mut self, entries: &[Vec<u8>]) -> Result<u64, JournalError>;

    /// Mends what an error left behind and proves that there is room to write again.
    fn recover(&mut self) -> Result<(), JournalError>;

    /// Gives back what was set aside for entries that will not come.
    fn close(&mut self) -> Result<(), JournalError>;
}

/// The callers' end. The thread ends when this is dropped and the queue is empty.
#[derive(Debug)]
pub(super) struct Queue {
    requests: mpsc::Sender<Request>,
    health: watch::Receiver<Option<JournalError>>,
    size: watch::Receiver<u64>,
}

/// The thread of one [`Queue`].
#[derive(Debug)]
pub(super) struct Committer(Option<thread::JoinHandle<()>>);

enum Request {
    Append { entry: Vec<u8>, done: Answer<u64> },
    Probe(Answer<()>),
    Close(Answer<()>),
}

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

impl Queue {
    /// Starts a thread that commits to `medium`, which holds `size` entries.
    pub(super) fn start(medium: impl Medium, size: u64) -> io::Result<(Self, Committer)> {
        let (requests, received) = mpsc::channel(QUEUE_LEN_MAX);
        let (size, size_seen) = watch::channel(size);
        let (health, health_seen) = watch::channel(None);
        let work = Loop { medium, size, health };
        let thread =
            thread::Builder::new().name("journal".into()).spawn(move || work.run(received))?;
        let queue = Self { requests, health: health_seen, size: size_seen };
        Ok((queue, Committer(Some(thread))))
    }

    pub(super) async fn append(&self, entry: Vec<u8>) -> Result<u64, JournalError> {
        if entry.is_empty() || entry.len() > ENTRY_LEN_MAX {
            return Err(JournalError::Length { bytes: entry.len() });
        }
        self.ask(|done| Request::Append { entry, done }).await
    }

    pub(super) async fn probe(&self) -> Result<(), JournalError> {
        self.ask(Request::Probe).await
    }

    /// Closing what is closed is no error.
    pub(super) async fn close(&self) -> Result<(), JournalError> {
        match self.ask(Request::Close).await {
            Err(JournalError::Closed) => Ok(()),
            answer => answer,
        }
    }

    /// How many entries are durable.
    pub(super) fn size(&self) -> u64 {
        *self.size.borrow()
    }

    pub(super) fn grown(&self) -> watch::Receiver<u64> {
        self.size.clone()
    }

    pub(super) fn health(&self) -> Result<(), JournalError> {
        if self.requests.is_closed() {
            return Err(JournalError::Closed);
        }
        self.health.borrow().clone().map_or(Ok(()), Err)
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, JournalError> {
        let (done, answer) = oneshot::channel();
        self.requests.send(request(done)).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

impl Committer {
    /// Waits for the thread, whose [`Queue`] must be gone, to commit what is left.
    pub(super) fn join(&mut self) {
        if let Some(Err(_)) = self.0.take().map(thread::JoinHandle::join) {
            tracing::error!("the journal thread panicked");
        }
    }
}

struct Loop<M> {
    medium: M,
    size: watch::Sender<u64>,
    health: watch::Sender<Option<JournalError>>,
}

impl<M: Medium> Loop<M> {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let (mut waiting, mut closers) = (Vec::new(), Vec::new());
        while requests.blocking_recv_many(&mut waiting, BATCH_LEN_MAX) > 0 {
            let (mut entries, mut callers, mut probers) = (Vec::new(), Vec::new(), Vec::new());
            for request in waiting.drain(..) {
                match request {
                    Request::Append { entry, done } => {
                        entries.push(entry);
                        callers.push(done);
                    }
                    Request::Probe(done) => probers.push(done),
                    Request::Close(done) => {
                        requests.close(); // what is queued already is still committed
                        closers.push(done);
                    }
                }
            }
            if !entries.is_empty() {
                self.commit(&entries, callers);
            }
            for prober in probers {
                answer(prober, self.probe());
            }
        }
        let closed = self.medium.close();
        for closer in closers {
            answer(closer, closed.clone());
        }
    }

    fn commit(&mut self, entries: &[Vec<u8>], callers: Vec<Answer<u64>>) {
        let count = entries.len() as u64;
        let written = self.medium.write(entries);
        self.note(written.as_ref().err());
        match written {
            Ok(first) => {
                metrics::counter!("provost_journal_commits_total").increment(1);
                metrics::counter!("provost_journal_entries_total").increment(count);
                self.size.send_replace(first.saturating_add(count));
                for (caller, index) in callers.into_iter().zip(first..) {
                    answer(caller, Ok(index));
                }
            }
            Err(error) => {
                metrics::counter!("provost_journal_failures_total").increment(1);
                for caller in callers {
                    answer(caller, Err(error.clone()));
                }
            }
        }
    }

    fn probe(&mut self) -> Result<(), JournalError> {
        if self.health.borrow().is_none() {
            return Ok(());
        }
        let recovered = self.medium.recover();
        self.note(recovered.as_ref().err());
        recovered
    }

    /// Keeps what health is, and says once each way that the journal fails or works again.
    fn note(&self, error: Option<&JournalError>) {
        let was_sound = self.health.borrow().is_none();
        match (was_sound, error) {
            (true, None) => return,
            (true, Some(error)) => {
                let source = error.source().map(ToString::to_string);
                tracing::error!(%error, source, "journal unavailable");
            }
            (false, None) => tracing::info!("journal available again"),
            (false, Some(_)) => {}
        }
        self.health.send_replace(error.cloned());
    }
}

/// Answers a caller, who may be gone.
fn answer<T>(caller: Answer<T>, answer: Result<T, JournalError>) {
    drop(caller.send(answer));
}
