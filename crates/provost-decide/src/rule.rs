//! One policy as we keep it: Cedar's form, its name, and where it is written.

use std::{fmt, sync::Arc};

use cedar_policy::{ActionConstraint, EntityUid, PrincipalConstraint};
use provost_types::PolicyId;

use crate::gate::Terms;
use crate::schema::{VOCABULARY, Verb};
use crate::{Finding, Query, Severity};

/// What a policy does where it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Allows, unless something forbids.
    Permit,
    /// Denies, whatever permits.
    Forbid,
}

impl Effect {
    /// Cedar's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One policy of a set, for listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its id: `@id`, or its file and position.
    pub id: &'a PolicyId,
    /// Permit or forbid.
    pub effect: Effect,
    /// The file it is in.
    pub file: &'a str,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Its text, annotations included, comments before it not.
    pub text: &'a str,
}

pub(crate) struct Rule {
    pub(crate) id: PolicyId,
    pub(crate) effect: Effect,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Where it begins in its file. Unit: bytes.
    pub(crate) offset: usize,
    pub(crate) text: String,
    /// Carries `id` as its Cedar id.
    pub(crate) policy: cedar_policy::Policy,
    pub(crate) scope: Scope,
    /// What its annotations ask for; of a permit, that means nothing.
    pub(crate) terms: Option<Terms>,
}

/// The part of a policy's scope that the index looks at.
pub(crate) struct Scope {
    /// The one entity the principal must be, or be in; `None` for any.
    pub(crate) principal: Option<EntityUid>,
    /// The entities the action must be, or be in, one of; `None` for any.
    pub(crate) actions: Option<Vec<EntityUid>>,
}

impl Scope {
    pub(crate) fn of(policy: &cedar_policy::Policy) -> Self {
        Self {
            principal: match policy.principal_constraint() {
                // `is` alone says little: every principal there is today is an agent.
                PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
                PrincipalConstraint::Eq(uid)
                | PrincipalConstraint::In(uid)
                | PrincipalConstraint::IsIn(_, uid) => Some(uid),
            },
            actions: match policy.action_constraint() {
                ActionConstraint::Any => None,
                ActionConstraint::Eq(uid) => Some(vec![uid]),
                ActionConstraint::In(uids) => Some(uids),
            },
        }
    }

    /// Whether the scope covers the verb.
    pub(crate) fn covers(&self, verb: &Verb) -> bool {
        self.actions.as_ref().is_none_or(|actions| {
            actions.iter().any(|action| *action == verb.uid || verb.groups.contains(action))
        })
    }

    /// How near the scope is to covering an agent and a verb, in that weight: 0 is not at all.
    pub(crate) fn shared(&self, query: &Query<'_>, verb: &Verb) -> u8 {
        let covers_agent = self.principal.as_ref().is_none_or(|uid| {
            VOCABULARY.agent_name(uid) == Some(query.agent.as_str())
                || VOCABULARY.project_name(uid) == Some(query.project.as_str())
        });
        match (covers_agent, self.covers(verb)) {
            (true, true) => 3,
            (true, false) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }
}

impl Rule {
    pub(crate) fn listed(&self) -> Listed<'_> {
        Listed {
            id: &self.id,
            effect: self.effect,
            file: &self.file,
            line: self.line,
            text: &self.text,
        }
    }

    /// An annotation's value, if it is there and not empty.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.policy.annotation(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn finding(
        &self,
        severity: Severity,
        code: &'static str,
        message: String,
    ) -> Finding {
        let Self { line, column, .. } = *self;
        Finding { file: self.file.to_string(), line, column, severity, code, message }
    }
}

/// `policy "no-opus" (models.cedar:12)`
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy \"{}\" ({}:{})", self.id, self.file, self.line)
    }
}
