//! Why a decision is as it is, and what would change it.

use std::{cmp::Reverse, fmt};

use provost_types::{Decision, Verdict};

use crate::decide::{Ground, Reach};
use crate::query::Fitted;
use crate::report::asks;
use crate::rule::{Effect, Rule};
use crate::sentence::{listed, quoted};
use crate::trace::{Trace, trace};
use crate::{Policies, Query};

/// Most permits shown as the nearest to what was asked.
const NEAREST_MAX: usize = 5;

/// Most permits evaluated to find the nearest.
const CANDIDATES_MAX: usize = 200;

/// A decision taken apart. The same policies and query give the same explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked, and by whom.
    pub question: String,
    /// What [`Policies::decide`] answers.
    pub decision: Decision,
    /// The policies that determined it, part by part; in the order of `decision.policies`.
    pub determining: Vec<Trace>,
    /// What would change the decision, one sentence each.
    pub changes: Vec<String>,
    /// Where something is denied: the permits that came nearest to allowing it, nearest first.
    pub nearest: Vec<Trace>,
}

impl Policies {
    /// Explains what [`Self::decide`] answers. Slower by far: it takes policies apart.
    pub fn explain(&self, query: &Query<'_>) -> Explanation {
        let question = format!("{} by {}", query.asked(), query.asker());
        let (fitted, ground) = match self.settle(query, &[], Reach::Slice) {
            Ok(settled) => settled,
            Err(unfit) => {
                let change = "no policy can permit it: it is outside the policy schema";
                return Explanation {
                    question,
                    decision: self.report_unfit(&unfit),
                    determining: Vec::new(),
                    changes: vec![change.into()],
                    nearest: Vec::new(),
                };
            }
        };
        let rules: Vec<&Rule> = match &ground {
            Ground::Forbidden(rules)
            | Ground::Permitted(rules)
            | Ground::Held(rules)
            | Ground::Unanswerable(rules) => rules.clone(),
            Ground::Broken(broken) => broken.iter().map(|(rule, _)| *rule).collect(),
            Ground::Nothing => Vec::new(),
        };
        let (changes, nearest) = self.changes(query, &fitted, &ground);
        Explanation {
            question,
            decision: self.report(query, &fitted, &ground),
            determining: rules.into_iter().map(|rule| trace(self, rule, &fitted)).collect(),
            changes,
            nearest,
        }
    }

    fn changes(
        &self,
        query: &Query<'_>,
        fitted: &Fitted,
        ground: &Ground<'_>,
    ) -> (Vec<String>, Vec<Trace>) {
        match ground {
            Ground::Permitted(rules) => {
                let them = if rules.len() == 1 { "it" } else { "all of them" };
                let changes = vec![
                    format!("remove {}, or make {them} not apply", listed(rules)),
                    "add a forbid that applies".into(),
                ];
                (changes, Vec::new())
            }
            Ground::Forbidden(rules) => {
                let change = format!("{} must not apply", listed(rules));
                self.and_then_permit(query, fitted, change)
            }
            Ground::Broken(broken) => {
                let rules: Vec<_> = broken.iter().map(|(rule, _)| *rule).collect();
                let change = format!("correct {}, which cannot be evaluated", listed(&rules));
                self.and_then_permit(query, fitted, change)
            }
            Ground::Held(rules) => {
                let approvals = rules.iter().filter_map(|rule| {
                    Some(format!("approval by {}: it lifts {rule}", asks(rule.gate()?)))
                });
                let gone = format!("or {} must not apply", listed(rules));
                (approvals.chain([gone]).collect(), Vec::new())
            }
            Ground::Unanswerable(rules) => {
                let unknown = listed(&self.unknown_groups(rules));
                let define =
                    format!("define {unknown} in approvers.toml, so that they are asked");
                let gone = format!("or {} must not apply", listed(rules));
                (vec![define, gone], Vec::new())
            }
            Ground::Nothing => self.permit(query, fitted),
        }
    }

    /// `change`, and whether that suffices.
    fn and_then_permit(
        &self,
        query: &Query<'_>,
        fitted: &Fitted,
        change: String,
    ) -> (Vec<String>, Vec<Trace>) {
        let nearest = self.nearest(query, fitted);
        let permitting: Vec<_> =
            nearest.iter().filter(|trace| trace.applies()).map(Trace::named).collect();
        if permitting.is_empty() {
            let (more, nearest) = self.permit(query, fitted);
            let also = more.into_iter().map(|change| format!("and then: {change}"));
            (std::iter::once(change).chain(also).collect(), nearest)
        } else {
            let listed = listed(&permitting);
            (vec![format!("{change}; then {listed} would allow it")], nearest)
        }
    }

    /// What would make something permit it.
    fn permit(&self, query: &Query<'_>, fitted: &Fitted) -> (Vec<String>, Vec<Trace>) {
        let nearest = self.nearest(query, fitted);
        let mut changes: Vec<_> = nearest
            .iter()
            .filter(|trace| !trace.applies())
            .map(|trace| format!("make {} apply: {}", trace.named(), trace.lacks()))
            .collect();
        changes.push(format!(
            "add a permit for principal == Provost::Agent::\"{}\" (or in Provost::Project::\"{}\
             \"), action == {}, resource == {}::{}",
            query.agent,
            query.project,
            fitted.verb.uid,
            query.resource_kind,
            quoted(query.resource_id),
        ));
        (changes, nearest)
    }

    /// Permits that share the principal or the action, those with the fewest failing parts
    /// first.
    fn nearest(&self, query: &Query<'_>, fitted: &Fitted) -> Vec<Trace> {
        let permits = self.rules.iter().filter(|rule| rule.effect == Effect::Permit);
        let mut candidates: Vec<_> = permits
            .map(|rule| (rule.scope.shared(query, fitted.verb), rule))
            .filter(|(shared, _)| *shared > 0)
            .collect();
        candidates.sort_by_key(|(shared, rule)| (Reverse(*shared), rule.id.clone()));
        candidates.truncate(CANDIDATES_MAX);
        let mut traces: Vec<_> = candidates
            .into_iter()
            .map(|(shared, rule)| (shared, trace(self, rule, fitted)))
            .filter(|(_, trace)| !trace.breaks())
            .collect();
        traces.sort_by_key(|(shared, trace)| {
            (trace.failing().count(), Reverse(*shared), trace.id.clone())
        });
        traces.truncate(NEAREST_MAX);
        traces.into_iter().map(|(_, trace)| trace).collect()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.decision.verdict {
            Verdict::Allow => "ALLOW",
            Verdict::Deny => "DENY",
            Verdict::Hold => "HOLD",
        };
        writeln!(f, "{verdict}  {}", self.question)?;
        writeln!(f, "  {}", self.decision.reason)?;
        writeln!(f, "  policies {}", self.decision.version)?;
        section(f, "determined by", &self.determining)?;
        writeln!(f, "\nwhat would change it")?;
        for change in &self.changes {
            writeln!(f, "  - {change}")?;
        }
        section(f, "nearest permits", &self.nearest)
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, traces: &[Trace]) -> fmt::Result {
    if traces.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    traces.iter().try_for_each(|trace| write!(f, "{trace}"))
}
