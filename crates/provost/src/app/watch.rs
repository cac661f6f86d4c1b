//! What keeps the server from doing its work, looked for every second.
//!
//! Looking is also what recovers: a journal that failed is tried again here, so that a disk
//! that can be written again needs neither a restart nor a request.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use provost_admin::LedgerReader;
use provost_store::StoreError;
use provost_types::Causes;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What keeps the server from doing its work. Cheap to clone: clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Obstacles(Arc<ArcSwap<Vec<String>>>);

impl Obstacles {
    /// One sentence each; none when the server is ready.
    pub(crate) fn sentences(&self) -> Vec<String> {
        self.0.load().as_ref().clone()
    }
}

/// Looks for obstacles until `stop`, and keeps each newly signed checkpoint in the database
/// too, where it can be missed if somebody cuts the ledger back.
pub(crate) fn start(
    ledger: &LedgerReader,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Obstacles {
    let obstacles = Obstacles::default();
    let watch = Watch { ledger: ledger.clone(), obstacles: obstacles.clone(), kept: 0 };
    tasks.spawn(watch.run(stop.clone()));
    obstacles
}

struct Watch {
    ledger: LedgerReader,
    obstacles: Obstacles,
    /// Size of the newest checkpoint that is in the database.
    kept: u64,
}

impl Watch {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            self.look().await;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look(&mut self) {
        let LedgerReader { journal, sealer, store, .. } = &self.ledger;
        let obstacles = [
            obstacle("the ledger cannot be written", journal.probe().await),
            obstacle("the ledger cannot be sealed", sealer.health()),
            obstacle("the database cannot be used", store.health().await),
        ];
        self.obstacles.0.store(Arc::new(obstacles.into_iter().flatten().collect()));
        self.keep_checkpoint().await;
    }

    async fn keep_checkpoint(&mut self) {
        match keep_checkpoint(&self.ledger, self.kept).await {
            Ok(kept) => self.kept = kept,
            Err(error) => {
                tracing::error!(error = %Causes(&error), "checkpoint not kept in the database yet");
            }
        }
    }
}

/// Keeps the newest checkpoint in the database once every record it signs has its row, unless
/// it is the one of `kept` records that is there.
///
/// Returns how many records the one covers that is there now.
pub(super) async fn keep_checkpoint(
    ledger: &LedgerReader,
    kept: u64,
) -> Result<u64, StoreError> {
    let head = ledger.sealer.heads().borrow().clone();
    let Some(head) = head.filter(|head| head.checkpoint.size > kept) else { return Ok(kept) };
    if ledger.store.indexed_up_to().await? < head.checkpoint.size {
        return Ok(kept); // the index is a moment behind: next time
    }
    ledger.store.put_checkpoint(head.checkpoint.size, &head.note).await?;
    Ok(head.checkpoint.size)
}

fn obstacle<E: std::error::Error>(sentence: &str, looked: Result<(), E>) -> Option<String> {
    let error = looked.err()?;
    tracing::error!(error = %Causes(&error), "{sentence}");
    Some(sentence.to_owned())
}
