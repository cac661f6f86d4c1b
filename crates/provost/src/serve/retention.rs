//! Deletes kept bodies once they are old enough, and records that it did.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use provost_pipeline::{By, Pipeline};
use provost_store::Bodies;
use provost_types::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::app::Core;

/// How often old bodies are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// Unit: seconds.
const DAY: u64 = 86_400;

/// Deletes bodies older than `days`, until `shutdown`.
pub(super) fn keep(
    core: &Core,
    days: u64,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (pipeline, bodies) = (Arc::clone(&core.pipeline), Arc::clone(&core.bodies));
    async move {
        loop {
            delete(&pipeline, &bodies, days).await;
            if tokio::time::timeout(LOOK_EVERY, shutdown.cancelled()).await.is_ok() {
                return;
            }
        }
    }
}

async fn delete(pipeline: &Pipeline, bodies: &Bodies, days: u64) {
    let age_us = days.saturating_mul(DAY).saturating_mul(1_000_000);
    let oldest = Timestamp(pipeline.clock().wall().0.saturating_sub(age_us));
    let deleted = match bodies.delete_before(oldest).await {
        Ok(deleted) => deleted,
        Err(error) => return tracing::error!(%error, "old bodies not deleted yet"),
    };
    for day in deleted {
        let subject = format!("bodies/{day}");
        let by = By::provost();
        let recorded =
            pipeline.directory().record_admin(&by, "bodies.delete", &subject, BTreeMap::new());
        if let Err(error) = recorded.await {
            tracing::error!(%error, day, "deletion of old bodies not recorded");
        }
    }
}
