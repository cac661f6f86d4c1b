//! Placeholder signatures; the store-journal author replaces this file, keeping these names.

use bytes::Bytes;
use provost_types::ActionId;

use crate::BodyRecipient;

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// What was asked.
    Request,
    /// What was answered.
    Response,
}

/// Where bodies go.
#[derive(Debug)]
pub struct Bodies {}

impl Bodies {
    /// Bodies below `folder`.
    pub fn new(_folder: &std::path::Path) -> Self {
        Self {}
    }

    /// A writer for one body.
    pub fn writer(
        &self,
        _action: ActionId,
        _part: BodyPart,
        _recipient: &BodyRecipient,
    ) -> BodyWriter {
        BodyWriter {}
    }
}

/// One body being written.
#[derive(Debug)]
pub struct BodyWriter {}

impl BodyWriter {
    /// Takes the next bytes; waits while the disk is slow.
    pub async fn write(&mut self, _bytes: Bytes) {}

    /// Ends the body.
    pub async fn finish(self) {}
}
