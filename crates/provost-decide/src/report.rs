//! Decisions in words: sentences that a model can act on and an admin can follow to a line.

use provost_types::{Decision, PolicyId, Verdict};

use crate::decide::Ground;
use crate::query::{Fitted, Unfit};
use crate::rule::{Effect, Rule};
use crate::sentence::{listed, one_line, quoted};
use crate::{Policies, Query};

impl Policies {
    pub(crate) fn report(
        &self,
        query: &Query<'_>,
        fitted: &Fitted,
        ground: &Ground<'_>,
    ) -> Decision {
        let (verdict, rules, reason) = match ground {
            Ground::Forbidden(rules) => (Verdict::Deny, rules.clone(), forbidden(query, rules)),
            Ground::Broken(broken) => {
                let rules = broken.iter().map(|(rule, _)| *rule).collect();
                (Verdict::Deny, rules, self::broken(query, broken))
            }
            Ground::Permitted(rules) => {
                (Verdict::Allow, rules.clone(), determined(query, rules, Effect::Permit))
            }
            Ground::Nothing => (Verdict::Deny, Vec::new(), self.not_permitted(query, fitted)),
        };
        let policies: Vec<PolicyId> = rules.iter().map(|rule| rule.id.clone()).collect();
        Decision { verdict, policies, version: self.version(), reason }
    }

    pub(crate) fn report_unfit(&self, unfit: &Unfit) -> Decision {
        Decision {
            verdict: Verdict::Deny,
            policies: Vec::new(),
            version: self.version(),
            reason: unfit.to_string(),
        }
    }

    /// Says what is missing, and the one thing to ask for. Permits that speak to this agent
    /// about this action are named: the fault may be in what was asked with it.
    fn not_permitted(&self, query: &Query<'_>, fitted: &Fitted) -> String {
        let selected = self.index.select(query, fitted.verb);
        let near: Vec<_> = selected
            .into_iter()
            .filter_map(|number| self.rules.get(number))
            .filter(|rule| rule.effect == Effect::Permit)
            .collect();
        let but = match near.as_slice() {
            [] => String::new(),
            near => format!(" ({} to permit {}, but not this)", exist(near), query.verb),
        };
        let kind = query.resource_kind.rsplit("::").next().unwrap_or_default();
        format!(
            "no policy permits {}{but}: ask an admin to permit {} on this {} for {}",
            query.asked(),
            fitted.verb.uid,
            kind.to_ascii_lowercase(),
            query.asker(),
        )
    }
}

fn exist(rules: &[&Rule]) -> String {
    let verb = if rules.len() == 1 { "exists" } else { "exist" };
    format!("{} {verb}", listed(rules))
}

/// `policy "a" (x.cedar:1) forbids message on Llm::Model "m"`
fn determined(query: &Query<'_>, rules: &[&Rule], effect: Effect) -> String {
    let ending = if rules.len() == 1 { "s" } else { "" };
    format!("{} {effect}{ending} {}", listed(rules), query.asked())
}

fn forbidden(query: &Query<'_>, rules: &[&Rule]) -> String {
    let mut sentence = determined(query, rules, Effect::Forbid);
    let mut reasons: Vec<_> =
        rules.iter().filter_map(|rule| rule.annotation("reason")).map(one_line).collect();
    reasons.sort();
    reasons.dedup();
    if !reasons.is_empty() {
        sentence.push_str(": ");
        sentence.push_str(&listed(&reasons));
    }
    let gate = rules.iter().find_map(|rule| rule.annotation("approvers"));
    if let Some(approvers) = gate.filter(|_| rules.iter().all(|rule| is_gate(rule))) {
        let approvers = quoted(approvers);
        sentence.push_str(&format!("; approval by {approvers} cannot be given yet"));
    }
    sentence
}

/// Whether an approval would lift this forbid.
pub(crate) fn is_gate(rule: &Rule) -> bool {
    rule.annotation("approvers").is_some()
}

fn broken(query: &Query<'_>, broken: &[(&Rule, String)]) -> String {
    let faults: Vec<_> = broken
        .iter()
        .map(|(rule, fault)| format!("{rule} could not be evaluated: {}", one_line(fault)))
        .collect();
    format!("{} is denied because {}", query.asked(), listed(&faults))
}
