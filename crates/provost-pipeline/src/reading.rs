//! Reading bodies back: a look at what somebody wrote is an act of its own, and is recorded.

use std::collections::BTreeMap;

use provost_store::{BodyError, BodyPart};
use provost_types::{ActionId, ProjectName};

use crate::{By, LedgerDown, Pipeline};

/// The bodies of one action, as far as they were kept and are not yet deleted.
#[derive(Debug)]
pub struct ActionBodies {
    /// What was asked.
    pub request: Option<Vec<u8>>,
    /// What was answered.
    pub response: Option<Vec<u8>>,
}

/// Bodies that were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadBodiesError {
    /// The project is not there.
    #[error("there is no project {0}")]
    NoSuchProject(ProjectName),
    /// The look could not be recorded, so it was not taken.
    #[error("the ledger cannot be written; nothing was read")]
    Ledger(#[from] LedgerDown),
    /// They cannot be read.
    #[error("the bodies cannot be read")]
    Body(#[from] BodyError),
}

impl Pipeline {
    /// Decrypts the bodies of an action of `project`, once the look is recorded.
    ///
    /// # Errors
    ///
    /// [`ReadBodiesError`]
    pub async fn read_bodies(
        &self,
        by: &By,
        action: ActionId,
        project: &ProjectName,
    ) -> Result<ActionBodies, ReadBodiesError> {
        let keys = self.directory.project_keys(project);
        let keys = keys.ok_or_else(|| ReadBodiesError::NoSuchProject(project.clone()))?;
        let subject = format!("action/{action}");
        let detail = BTreeMap::from([("project".to_owned(), project.to_string())]);
        self.directory.record_admin(by, "bodies.read", &subject, detail).await?;
        let identity = keys.body_identity();
        Ok(ActionBodies {
            request: self.bodies.read(action, BodyPart::Request, identity).await?,
            response: self.bodies.read(action, BodyPart::Response, identity).await?,
        })
    }
}
