//! One compiled set of policies.

use std::{collections::HashMap, fmt, sync::Arc};

use cedar_policy::{Authorizer, PolicyId as CedarId, PolicySet};
use provost_types::{Digest, PolicyId, PolicyVersion};
use sha2::{Digest as _, Sha256};

use crate::approvers::Approvers;
use crate::cache::Recent;
use crate::gallery::Gallery;
use crate::index::{Index, SliceKey};
use crate::load::{self, Loaded};
use crate::memory::Memory;
use crate::rule::Rule;
use crate::{Finding, Listed, SourceFile};

/// Most policies in each generation of remembered slices: a slice weighs what it holds, about
/// a kilobyte a policy. Unit: policies.
const SLICED_POLICIES_MAX: usize = 32_768;

/// A whole policy directory, compiled: immutable, and shared by everyone who asks.
pub struct Policies {
    pub(crate) rules: Vec<Rule>,
    /// Positions in `rules`.
    pub(crate) numbers: HashMap<CedarId, usize>,
    pub(crate) all: PolicySet,
    pub(crate) index: Index,
    pub(crate) slices: Recent<SliceKey, Arc<PolicySet>>,
    pub(crate) gallery: Gallery,
    pub(crate) memory: Memory,
    pub(crate) authorizer: Authorizer,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) approvers: Approvers,
    version: PolicyVersion,
}

impl Policies {
    /// Compiles policy files and `approvers.toml`, all or nothing. No files at all is a valid
    /// set: it denies all.
    ///
    /// # Errors
    ///
    /// Every syntax error, schema error (strict validation), bad or duplicate `@id`, malformed
    /// gate, fault in `approvers.toml` and duplicate or unknown file, sorted by place; all of
    /// severity [`Error`](crate::Severity::Error).
    pub fn compile(files: &[SourceFile]) -> Result<Self, Vec<Finding>> {
        let Loaded { rules, set, approvers, warnings } = load::load(files)?;
        let numbers = rules.iter().enumerate();
        Ok(Self {
            numbers: numbers.map(|(at, rule)| (rule.policy.id().clone(), at)).collect(),
            index: Index::of(&rules),
            rules,
            all: set,
            slices: Recent::new(SLICED_POLICIES_MAX),
            gallery: Gallery::new(),
            memory: Memory::new(),
            authorizer: Authorizer::new(),
            warnings,
            approvers,
            version: version_of(files),
        })
    }

    /// SHA-256 over the files, sorted, each name and text preceded by its length in bytes as
    /// eight big-endian bytes. It changes with any change to any file, comments included.
    pub fn version(&self) -> PolicyVersion {
        self.version
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none, so that everything is denied.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The policies, by file name and position.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.rules.iter().map(Rule::listed)
    }

    /// Who may answer what the gates hold.
    pub fn approvers(&self) -> &Approvers {
        &self.approvers
    }

    /// The rule of a Cedar id.
    pub(crate) fn named(&self, id: &PolicyId) -> Option<&Rule> {
        self.rule(&CedarId::new(&id.0))
    }

    pub(crate) fn rule(&self, id: &CedarId) -> Option<&Rule> {
        self.numbers.get(id).and_then(|number| self.rules.get(*number))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies")
            .field("version", &self.version)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn version_of(files: &[SourceFile]) -> PolicyVersion {
    let mut parts: Vec<_> = files.iter().map(|file| [&file.name, &file.text]).collect();
    parts.sort();
    let mut hash = Sha256::new();
    for text in parts.into_iter().flatten() {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    PolicyVersion(Digest(hash.finalize().into()))
}
