//! Which policies can apply to an agent and an action, without evaluating any.
//!
//! Cedar's evaluation is linear in the number of policies. The index files each policy under
//! the one entity its principal scope names (or "any") and the actions its action scope names
//! (or "any"), permits and forbids alike. It may select a policy that does not apply, and
//! Cedar then says so; it never leaves out one that does: `tests/it/slicing.rs`.

use std::collections::{HashMap, HashSet};

use cedar_policy::EntityUid;
use provost_types::{AgentName, ProjectName};

use crate::Query;
use crate::rule::Rule;
use crate::schema::{VOCABULARY, Verb};

/// `None` is "any".
type Cell = (Option<EntityUid>, Option<EntityUid>);

pub(crate) struct Index {
    cells: HashMap<Cell, Vec<usize>>,
    /// Names that some principal scope speaks of.
    agents: HashSet<String>,
    projects: HashSet<String>,
}

/// Equal for queries with the same slice, by and large: agents that no policy names share one.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SliceKey {
    agent: Option<AgentName>,
    project: Option<ProjectName>,
    verb: usize,
}

impl Index {
    pub(crate) fn of(rules: &[Rule]) -> Self {
        let mut index =
            Self { cells: HashMap::new(), agents: HashSet::new(), projects: HashSet::new() };
        for (number, rule) in rules.iter().enumerate() {
            index.add(number, rule);
        }
        index
    }

    fn add(&mut self, number: usize, rule: &Rule) {
        // A principal of another type is no agent's and no project's; filed under "any" it is
        // at least never lost.
        let principal = rule.scope.principal.as_ref().filter(|uid| {
            if let Some(name) = VOCABULARY.agent_name(uid) {
                self.agents.insert(name.to_owned());
                true
            } else if let Some(name) = VOCABULARY.project_name(uid) {
                self.projects.insert(name.to_owned());
                true
            } else {
                false
            }
        });
        let actions = match &rule.scope.actions {
            None => vec![None],
            Some(actions) => actions.iter().cloned().map(Some).collect(),
        };
        for action in actions {
            self.cells.entry((principal.cloned(), action)).or_default().push(number);
        }
    }

    /// The policies that can apply, as positions in the list given to [`Self::of`], ascending.
    pub(crate) fn select(&self, query: &Query<'_>, verb: &Verb) -> Vec<usize> {
        let agent = VOCABULARY.agent(query.agent.as_str());
        let project = VOCABULARY.project(query.project.as_str());
        let actions = [None, Some(verb.uid.clone())]
            .into_iter()
            .chain(verb.groups.iter().cloned().map(Some));
        let mut selected: Vec<_> = actions
            .flat_map(|action| {
                [None, Some(agent.clone()), Some(project.clone())]
                    .map(|principal| (principal, action.clone()))
            })
            .filter_map(|cell| self.cells.get(&cell))
            .flatten()
            .copied()
            .collect();
        selected.sort_unstable();
        selected.dedup(); // `action in [a, b]` is filed under both
        selected
    }

    /// What the selection depends on.
    pub(crate) fn key(&self, query: &Query<'_>, verb: usize) -> SliceKey {
        SliceKey {
            agent: self.agents.contains(query.agent.as_str()).then(|| query.agent.clone()),
            project: self
                .projects
                .contains(query.project.as_str())
                .then(|| query.project.clone()),
            verb,
        }
    }
}
