//! Remarks on policies that load but probably do not do what their author means.

use std::sync::Arc;

use cedar_policy::{EntityUid, ResourceConstraint, pst};
use provost_types::{AgentName, ProjectName};

use crate::gate::Terms;
use crate::report::asks;
use crate::rule::{Effect, Rule};
use crate::schema::{VOCABULARY, Verb};
use crate::sentence::{listed, quoted};
use crate::{Finding, Policies, Severity};

/// Annotations that mean something to us.
const ANNOTATIONS: [&str; 7] = ["approvers", "ask", "expires", "id", "quorum", "reason", "set"];

type Remark = (Severity, &'static str, String);

impl Policies {
    /// What is unwise in this set, sorted by place. None of it is an error: those keep a set
    /// from compiling.
    pub fn lint(&self) -> Vec<Finding> {
        let mut findings = self.warnings.clone();
        for rule in &self.rules {
            let remarks = self.remarks(rule).into_iter();
            findings.extend(
                remarks.map(|(severity, code, text)| rule.finding(severity, code, text)),
            );
        }
        findings.sort();
        findings
    }

    fn remarks(&self, rule: &Rule) -> Vec<Remark> {
        let mut remarks = annotations(rule);
        remarks.extend(rule.scope.principal.as_ref().and_then(impossible_name));
        remarks.extend(approval(rule));
        remarks.extend(rule.gate().into_iter().flat_map(|terms| self.answerable(terms)));
        if rule.effect == Effect::Permit {
            remarks.extend(widths(rule));
        }
        remarks
    }

    /// Whether there are those whom a gate asks, and enough of them.
    fn answerable(&self, terms: &Terms) -> Vec<Remark> {
        let unknown: Vec<_> = terms.unknown(&self.approvers).map(quoted).collect();
        if !unknown.is_empty() {
            let message = format!(
                "approvers.toml has no group {}: this gate denies, for nobody could answer",
                listed(&unknown)
            );
            return vec![(Severity::Warning, "unknown-group", message)];
        }
        let count = self.approvers.count(&terms.groups);
        let too_few = count.filter(|count| terms.quorum as usize > *count);
        let remark = too_few.map(|count| {
            let message =
                format!("waits for {}, and there are {count}: it never lifts", asks(terms));
            (Severity::Warning, "quorum-unreachable", message)
        });
        remark.into_iter().collect()
    }
}

/// Whether gates, and nothing else, look at `context.approved`.
fn approval(rule: &Rule) -> Option<Remark> {
    let looks = conditions(rule).iter().any(|condition| mentions(condition, is_approved));
    let (code, message) = match (rule.effect, rule.gate()) {
        (Effect::Forbid, Some(_)) if !looks => (
            "gate-never-lifts",
            "an approval changes nothing, so this denies: add `unless { context.approved }`",
        ),
        (Effect::Forbid, None) if looks => (
            "approved-without-gate",
            "nobody is asked, so context.approved does not lift this: add @approvers(\"...\")",
        ),
        (Effect::Permit, _) if looks => (
            "approved-on-permit",
            "people are asked only where a gate forbids: context.approved belongs on a forbid \
             with @approvers",
        ),
        _ => return None,
    };
    Some((Severity::Warning, code, message.into()))
}

fn annotations(rule: &Rule) -> Vec<Remark> {
    let mut remarks: Vec<_> = rule
        .policy
        .annotations()
        .filter(|(name, _)| !ANNOTATIONS.contains(name))
        .map(|(name, _)| {
            let known = ANNOTATIONS.join(", @");
            let message = format!("@{name} means nothing here; known annotations are @{known}");
            (Severity::Warning, "unknown-annotation", message)
        })
        .collect();
    if rule.policy.annotation("id").is_none() {
        let message = format!(
            "no @id: decisions will name it {:?}, which changes when lines are added above it",
            &*rule.id.0
        );
        remarks.push((Severity::Warning, "missing-id", message));
    }
    match (rule.annotation("ask"), rule.effect) {
        (None, _) | (Some("user"), Effect::Permit) => {}
        (Some(_), _) => {
            let message = "@ask means something on a permit only, as @ask(\"user\")";
            remarks.push((Severity::Warning, "idle-ask", message.into()));
        }
    }
    if rule.effect == Effect::Forbid && rule.annotation("set").is_some() {
        let message = "@set means something on a permit only";
        remarks.push((Severity::Warning, "idle-set", message.into()));
    }
    if rule.effect == Effect::Permit && rule.terms.is_some() {
        let message = "@approvers means nothing on a permit: only a forbid can be a gate";
        remarks.push((Severity::Warning, "gate-on-permit", message.into()));
    }
    remarks
}

fn impossible_name(uid: &EntityUid) -> Option<Remark> {
    let (what, is_name) = if let Some(name) = VOCABULARY.agent_name(uid) {
        ("agent", name.parse::<AgentName>().is_ok())
    } else {
        ("project", VOCABULARY.project_name(uid)?.parse::<ProjectName>().is_ok())
    };
    (!is_name).then(|| {
        let name = quoted(uid.id().unescaped());
        let message = format!("no {what} can be named {name}: this policy never applies");
        (Severity::Warning, "impossible-name", message)
    })
}

/// The ways in which a permit is wider than it need be.
fn widths(rule: &Rule) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut warn =
        |code, message: &str| remarks.push((Severity::Warning, code, message.into()));
    if rule.scope.principal.is_none() {
        warn(
            "wildcard-principal",
            "permits every agent of every project: name an agent \
             (principal == Provost::Agent::\"...\") or a project \
             (principal in Provost::Project::\"...\")",
        );
    }
    if rule.scope.actions.is_none() {
        warn(
            "wildcard-action",
            "permits every action there is or will be: name the actions, or a plane's all \
             (action in Llm::Action::\"all\")",
        );
    }
    let conditions = conditions(rule);
    let names_resource = conditions.iter().any(|condition| mentions(condition, is_resource));
    if is_any_resource(rule) && !names_resource && applies(rule, has_choice) {
        warn(
            "wildcard-resource",
            "permits every resource: name one (resource == ...) or add a condition on it, such \
             as `when { resource.name like \"claude-sonnet-*\" }`",
        );
    }
    if applies(rule, is_message) && !conditions.iter().any(|it| mentions(it, is_max_tokens)) {
        let message = "no condition on context.max_tokens: answers may be as long as the model \
                       allows, unless a forbid limits them";
        remarks.push((Severity::Info, "unbounded-max-tokens", message.into()));
    }
    remarks
}

fn is_any_resource(rule: &Rule) -> bool {
    matches!(
        rule.policy.resource_constraint(),
        ResourceConstraint::Any | ResourceConstraint::Is(_)
    )
}

/// Whether the rule's action scope covers a verb of which `test` holds.
fn applies(rule: &Rule, test: fn(&Verb) -> bool) -> bool {
    VOCABULARY.verbs().any(|verb| test(verb) && rule.scope.covers(verb))
}

/// Whether it matters which resource: there is one catalog, and hooks tell of all events.
fn has_choice(verb: &Verb) -> bool {
    verb.kinds.iter().any(|kind| !["Hook::Event", "Llm::Catalog"].contains(&kind.as_str()))
}

fn is_message(verb: &Verb) -> bool {
    verb.plane == "llm" && verb.name == "message"
}

/// The expressions of the rule's `when` and `unless` clauses.
pub(crate) fn conditions(rule: &Rule) -> Vec<Arc<pst::Expr>> {
    let clauses = rule.policy.to_pst().map(|policy| policy.body().clauses().clone());
    let clauses = clauses.unwrap_or_default().into_iter();
    clauses
        .map(|clause| match clause {
            pst::Clause::When(condition) | pst::Clause::Unless(condition) => condition,
        })
        .collect()
}

fn mentions(condition: &pst::Expr, test: fn(&pst::Expr) -> bool) -> bool {
    condition.reduce(&|part| test(part).then_some(true), &|a, b| a || b, false)
}

fn is_resource(part: &pst::Expr) -> bool {
    matches!(part, pst::Expr::Var(pst::Var::Resource))
}

fn is_approved(part: &pst::Expr) -> bool {
    matches!(part, pst::Expr::GetAttr { expr, attr }
        if attr == "approved" && matches!(**expr, pst::Expr::Var(pst::Var::Context)))
}

fn is_max_tokens(part: &pst::Expr) -> bool {
    matches!(part, pst::Expr::GetAttr { expr, attr }
        if attr == "max_tokens" && matches!(**expr, pst::Expr::Var(pst::Var::Context)))
}
