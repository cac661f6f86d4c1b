//! Decisions in words: sentences that a model can act on and an admin can follow to a line.

use provost_types::{Decision, PolicyId, Verdict};

use crate::decide::Ground;
use crate::gate::Terms;
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
            Ground::Held(rules) => (Verdict::Hold, rules.clone(), held(query, rules)),
            Ground::Unanswerable(rules) => {
                (Verdict::Deny, rules.clone(), self.unanswerable(query, rules))
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

    /// Says which group nobody can be in.
    fn unanswerable(&self, query: &Query<'_>, rules: &[&Rule]) -> String {
        let unknown = self.unknown_groups(rules);
        let (are, not) =
            if unknown.len() == 1 { ("is", "no group") } else { ("are", "not groups") };
        format!(
            "{}, and nobody could approve: {} {are} {not} of approvers.toml",
            determined(query, rules, Effect::Forbid),
            listed(&unknown)
        )
    }

    /// The groups that these gates name and nobody defined, quoted and sorted.
    pub(crate) fn unknown_groups(&self, rules: &[&Rule]) -> Vec<String> {
        let terms = rules.iter().filter_map(|rule| rule.gate());
        let unknown = terms.flat_map(|terms| terms.unknown(&self.approvers));
        let mut unknown: Vec<_> = unknown.map(quoted).collect();
        unknown.sort();
        unknown.dedup();
        unknown
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
    with_reasons(determined(query, rules, Effect::Forbid), rules)
}

/// `policy "a" (x.cedar:1) holds message on Llm::Model "m" until "leads" approve`
fn held(query: &Query<'_>, rules: &[&Rule]) -> String {
    let mut whom: Vec<_> = rules.iter().filter_map(|rule| rule.gate()).map(asks).collect();
    whom.sort();
    whom.dedup();
    let verb = if rules.len() == 1 { "holds" } else { "hold" };
    let (gates, asked, whom) = (listed(rules), query.asked(), listed(&whom));
    with_reasons(format!("{gates} {verb} {asked} until {whom} approve"), rules)
}

/// Whom a gate asks: `"leads"`, or `2 of "leads" or "owners"`.
pub(crate) fn asks(terms: &Terms) -> String {
    let groups: Vec<_> = terms.groups.iter().map(|group| quoted(group)).collect();
    let groups = groups.join(" or ");
    if terms.quorum == 1 { groups } else { format!("{} of {groups}", terms.quorum) }
}

/// `sentence`, and after a colon what the policies give as reasons.
fn with_reasons(mut sentence: String, rules: &[&Rule]) -> String {
    let mut reasons: Vec<_> =
        rules.iter().filter_map(|rule| rule.annotation("reason")).map(one_line).collect();
    reasons.sort();
    reasons.dedup();
    if !reasons.is_empty() {
        sentence.push_str(": ");
        sentence.push_str(&listed(&reasons));
    }
    sentence
}

fn broken(query: &Query<'_>, broken: &[(&Rule, String)]) -> String {
    let faults: Vec<_> = broken
        .iter()
        .map(|(rule, fault)| format!("{rule} could not be evaluated: {}", one_line(fault)))
        .collect();
    format!("{} is denied because {}", query.asked(), listed(&faults))
}
