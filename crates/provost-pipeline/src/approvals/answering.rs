//! What people say: who may, what counts, and when it is enough.

use std::{collections::BTreeMap, time::Duration};

use provost_decide::Who;
use provost_store::{AnswerRow, ApprovalFilter, ApprovalRow, ApprovalState, BodyPart, Reach};
use provost_types::{ApprovalId, PolicyId, Role, SessionId, Timestamp};

use super::{Approvals, NotChanged, PatternError, Step, keyed, pattern, reach_word, subject};
use crate::{By, DirectoryError, LedgerDown};

/// Longest comment. Unit: bytes.
const COMMENT_LEN_MAX: usize = 500;

/// How long a yes counts at least, for the agent has to ask again. Ours.
const YES_COUNTS_MIN: Duration = Duration::from_hours(1);

/// Longest time that a pattern may be approved for. Ours.
const PATTERN_TIME_MAX: Duration = Duration::from_hours(30 * 24);

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answerer {
    /// Whoever may open the data directory, by the system's user id.
    Local(u32),
    /// A person with a token.
    Human {
        /// Their name.
        name: String,
        /// Their role.
        role: Role,
    },
}

impl Answerer {
    /// The name the ledger keeps.
    pub fn by(&self) -> By {
        match self {
            Self::Local(uid) => By::local(*uid),
            Self::Human { name, .. } => By::human(name),
        }
    }

    fn who(&self) -> Who<'_> {
        match self {
            Self::Local(_) => Who::Local,
            Self::Human { name, role } => Who::Human { name, role: *role },
        }
    }
}

/// What somebody says to an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may go ahead.
    Yes {
        /// How far.
        extent: Extent,
        /// Why, in one sentence; may be empty.
        comment: String,
    },
    /// It may not.
    No {
        /// Why, in one sentence: the agent is told.
        comment: String,
    },
}

/// How far a yes reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To one action.
    Once,
    /// To the same action, for as long as the session goes on.
    Session,
    /// To every action whose arguments fit.
    Pattern {
        /// Globs by argument's name.
        arguments: BTreeMap<String, String>,
        /// For how long.
        lasts: Duration,
    },
}

/// An answer that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// There is no such approval.
    #[error("there is no approval {0}")]
    NoSuch(ApprovalId),
    /// Somebody was first, or it is too late.
    #[error("approval {id} is {state} already")]
    Settled {
        /// Which.
        id: ApprovalId,
        /// How it stands.
        state: ApprovalState,
    },
    /// It never counted for them.
    #[error("you are in none of the groups that may answer this: {groups}")]
    NotApprover {
        /// The groups, in words.
        groups: String,
    },
    /// They opened the session whose action it is.
    #[error("you opened this agent's session: somebody else has to answer for it")]
    Own,
    /// They said yes before.
    #[error("you answered this already; others have to")]
    Again,
    /// A field cannot have the value given.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The pattern cannot be used.
    #[error("pattern: {0}")]
    Pattern(#[from] PatternError),
    /// What they would approve cannot be shown any more.
    #[error("the arguments of approval {0} cannot be read, so it cannot be approved")]
    Unreadable(ApprovalId),
    /// It could not be recorded, so it does not count.
    #[error("the ledger cannot be written; nothing was answered")]
    Ledger(#[from] LedgerDown),
    /// It was recorded, but the database did not take it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<NotChanged> for AnswerError {
    fn from(error: NotChanged) -> Self {
        match error {
            NotChanged::Ledger(down) => Self::Ledger(down),
            NotChanged::Store(error) => Self::Directory(error.into()),
        }
    }
}

impl Approvals {
    /// Takes one person's answer. What they said is durable before it takes effect.
    ///
    /// # Errors
    ///
    /// [`AnswerError`], by its variants: then it does not count.
    pub async fn answer(
        &self,
        who: &Answerer,
        id: ApprovalId,
        answer: Answer,
    ) -> Result<ApprovalRow, AnswerError> {
        let _turn = self.changing.lock().await;
        let now = self.recorder.clock.wall();
        let row = self.waiting_row(id, now).await?;
        let gates = self.gates_for(who, &row).await?;
        let (Answer::Yes { comment, .. } | Answer::No { comment }) = &answer;
        check_comment(comment)?;
        let by = who.by().to_string();
        let (row, step) = match answer {
            Answer::No { comment } => deny(row, (by, gates), comment, now),
            Answer::Yes { extent, comment } => {
                if row.answers.iter().any(|one| one.by == by) {
                    return Err(AnswerError::Again);
                }
                let (reach, until) = self.reach(&row, extent, now).await?;
                let said = AnswerRow { by, at: now, yes: true, gates, comment };
                agree(row, said, (reach, until))
            }
        };
        self.put_down(row.clone(), subject(&row), step).await?;
        tracing::info!(approval = %row.id, state = %row.state, "an approval was answered");
        Ok(row)
    }

    /// Takes a yes back that still counts.
    ///
    /// # Errors
    ///
    /// [`AnswerError`]: unknown, not approved, not theirs to answer, or not recorded.
    pub async fn revoke(
        &self,
        who: &Answerer,
        id: ApprovalId,
        comment: String,
    ) -> Result<ApprovalRow, AnswerError> {
        let _turn = self.changing.lock().await;
        let now = self.recorder.clock.wall();
        let row = self.live_row(id).await?;
        if row.state != ApprovalState::Approved {
            return Err(AnswerError::Settled { id, state: row.state });
        }
        let is_admin = matches!(who, Answerer::Local(_))
            || matches!(who, Answerer::Human { role: Role::Admin, .. });
        if !is_admin {
            self.gates_for(who, &row).await?;
        }
        check_comment(&comment)?;
        let by = who.by().to_string();
        let note = sentence("revoked", &by, &comment);
        let state = ApprovalState::Revoked;
        let row = ApprovalRow { state, note, closed_at: Some(now), ..row };
        let step = Step::new("revoked", by, vec![("comment", comment)]);
        self.put_down(row.clone(), subject(&row), step).await?;
        Ok(row)
    }

    /// One approval, however it stands.
    ///
    /// # Errors
    ///
    /// [`AnswerError::NoSuch`]; [`AnswerError::Directory`] of the database.
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalRow, AnswerError> {
        if let Some(row) = self.book.lock().get(id) {
            return Ok(row);
        }
        let row = self.directory.store.approval(id).await.map_err(DirectoryError::from)?;
        row.ok_or(AnswerError::NoSuch(id))
    }

    /// Approvals, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Store`]
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        limit: u32,
    ) -> Result<Vec<ApprovalRow>, DirectoryError> {
        Ok(self.directory.store.approvals(filter, limit).await?)
    }

    /// The exact arguments of a held action, once the look is recorded; none if they are not
    /// kept any more.
    ///
    /// # Errors
    ///
    /// [`AnswerError::Ledger`]: nothing was read. [`AnswerError::Unreadable`].
    pub async fn arguments(
        &self,
        by: &By,
        row: &ApprovalRow,
    ) -> Result<Option<Vec<u8>>, AnswerError> {
        let step = Step::new("shown", by.to_string(), Vec::new());
        self.record(row.id, subject(row), step).await?;
        self.read_arguments(row).await
    }

    /// Whether `who` may answer, as things are now.
    pub async fn may_answer(&self, who: &Answerer, row: &ApprovalRow) -> bool {
        self.gates_for(who, row).await.is_ok()
    }

    async fn read_arguments(&self, row: &ApprovalRow) -> Result<Option<Vec<u8>>, AnswerError> {
        let keys = self.directory.project_keys(&row.project);
        let keys = keys.ok_or(AnswerError::Unreadable(row.id))?;
        let read = self.bodies.read(row.action, BodyPart::Request, keys.body_identity()).await;
        read.map_err(|error| {
            tracing::error!(approval = %row.id, error = %provost_types::Causes(&error), "arguments not read");
            AnswerError::Unreadable(row.id)
        })
    }

    async fn live_row(&self, id: ApprovalId) -> Result<ApprovalRow, AnswerError> {
        let known = self.book.lock().get(id);
        match known {
            Some(row) => Ok(row),
            None => {
                let row = self.approval(id).await?;
                Err(AnswerError::Settled { id, state: row.state })
            }
        }
    }

    async fn waiting_row(
        &self,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<ApprovalRow, AnswerError> {
        let row = self.live_row(id).await?;
        if row.state != ApprovalState::Waiting {
            return Err(AnswerError::Settled { id, state: row.state });
        }
        if row.expires_at <= now {
            return Err(AnswerError::Settled { id, state: ApprovalState::Expired });
        }
        Ok(row)
    }

    /// The gates that `who` may answer for.
    async fn gates_for(
        &self,
        who: &Answerer,
        row: &ApprovalRow,
    ) -> Result<Vec<PolicyId>, AnswerError> {
        let opener = self.opener(row.session).await?;
        let current = self.directory.policies.current();
        let approvers = current.policies.approvers();
        let (mut gates, mut is_own) = (Vec::new(), false);
        for gate in &row.gates {
            let mut may = false;
            for group in &gate.groups {
                if !approvers.may_answer(group, &who.who()) {
                    continue;
                }
                let not_own = approvers.group(group).is_some_and(|group| group.not_own);
                if not_own && opener == who.by().to_string() {
                    is_own = true;
                } else {
                    may = true;
                }
            }
            if may {
                gates.push(gate.policy.clone());
            }
        }
        match (gates.is_empty(), is_own) {
            (false, _) => Ok(gates),
            (true, true) => Err(AnswerError::Own),
            (true, false) => {
                let mut groups: Vec<_> =
                    row.gates.iter().flat_map(|gate| gate.groups.iter().cloned()).collect();
                groups.sort();
                groups.dedup();
                Err(AnswerError::NotApprover { groups: groups.join(", ") })
            }
        }
    }

    async fn opener(&self, session: SessionId) -> Result<String, AnswerError> {
        Ok(self.directory.session(session).await?.opened_by)
    }

    /// How far a yes of that extent reaches, and until when.
    async fn reach(
        &self,
        row: &ApprovalRow,
        extent: Extent,
        now: Timestamp,
    ) -> Result<(Reach, Timestamp), AnswerError> {
        // What nobody can look at, nobody can approve.
        let arguments =
            self.read_arguments(row).await?.ok_or(AnswerError::Unreadable(row.id))?;
        match extent {
            Extent::Once => Ok((Reach::Once, row.expires_at.max(now.plus(YES_COUNTS_MIN)))),
            Extent::Session => {
                let session = self.directory.session(row.session).await?;
                Ok((Reach::Session, session.expires_at))
            }
            Extent::Pattern { arguments: globs, lasts } => {
                if lasts.is_zero() || lasts > PATTERN_TIME_MAX {
                    let problem = "use more than nothing and at most 30 days".to_owned();
                    return Err(AnswerError::Invalid { field: "lasts", problem });
                }
                let left = pattern::check(&arguments, &globs)?;
                let keys = self.directory.project_keys(&row.project);
                let keys = keys.ok_or(AnswerError::Unreadable(row.id))?;
                let rest = keyed(&keys, &[&left]);
                Ok((Reach::Pattern { arguments: globs, rest }, now.plus(lasts)))
            }
        }
    }
}

fn check_comment(comment: &str) -> Result<(), AnswerError> {
    if comment.len() > COMMENT_LEN_MAX || comment.contains(char::is_control) {
        let problem = "use at most 500 bytes without control characters".to_owned();
        return Err(AnswerError::Invalid { field: "comment", problem });
    }
    Ok(())
}

/// One no is enough.
fn deny(
    row: ApprovalRow,
    (by, gates): (String, Vec<PolicyId>),
    comment: String,
    now: Timestamp,
) -> (ApprovalRow, Step) {
    let mut row = row;
    row.note = sentence("denied", &by, &comment);
    row.state = ApprovalState::Denied;
    let step = Step::new("denied", by.clone(), vec![("comment", comment.clone())]);
    row.answers.push(AnswerRow { by, at: now, yes: false, gates, comment });
    (row, step)
}

/// A yes counts for the gates its giver may answer for; enough for each is an approval.
fn agree(
    row: ApprovalRow,
    said: AnswerRow,
    (reach, until): (Reach, Timestamp),
) -> (ApprovalRow, Step) {
    let mut row = row;
    // Where they differ in how far, the least counts.
    row.reach = if row.answers.is_empty() || row.reach == reach { reach } else { Reach::Once };
    let (by, comment) = (said.by.clone(), said.comment.clone());
    row.answers.push(said);
    let is_enough = row.gates.iter().all(|gate| {
        let counts = |answer: &&AnswerRow| answer.yes && answer.gates.contains(&gate.policy);
        let count = row.answers.iter().filter(counts).count();
        count >= usize::try_from(gate.quorum).unwrap_or(usize::MAX)
    });
    let name = if is_enough { "approved" } else { "answered" };
    if is_enough {
        row.state = ApprovalState::Approved;
        row.note = sentence("approved", &by, &comment);
        row.expires_at = until;
    }
    let told = vec![("comment", comment), ("reach", reach_word(&row.reach).to_owned())];
    (row, Step::new(name, by, told))
}

/// `denied by human/ada: not on a Friday`
fn sentence(what: &str, by: &str, comment: &str) -> String {
    let why = if comment.is_empty() { String::new() } else { format!(": {comment}") };
    format!("{what} by {by}{why}")
}
