//! What policy answers to an action.

use std::{fmt, sync::Arc};

use crate::Digest;

/// The id of one policy: its `@id`, or its file and position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyId(pub Arc<str>);

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a whole policy directory: names the rules a decision was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyVersion(pub Digest);

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Yes, no, or ask somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At least one `permit` applies and no `forbid` does.
    Allow,
    /// A `forbid` applies, or nothing permits.
    Deny,
    /// Only gates forbid it, and it would be allowed without them: an approval lifts them.
    Hold,
}

impl Verdict {
    /// The verdict's word in records and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hold => "hold",
        }
    }
}

/// A verdict and what determined it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Yes, no, or ask somebody.
    pub verdict: Verdict,
    /// The policies that determined the verdict, sorted; empty when nothing permits.
    pub policies: Vec<PolicyId>,
    /// The rules it was made under.
    pub version: PolicyVersion,
    /// One sentence fit for the agent: which rule said no, or what is missing.
    pub reason: String,
}
