//! Gates: forbids that an approval lifts, and what their annotations ask for.

use std::time::Duration;

use provost_types::{Decision, Digest, PolicyId, Verdict};
use sha2::{Digest as _, Sha256};

use crate::approvers::is_group_name;
use crate::obligation::read_sets;
use crate::period::{self, period};
use crate::rule::{Effect, Rule};
use crate::sentence::{one_line, quoted};
use crate::{Policies, approvers};

/// Most groups one gate names.
const GROUPS_MAX: usize = 8;

/// Most people one gate waits for.
const QUORUM_MAX: u32 = 20;

/// A gate that holds an action: whom to ask, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The policy's id.
    pub policy: PolicyId,
    /// SHA-256 of its text, annotations included: a changed gate is a new question.
    pub text: Digest,
    /// The groups whose members may answer, in the order of the text.
    pub groups: Vec<String>,
    /// How many of them must agree.
    pub quorum: u32,
    /// How long they are asked, if the gate says.
    pub expires: Option<Duration>,
    /// Its `@reason`, on one line.
    pub reason: Option<String>,
    /// The file it is in.
    pub file: String,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// A gate that people lifted for one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifted {
    /// The policy's id.
    pub policy: PolicyId,
    /// SHA-256 of the text it had when they were asked.
    pub text: Digest,
}

/// What a policy's `@approvers`, `@quorum` and `@expires` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) groups: Vec<String>,
    pub(crate) quorum: u32,
    pub(crate) expires: Option<Duration>,
}

/// A fault in such an annotation: code and sentence.
pub(crate) type TermFault = (&'static str, String);

impl Policies {
    /// The gates of a decision to hold, if this very set made it; otherwise none.
    pub fn gates(&self, decision: &Decision) -> Vec<Gate> {
        if decision.verdict != Verdict::Hold || decision.version != self.version() {
            return Vec::new();
        }
        decision.policies.iter().filter_map(|id| self.gate(id)).collect()
    }

    /// The policy of that id, if it is a gate.
    pub fn gate(&self, policy: &PolicyId) -> Option<Gate> {
        self.named(policy).and_then(gate)
    }
}

fn gate(rule: &Rule) -> Option<Gate> {
    let Terms { groups, quorum, expires } = rule.gate()?.clone();
    Some(Gate {
        policy: rule.id.clone(),
        text: rule.digest(),
        groups,
        quorum,
        expires,
        reason: rule.annotation("reason").map(one_line),
        file: rule.file.to_string(),
        line: rule.line,
    })
}

impl Rule {
    /// What lifts it, if it is a gate.
    pub(crate) fn gate(&self) -> Option<&Terms> {
        self.terms.as_ref().filter(|_| self.effect == Effect::Forbid)
    }

    /// SHA-256 of its text.
    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(&self.text).into())
    }

    /// Whether it is among `lifted`, as it stands now.
    pub(crate) fn is_among(&self, lifted: &[Lifted]) -> bool {
        let mut same = lifted.iter().filter(|lifted| lifted.policy == self.id);
        same.any(|lifted| lifted.text == self.digest())
    }
}

impl Terms {
    /// Reads a policy's annotations; none without `@approvers`.
    ///
    /// # Errors
    ///
    /// Every one that is malformed, on permits and on forbids that are no gates as well.
    pub(crate) fn of(policy: &cedar_policy::Policy) -> Result<Option<Self>, Vec<TermFault>> {
        let mut faults = Vec::new();
        let mut keep = |fault: TermFault| faults.push(fault);
        let groups = policy.annotation("approvers").map(groups);
        let groups = groups.and_then(|groups| groups.map_err(&mut keep).ok());
        let quorum = policy.annotation("quorum").map_or(Ok(1), quorum);
        let quorum = quorum.map_err(&mut keep).unwrap_or(1);
        let expires = policy.annotation("expires").map(expires).transpose();
        let expires = expires.map_err(&mut keep).ok().flatten();
        let sets = policy.annotation("set").map(read_sets).transpose();
        if let Err(fault) = sets {
            keep(fault);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(groups.map(|groups| Self { groups, quorum, expires }))
    }

    /// The groups it names that nobody defined.
    pub(crate) fn unknown<'a>(
        &'a self,
        approvers: &approvers::Approvers,
    ) -> impl Iterator<Item = &'a str> {
        self.groups.iter().map(String::as_str).filter(|group| !approvers.is_known(group))
    }
}

fn groups(text: &str) -> Result<Vec<String>, TermFault> {
    let groups: Vec<String> = text.split(',').map(|group| group.trim().to_owned()).collect();
    let is_twice = (1..groups.len())
        .any(|at| groups.get(at).is_some_and(|it| groups.iter().take(at).any(|one| one == it)));
    if !is_twice && groups.len() <= GROUPS_MAX && groups.iter().all(|it| is_group_name(it)) {
        return Ok(groups);
    }
    let message = format!(
        "@approvers({}) names no groups: use 1 to {GROUPS_MAX} different names with commas \
         between them, each {}",
        quoted(text),
        approvers::NAME_FORM,
    );
    Err(("bad-approvers", message))
}

fn quorum(text: &str) -> Result<u32, TermFault> {
    let number = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    number
        .and_then(|text| text.parse().ok())
        .filter(|number| (1..=QUORUM_MAX).contains(number))
        .ok_or_else(|| {
            let message =
                format!("@quorum({}) is not a number from 1 to {QUORUM_MAX}", quoted(text));
            ("bad-quorum", message)
        })
}

fn expires(text: &str) -> Result<Duration, TermFault> {
    period(text).ok_or_else(|| {
        let message =
            format!("@expires({}) is not a length of time: use {}", quoted(text), period::FORM);
        ("bad-expires", message)
    })
}
