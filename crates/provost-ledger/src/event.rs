//! What the ledger says: one event an entry, as canonical JSON.
//!
//! The bytes are the restriction of RFC 8785 to sorted keys, no floats, and integers below
//! 2^53, so that one event has one form and any JSON library can read it. Bodies never come
//! here, only their keyed digests: an entry cannot be erased, a body can.

use std::collections::BTreeMap;

use provost_types::{
    ActionId, AgentName, ApprovalId, BootId, Correlation, CredentialId, Decision, Digest,
    Monotonic, Outcome, ProjectName, SessionId, Timestamp, Value,
};

mod brief;
mod read;
mod shorten;
mod wire;
mod write;

pub use brief::Brief;

/// Longest entry. Unit: bytes. Source: C2SP tlog-tiles, "Log entries": a length is a `uint16`.
pub const ENTRY_LEN_MAX: usize = 65_535;

/// Greatest integer an entry can hold. Source: RFC 8785 §3.2.2.3: above it, readers that
/// keep numbers as doubles would see another value.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, by the wall clock. Written as at most [`INTEGER_MAX`].
    pub at: Timestamp,
    /// When, by the clock nobody can set. Compares only within one `boot`.
    pub elapsed: Monotonic,
    /// The server process that saw it.
    pub boot: BootId,
    /// Whom it is about.
    pub subject: Subject,
    /// What happened.
    pub record: Record,
}

/// Whom an event is about: what events are looked up by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The action it belongs to.
    pub action: Option<ActionId>,
    /// The agent it concerns.
    pub agent: Option<AgentName>,
    /// The project it concerns.
    pub project: Option<ProjectName>,
    /// The session it concerns.
    pub session: Option<SessionId>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An admitted action, before it runs.
    Intent(Intent),
    /// What came of an admitted action.
    Outcome(Outcome),
    /// An action that was not admitted.
    Refusal(Refused),
    /// A change to identities, keys, secrets, policies or run state.
    Admin(Admin),
    /// A session began or ended.
    Session(SessionEvent),
    /// The server itself began, ended, or noticed something.
    Server(ServerEvent),
    /// A tool call that is on record was seen on one more plane.
    Witness(Witness),
    /// Something does not fit together, and somebody should look.
    Alert(Alert),
    /// A step of an approval.
    Approval(Approval),
}

/// One more sight of a tool call; the event's subject names the call's action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where it was seen, such as `hook`.
    pub plane: String,
    /// The action that brought it: a hook's report, a wire call.
    pub via: ActionId,
    /// The call's id.
    pub tool_use: String,
    /// Keyed digest of the arguments as they were seen there.
    pub arguments: Option<Digest>,
    /// Their length. Unit: bytes.
    pub argument_bytes: u64,
}

/// What does not fit together; the event's subject names the action it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The rule that found it, such as `arguments-differ`.
    pub rule: String,
    /// One sentence: what was found.
    pub message: String,
    /// Particulars, by ASCII name; never a secret.
    pub detail: BTreeMap<String, String>,
}

/// A step of an approval; the event's subject names the action that was held, or for `used`
/// the one that went ahead by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The approval.
    pub approval: ApprovalId,
    /// What happened to it, such as `requested`.
    pub step: String,
    /// Who did that: `human/NAME`, `local/UID`, `session/ID` or `provost`.
    pub by: String,
    /// Particulars, by ASCII name; never a secret.
    pub detail: BTreeMap<String, String>,
    /// The action as it was held, where it was requested.
    pub intent: Option<Intent>,
}

/// One action as it was understood and decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The plane's word, such as `llm`.
    pub plane: String,
    /// The verb within the plane, such as `message`.
    pub verb: String,
    /// Cedar entity type of what is acted on.
    pub resource_kind: String,
    /// Cedar entity id of what is acted on.
    pub resource_id: String,
    /// What policy saw, by ASCII attribute name. Written sorted; the last of two equal
    /// names counts.
    pub context: Vec<(String, Value)>,
    /// What the client said about itself.
    pub correlation: Correlation,
    /// Keyed digest of the exact bytes asked for, unless the project keeps none.
    pub arguments: Option<Digest>,
    /// Size of the exact bytes asked for. Unit: bytes.
    pub argument_bytes: u64,
    /// The credential it came with.
    pub credential: CredentialId,
    /// What policy answered.
    pub decision: Decision,
}

/// Why an action was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The refusal's code, such as `denied`.
    pub code: String,
    /// One sentence, as the agent was told.
    pub reason: String,
    /// The action, unless it was refused before it was understood.
    pub intent: Option<Intent>,
    /// The credential it came with, where one was recognised.
    pub credential: Option<CredentialId>,
}

/// One administrative change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Who: `human/NAME`, `local/UID` or `agent/NAME`.
    pub by: String,
    /// What, such as `agent.create`.
    pub verb: String,
    /// To what, such as `agent/invoice-bot`.
    pub subject: String,
    /// Particulars, by ASCII name; never a secret.
    pub detail: BTreeMap<String, String>,
}

/// A turn in a session's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// It was opened.
    Started {
        /// Who opened it.
        by: String,
        /// The session's own credential.
        credential: CredentialId,
        /// When it ends at the latest.
        expires_at: Timestamp,
    },
    /// It is over.
    Ended {
        /// Why, in one sentence.
        reason: String,
    },
}

/// A turn in the server's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// It began to serve.
    Started {
        /// The program's version.
        version: String,
        /// Intents found without an outcome, which now have the outcome `unknown`.
        recovered: u64,
    },
    /// It ended in order.
    Stopped,
    /// Wall and monotonic time drifted apart: somebody set the clock.
    ClockStepped {
        /// Wall time minus what monotonic time made of it. Unit: microseconds.
        by_us: i64,
    },
}

/// Bytes that are not an event in its one form.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`ENTRY_LEN_MAX`].
    #[error("the entry has {len} bytes, more than {ENTRY_LEN_MAX}")]
    TooLong {
        /// Length of the entry. Unit: bytes.
        len: usize,
    },
    /// Not JSON, or not JSON of an event's shape.
    #[error("the entry is not an event")]
    Shape(#[from] serde_json::Error),
    /// Written by a later format.
    #[error("the entry has format version {found}, this program reads version 1")]
    Version {
        /// The version it names.
        found: u32,
    },
    /// A field's text is not of the field's type.
    #[error("the entry's field `{field}` does not hold what it should")]
    Field {
        /// The field's name.
        field: &'static str,
    },
    /// An event, but not written in the one form an event has.
    #[error("the entry is an event in a form other than the canonical one")]
    NotCanonical,
}

impl Event {
    /// The event's kind, as filters and the API name it.
    pub fn kind(&self) -> &'static str {
        match &self.record {
            Record::Intent(_) => "intent",
            Record::Outcome(_) => "outcome",
            Record::Refusal(_) => "refusal",
            Record::Admin(_) => "admin",
            Record::Session(_) => "session",
            Record::Server(_) => "server",
            Record::Witness(_) => "witness",
            Record::Alert(_) => "alert",
            Record::Approval(_) => "approval",
        }
    }

    /// The event as a ledger entry of 1 to [`ENTRY_LEN_MAX`] bytes.
    ///
    /// Recording must not fail because a client sent something long. So an event that would
    /// not fit is written with its free texts cut (they then end in `…`) and its lists
    /// clipped, evenly and no more than needed, and says `"shortened":true`.
    pub fn encode(&self) -> Vec<u8> {
        shorten::to_fit(wire::Wire::from(self))
    }

    /// Reads an entry back.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] unless `entry` is exactly what [`Event::encode`] would write.
    pub fn decode(entry: &[u8]) -> Result<Self, DecodeError> {
        read::event(entry)
    }
}
