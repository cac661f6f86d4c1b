//! Who may answer what gates hold: `approvers.toml`, compiled, and two built-in groups.

mod quiet;
mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use provost_types::Role;

pub use quiet::Quiet;
pub(crate) use read::read;

/// The file's name in the policy directory.
pub(crate) const FILE_NAME: &str = "approvers.toml";

/// The group of everyone with the role approver or admin, and whoever may open the data
/// directory.
pub(crate) const APPROVERS: &str = "approvers";

/// The group of everyone with the role admin, and whoever may open the data directory.
pub(crate) const ADMINS: &str = "admins";

/// The member that is not a person: whoever may open the data directory.
const LOCAL: &str = "local";

/// Longest name of a group. Unit: bytes.
const NAME_LEN_MAX: usize = 64;

/// What a group's name may be, in words.
pub(crate) const NAME_FORM: &str = "1 to 64 letters, digits and `_`, `-`";

/// The groups that gates may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers {
    groups: BTreeMap<String, Group>,
}

/// One group of `approvers.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// People's names; `local` is whoever may open the data directory.
    pub members: BTreeSet<String>,
    /// Whoever opened the agent's session cannot answer for it.
    pub not_own: bool,
    /// The group that is asked as well when nobody answers.
    pub then: Option<String>,
    /// For how long nobody need have answered; there exactly if `then` is.
    pub after: Option<Duration>,
    /// The hours in which `then` is asked at once.
    pub quiet: Option<Quiet>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// Whoever may open the data directory.
    Local,
    /// A person with a token.
    Human {
        /// Their name.
        name: &'a str,
        /// What they may do.
        role: Role,
    },
}

impl Approvers {
    /// The group of that name, if `approvers.toml` defines it. The built-in ones it does not.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The groups of `approvers.toml`, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(name, group)| (name.as_str(), group))
    }

    /// Whether there is such a group, defined or built in.
    pub fn is_known(&self, group: &str) -> bool {
        is_built_in(group) || self.groups.contains_key(group)
    }

    /// Whether they are in the group; in one that does not exist nobody is. `not_own` and the
    /// groups asked later are for the caller to look at.
    pub fn may_answer(&self, group: &str, who: &Who<'_>) -> bool {
        match (group, who) {
            (APPROVERS | ADMINS, Who::Local) => true,
            (APPROVERS, Who::Human { role, .. }) => {
                matches!(role, Role::Approver | Role::Admin)
            }
            (ADMINS, Who::Human { role, .. }) => *role == Role::Admin,
            (_, Who::Local) => self.has_member(group, LOCAL),
            // A person may be called "local": the word means somebody else here.
            (_, Who::Human { name, .. }) => *name != LOCAL && self.has_member(group, name),
        }
    }

    /// The group that is asked as well when nobody in this one answers, and after how long.
    pub fn next(&self, group: &str) -> Option<(&str, Duration)> {
        let group = self.groups.get(group)?;
        Some((group.then.as_deref()?, group.after?))
    }

    /// How many can answer, at most, when these groups are asked and then those after them.
    /// `None` if a built-in one is among them: how many it has is not written in any file.
    pub(crate) fn count(&self, groups: &[String]) -> Option<usize> {
        let mut members = BTreeSet::new();
        for first in groups {
            let mut name = Some(first.as_str());
            while let Some(asked) = name {
                if is_built_in(asked) {
                    return None;
                }
                members.extend(self.groups.get(asked).into_iter().flat_map(|it| &it.members));
                // No circle: those are refused when the file is read.
                name = self.next(asked).map(|(then, _)| then);
            }
        }
        Some(members.len())
    }

    fn has_member(&self, group: &str, name: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.members.contains(name))
    }
}

/// Whether everybody has this group, and no file may define it.
pub(crate) fn is_built_in(group: &str) -> bool {
    [APPROVERS, ADMINS].contains(&group)
}

/// Whether a group can have this name.
pub(crate) fn is_group_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_inner)
}
