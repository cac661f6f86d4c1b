//! The JSON form of an event.
//!
//! Fields stand in alphabetical order, because serde writes them as they stand and canonical
//! JSON has its keys sorted.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

/// The format version written and read.
pub(super) const VERSION: u32 = 1;

/// Free text: borrowed from the event when written, owned when read.
pub(super) type Text<'a> = Cow<'a, str>;

#[derive(Serialize, Deserialize)]
pub(super) struct Wire<'a> {
    pub(super) at_us: u64,
    pub(super) boot: Text<'a>,
    pub(super) elapsed_us: u64,
    pub(super) record: Record<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shortened: Option<bool>,
    pub(super) subject: Subject<'a>,
    pub(super) v: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Subject<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record<'a> {
    Intent(Intent<'a>),
    Outcome(Outcome<'a>),
    Refusal(Refusal<'a>),
    Admin(Admin<'a>),
    Session(Session<'a>),
    Server(Server<'a>),
    Witness(Witness<'a>),
    Alert(Alert<'a>),
    Approval(Approval<'a>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Witness<'a> {
    pub(super) argument_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Text<'a>>,
    pub(super) plane: Text<'a>,
    pub(super) tool_use: Text<'a>,
    pub(super) via: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Alert<'a> {
    pub(super) detail: BTreeMap<Text<'a>, Text<'a>>,
    pub(super) message: Text<'a>,
    pub(super) rule: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Approval<'a> {
    pub(super) approval: Text<'a>,
    pub(super) by: Text<'a>,
    pub(super) detail: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<Intent<'a>>,
    pub(super) step: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Intent<'a> {
    pub(super) argument_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<Text<'a>>,
    pub(super) context: BTreeMap<Text<'a>, Value<'a>>,
    pub(super) correlation: Correlation<'a>,
    pub(super) credential: Text<'a>,
    pub(super) decision: Decision<'a>,
    pub(super) plane: Text<'a>,
    pub(super) resource_id: Text<'a>,
    pub(super) resource_kind: Text<'a>,
    pub(super) verb: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Bool(bool),
    Long(i64),
    Text(Text<'a>),
    Texts(Vec<Text<'a>>),
    /// A `Long` that a JSON number cannot hold exactly, in decimal digits.
    BigLong {
        long: Text<'a>,
    },
    Tags {
        tags: BTreeMap<Text<'a>, Text<'a>>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Correlation<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked_in: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_request: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_session: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subagent: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool_use: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Decision<'a> {
    pub(super) policies: Vec<Text<'a>>,
    pub(super) reason: Text<'a>,
    pub(super) verdict: Verdict,
    pub(super) version: Text<'a>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Allow,
    Deny,
    Hold,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Outcome<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Text<'a>>,
    pub(super) result_bytes: u64,
    pub(super) status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stop_reason: Option<Text<'a>>,
    pub(super) tool_uses: Vec<ToolUse<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upstream_request: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Succeeded,
    Failed,
    Aborted,
    Unknown,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ToolUse<'a> {
    pub(super) id: Text<'a>,
    pub(super) name: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) input: u64,
    pub(super) output: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Refusal<'a> {
    pub(super) code: Text<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) credential: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<Intent<'a>>,
    pub(super) reason: Text<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Admin<'a> {
    pub(super) by: Text<'a>,
    pub(super) detail: BTreeMap<Text<'a>, Text<'a>>,
    pub(super) subject: Text<'a>,
    pub(super) verb: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Session<'a> {
    Started { by: Text<'a>, credential: Text<'a>, expires_at_us: u64 },
    Ended { reason: Text<'a> },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Server<'a> {
    Started { recovered: u64, version: Text<'a> },
    Stopped {},
    ClockStepped { by_us: i64 },
}
