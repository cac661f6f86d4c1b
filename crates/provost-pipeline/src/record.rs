//! The ledger as the pipeline writes it: events stamped with both clocks, outcomes that
//! outlive a full disk.

use std::{sync::Arc, time::Duration};

use provost_ledger::{Event, Intent, Record, Refused, Subject, Witness};
use provost_store::{Journal, JournalError};
use provost_types::{ActionId, BootId, Causes, Clock, CredentialId, Outcome};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Caller, Refusal, RefusalCode, refusal::Reason};

/// What a person is told when the ledger cannot be written.
pub(crate) const LEDGER_DOWN: &str = "Provost cannot write its ledger, so nothing may happen; an operator has to look at `readyz`.";

/// Longest pause between two tries to record an outcome while the ledger is down.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// The ledger cannot be written, so nothing may happen.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct LedgerDown(#[from] JournalError);

/// Stamps events and makes them durable.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) boot: BootId,
}

impl Recorder {
    /// Makes one event durable; returns its position.
    pub(crate) async fn record(
        &self,
        subject: Subject,
        record: Record,
    ) -> Result<u64, LedgerDown> {
        let event = Event {
            at: self.clock.wall(),
            elapsed: self.clock.monotonic(),
            boot: self.boot,
            subject,
            record,
        };
        Ok(self.journal.append(event.encode()).await?)
    }

    /// Makes an intent durable, or says why the action must not happen.
    pub(crate) async fn record_intent(
        &self,
        subject: Subject,
        intent: Intent,
    ) -> Result<(), Reason> {
        self.record_first(subject, Record::Intent(intent)).await
    }

    /// Makes a further sight of a call durable, or says why the call must not happen.
    pub(crate) async fn record_witness(
        &self,
        subject: Subject,
        witness: Witness,
    ) -> Result<(), Reason> {
        self.record_first(subject, Record::Witness(witness)).await
    }

    async fn record_first(&self, subject: Subject, record: Record) -> Result<(), Reason> {
        let action = subject.action.map(tracing::field::display);
        match self.record(subject, record).await {
            Ok(_position) => Ok(()),
            Err(error) => {
                tracing::error!(action, error = %Causes(&error), "ledger unavailable, action refused");
                Err(Reason::new(RefusalCode::Unavailable, LEDGER_DOWN))
            }
        }
    }

    /// Records a refusal, where that can help: nothing waits for it to succeed.
    pub(crate) async fn record_refusal(
        &self,
        subject: Subject,
        refusal: &Refusal,
        credential: Option<CredentialId>,
        intent: Option<Intent>,
    ) {
        let Refusal { code, message, action } = refusal;
        // The ledger being down is why this one is refused: there is nothing to try.
        if *code == RefusalCode::Unavailable {
            return;
        }
        let (code, reason) = (code.as_str(), message.clone());
        let refused = Refused { code: code.to_owned(), reason, credential, intent };
        if let Err(error) = self.record(subject, Record::Refusal(refused)).await {
            tracing::error!(%action, error = %Causes(&error), code, "refusal not recorded");
        }
    }
}

/// Closes intents with outcomes. An outcome that cannot be written waits and is tried again
/// for as long as the process lives; a restart closes what is left as `unknown`.
#[derive(Clone, Debug)]
pub(crate) struct Closer {
    recorder: Recorder,
    waiting: mpsc::Sender<(Subject, Outcome)>,
}

impl Closer {
    /// Starts the task that tries again. At most `waiting_max` outcomes wait.
    pub(crate) fn start(
        recorder: Recorder,
        waiting_max: usize,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (waiting, queue) = mpsc::channel(waiting_max.max(1));
        tasks.spawn(retry(recorder.clone(), queue, stop));
        Self { recorder, waiting }
    }

    /// Records the outcome of `action`, or leaves it to the task that tries again.
    pub(crate) async fn conclude(&self, caller: &Caller, action: ActionId, outcome: Outcome) {
        let subject = caller.subject(action);
        let record = Record::Outcome(outcome.clone());
        if let Err(error) = self.recorder.record(subject.clone(), record).await {
            tracing::warn!(%action, error = %Causes(&error), "outcome not recorded yet");
            self.wait(subject, outcome);
        }
    }

    /// The same for those who cannot wait: a permit that is dropped.
    pub(crate) fn conclude_later(&self, caller: &Caller, action: ActionId, outcome: Outcome) {
        self.wait(caller.subject(action), outcome);
    }

    fn wait(&self, subject: Subject, outcome: Outcome) {
        if let Err(error) = self.waiting.try_send((subject, outcome)) {
            tracing::error!(error = %Causes(&error), "outcome left to be found unknown at the next start");
        }
    }
}

async fn retry(
    recorder: Recorder,
    mut queue: mpsc::Receiver<(Subject, Outcome)>,
    stop: CancellationToken,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = queue.recv() => next,
            () = stop.cancelled() => return,
        };
        let Some((subject, outcome)) = next else { return };
        let mut pause = Duration::from_millis(20);
        loop {
            let record = Record::Outcome(outcome.clone());
            if recorder.record(subject.clone(), record).await.is_ok() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
        }
    }
}
