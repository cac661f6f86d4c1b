//! Approvals: what was held, which gates hold it, and what people answered.

use std::{collections::BTreeMap, fmt, str::FromStr};

use provost_types::{
    ActionId, AgentName, ApprovalId, Digest, PolicyId, ProjectName, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Store, StoreError,
    columns::{self, Columns, read_all},
    filter::Filter,
};

/// One approval, from its request to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id.
    pub id: ApprovalId,
    /// Whose action was held.
    pub agent: AgentName,
    /// The agent's project.
    pub project: ProjectName,
    /// The session it was held in first.
    pub session: SessionId,
    /// The action that was held first.
    pub action: ActionId,
    /// Keyed digest of the agent, the action and its exact arguments.
    pub binding: Digest,
    /// Where it came in.
    pub plane: String,
    /// What was to be done.
    pub verb: String,
    /// Cedar entity type of what is acted on.
    pub resource_kind: String,
    /// Cedar entity id of what is acted on.
    pub resource_id: String,
    /// What holds it.
    pub gates: Vec<GateRow>,
    /// What people answered, in order.
    pub answers: Vec<AnswerRow>,
    /// How far a yes reaches.
    pub reach: Reach,
    /// How it stands.
    pub state: ApprovalState,
    /// Why it stands so, in words fit for the agent; empty while it waits.
    pub note: String,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When it, or the yes it became, stops counting.
    pub expires_at: Timestamp,
    /// When it stopped counting.
    pub closed_at: Option<Timestamp>,
    /// The action that went ahead by it last.
    pub used_by: Option<ActionId>,
}

/// One gate as it stood when it held the action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRow {
    /// The policy.
    pub policy: PolicyId,
    /// SHA-256 of its text: a changed gate is another question.
    pub text: Digest,
    /// The groups that may answer, those that it was passed on to included.
    pub groups: Vec<String>,
    /// How many of them have to say yes.
    pub quorum: u32,
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// Who: `human/NAME` or `local/UID`.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Yes or no.
    pub yes: bool,
    /// The gates they may answer for.
    pub gates: Vec<PolicyId>,
    /// Their words; a no's reach the agent.
    pub comment: String,
}

/// How far a yes reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// To one action.
    #[default]
    Once,
    /// To every action of that session with the same arguments.
    Session,
    /// To every action with arguments that fit, until it expires.
    Pattern {
        /// Globs by argument's name.
        arguments: BTreeMap<String, String>,
        /// Keyed digest of every other argument: they have to be as they were.
        rest: Digest,
    },
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// Nobody has settled it.
    Waiting,
    /// Enough people said yes, and it still counts.
    Approved,
    /// Somebody said no, and that still counts.
    Denied,
    /// The action went ahead by it.
    Used,
    /// Its time was over.
    Expired,
    /// What it was for is over: a kill, another gate.
    Cancelled,
    /// A person took their yes back.
    Revoked,
}

/// A text that is no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use waiting, approved, denied, used, expired, cancelled or revoked")]
pub struct ApprovalStateError;

impl ApprovalState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Approved,
        Self::Denied,
        Self::Used,
        Self::Expired,
        Self::Cancelled,
        Self::Revoked,
    ];

    /// Its word in the ledger and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Revoked => "revoked",
        }
    }

    /// Whether it still counts for actions to come.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Approved | Self::Denied)
    }
}

impl fmt::Display for ApprovalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ApprovalState {
    type Err = ApprovalStateError;

    fn from_str(text: &str) -> Result<Self, ApprovalStateError> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or(ApprovalStateError)
    }
}

/// Which approvals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only of this agent.
    pub agent: Option<AgentName>,
    /// Only of this project.
    pub project: Option<ProjectName>,
    /// Only in this state.
    pub state: Option<ApprovalState>,
    /// Only older ones than this.
    pub before: Option<ApprovalId>,
}

impl Store {
    /// Writes an approval down; it takes the place of what was known of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database only.
    pub async fn put_approval(&self, row: &ApprovalRow) -> Result<(), StoreError> {
        let mut transaction = self.begin("write down an approval").await?;
        let gates: Vec<Gate> = row.gates.iter().map(Gate::from).collect();
        let answers: Vec<Answer> = row.answers.iter().map(Answer::from).collect();
        let upsert = sqlx::query(
            "INSERT INTO approval (id, agent, project, session, action, binding, plane, verb, \
             resource_kind, resource_id, gates, answers, reach, state, note, requested_at, \
             expires_at, closed_at, used_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $17, $18, $19) \
             ON CONFLICT (id) DO UPDATE SET gates = excluded.gates, \
             answers = excluded.answers, reach = excluded.reach, state = excluded.state, \
             note = excluded.note, expires_at = excluded.expires_at, \
             closed_at = excluded.closed_at, used_by = excluded.used_by",
        )
        .bind(row.id.to_string())
        .bind(row.agent.as_str())
        .bind(row.project.as_str())
        .bind(row.session.to_string())
        .bind(row.action.to_string())
        .bind(hex::encode(row.binding.0))
        .bind(columns::text(&row.plane))
        .bind(columns::text(&row.verb))
        .bind(columns::text(&row.resource_kind))
        .bind(columns::text(&row.resource_id))
        .bind(json(&gates))
        .bind(json(&answers))
        .bind(json(&ReachForm::from(&row.reach)))
        .bind(row.state.as_str())
        .bind(columns::text(&row.note))
        .bind(columns::time(row.requested_at))
        .bind(columns::time(row.expires_at))
        .bind(row.closed_at.map(columns::time))
        .bind(row.used_by.map(|action| action.to_string()));
        transaction.run(upsert).await?;
        transaction.commit().await
    }

    /// Every approval that still counts, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database, or of a row that cannot be read.
    pub async fn live_approvals(&self) -> Result<Vec<ApprovalRow>, StoreError> {
        let query = "SELECT * FROM approval WHERE closed_at IS NULL ORDER BY id";
        let rows = self.read("list approvals", sqlx::query(query)).await?;
        read_all("approval", &rows, approval)
    }

    /// One approval, if it is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database, or of a row that cannot be read.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<ApprovalRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM approval WHERE id = $1").bind(id.to_string());
        let rows = self.read("find an approval", query).await?;
        Ok(read_all("approval", &rows, approval)?.pop())
    }

    /// Approvals, newest first, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of the database, or of a row that cannot be read.
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        limit: u32,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let mut select = Filter::new("SELECT * FROM approval WHERE TRUE");
        select.text("agent =", filter.agent.as_ref());
        select.text("project =", filter.project.as_ref());
        select.text("state =", filter.state);
        select.text("id <", filter.before);
        let statement = select.into_statement("ORDER BY id DESC", limit);
        read_all("approval", &self.read("list approvals", statement).await?, approval)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReachForm {
    Once,
    Session,
    Pattern { arguments: BTreeMap<String, String>, rest: String },
}

impl From<&Reach> for ReachForm {
    fn from(reach: &Reach) -> Self {
        match reach {
            Reach::Once => Self::Once,
            Reach::Session => Self::Session,
            Reach::Pattern { arguments, rest } => {
                Self::Pattern { arguments: arguments.clone(), rest: rest.to_string() }
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Gate {
    policy: String,
    text: String,
    groups: Vec<String>,
    quorum: u32,
}

impl From<&GateRow> for Gate {
    fn from(row: &GateRow) -> Self {
        Self {
            policy: row.policy.to_string(),
            text: row.text.to_string(),
            groups: row.groups.clone(),
            quorum: row.quorum,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Answer {
    by: String,
    at: u64,
    yes: bool,
    gates: Vec<String>,
    comment: String,
}

impl From<&AnswerRow> for Answer {
    fn from(row: &AnswerRow) -> Self {
        Self {
            by: row.by.clone(),
            at: row.at.0,
            yes: row.yes,
            gates: row.gates.iter().map(ToString::to_string).collect(),
            comment: row.comment.clone(),
        }
    }
}

/// PostgreSQL keeps no NUL: JSON never has one, for it escapes control characters.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn approval(row: Columns<'_>) -> Result<ApprovalRow, StoreError> {
    let gates: Vec<Gate> = read_json(row, "gates")?;
    let gates = gates.into_iter().map(|gate| {
        Ok(GateRow {
            policy: PolicyId(gate.policy.into()),
            text: gate.text.parse().map_err(|_| row.unreadable("gates"))?,
            groups: gate.groups,
            quorum: gate.quorum,
        })
    });
    let answers: Vec<Answer> = read_json(row, "answers")?;
    let answers = answers.into_iter().map(|answer| AnswerRow {
        by: answer.by,
        at: Timestamp(answer.at),
        yes: answer.yes,
        gates: answer.gates.into_iter().map(|id| PolicyId(id.into())).collect(),
        comment: answer.comment,
    });
    Ok(ApprovalRow {
        id: row.parsed("id")?,
        agent: row.parsed("agent")?,
        project: row.parsed("project")?,
        session: row.parsed("session")?,
        action: row.parsed("action")?,
        binding: Digest(row.digest("binding")?),
        plane: row.text("plane")?.to_owned(),
        verb: row.text("verb")?.to_owned(),
        resource_kind: row.text("resource_kind")?.to_owned(),
        resource_id: row.text("resource_id")?.to_owned(),
        gates: gates.collect::<Result<_, StoreError>>()?,
        answers: answers.collect(),
        reach: reach(row)?,
        state: row.parsed("state")?,
        note: row.text("note")?.to_owned(),
        requested_at: row.time("requested_at")?,
        expires_at: row.time("expires_at")?,
        closed_at: row.maybe_time("closed_at")?,
        used_by: row.maybe_parsed("used_by")?,
    })
}

fn reach(row: Columns<'_>) -> Result<Reach, StoreError> {
    Ok(match read_json(row, "reach")? {
        ReachForm::Once => Reach::Once,
        ReachForm::Session => Reach::Session,
        ReachForm::Pattern { arguments, rest } => {
            let rest = rest.parse().map_err(|_| row.unreadable("reach"))?;
            Reach::Pattern { arguments, rest }
        }
    })
}

fn read_json<T: DeserializeOwned>(
    row: Columns<'_>,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(row.text(column)?).map_err(|_| row.unreadable(column))
}
