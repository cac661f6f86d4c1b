//! One policy against one query, part by part: which scopes and conditions hold.

use std::{fmt, sync::Arc};

use cedar_policy::{Authorizer, Policy, PolicySet, pst};
use provost_types::PolicyId;

use crate::Policies;
use crate::query::Fitted;
use crate::rule::{Effect, Rule};
use crate::sentence::{listed, one_line};

/// Whether one part of a policy holds for a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Holds,
    /// It does not hold.
    Fails,
    /// It cannot be evaluated, for the reason given.
    Errs(String),
    /// An earlier part fails, and without that one this cannot be evaluated.
    Unreached,
}

impl Truth {
    /// The truth's word in output and the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Holds => "yes",
            Self::Fails => "NO",
            Self::Errs(_) => "ERROR",
            Self::Unreached => "-",
        }
    }
}

/// One scope or one condition of a policy. A policy applies when all its parts hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// It, as Cedar text; an `unless` appears negated.
    pub text: String,
    /// Whether it holds.
    pub truth: Truth,
}

/// One policy against one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The policy's id.
    pub id: PolicyId,
    /// Permit or forbid.
    pub effect: Effect,
    /// The file it is in.
    pub file: String,
    /// The line it begins on, from 1.
    pub line: u32,
    /// Its text, annotations included.
    pub text: String,
    /// Its parts, in the order of its text. Scopes that allow anything are left out.
    pub parts: Vec<Part>,
}

impl Trace {
    /// Whether every part holds.
    pub fn applies(&self) -> bool {
        self.failing().next().is_none()
    }

    /// The parts that do not hold.
    pub fn failing(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.truth != Truth::Holds)
    }

    /// Whether it cannot be evaluated.
    pub(crate) fn breaks(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.truth, Truth::Errs(_)))
    }

    /// `policy "no-opus" (models.cedar:12)`
    pub(crate) fn named(&self) -> String {
        format!("policy \"{}\" ({}:{})", self.id, self.file, self.line)
    }

    /// `x and y do not hold`
    pub(crate) fn lacks(&self) -> String {
        let texts: Vec<_> = self.failing().map(|part| format!("`{}`", part.text)).collect();
        let verb = if texts.len() == 1 { "does" } else { "do" };
        format!("{} {verb} not hold", listed(&texts))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} \"{}\" ({}:{})", self.effect, self.id, self.file, self.line)?;
        for Part { text, truth } in &self.parts {
            write!(f, "    {:<5} {text}", truth.as_str())?;
            match truth {
                Truth::Errs(why) => writeln!(f, ": {why}")?,
                Truth::Holds | Truth::Fails | Truth::Unreached => writeln!(f)?,
            }
        }
        self.text.lines().try_for_each(|line| writeln!(f, "    | {line}"))
    }
}

/// Evaluates each part of `rule` by itself, as a policy that has only that part.
pub(crate) fn trace(policies: &Policies, rule: &Rule, fitted: &Fitted) -> Trace {
    let mut parts: Vec<Part> = Vec::new();
    for (text, probe) in probes(rule) {
        let truth = truth(&policies.authorizer, probe, fitted);
        let is_cut_off = matches!(truth, Truth::Errs(_))
            && parts.iter().any(|part| part.truth != Truth::Holds);
        parts.push(Part { text, truth: if is_cut_off { Truth::Unreached } else { truth } });
    }
    Trace {
        id: rule.id.clone(),
        effect: rule.effect,
        file: rule.file.to_string(),
        line: rule.line,
        text: rule.text.clone(),
        parts,
    }
}

fn truth(authorizer: &Authorizer, probe: pst::Template, fitted: &Fitted) -> Truth {
    let set = pst::StaticPolicy::try_from(probe)
        .map_err(|error| error.to_string())
        .and_then(|probe| Policy::from_pst(probe.into()).map_err(|error| error.to_string()))
        .and_then(|probe| PolicySet::from_policies([probe]).map_err(|error| error.to_string()));
    let set = match set {
        Ok(set) => set,
        Err(why) => return Truth::Errs(one_line(&why)),
    };
    let response = authorizer.is_authorized(&fitted.request, &set, &fitted.entities);
    if let Some(error) = response.diagnostics().errors().next() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        return Truth::Errs(one_line(&error.inner().to_string()));
    }
    match response.diagnostics().reason().next() {
        Some(_) => Truth::Holds,
        None => Truth::Fails,
    }
}

/// The parts of a policy: each as text, and as a permit with that part alone.
fn probes(rule: &Rule) -> Vec<(String, pst::Template)> {
    let Ok(policy) = rule.policy.to_pst() else {
        return Vec::new(); // it was parsed from text, so it converts
    };
    let body = policy.body();
    let mut probes = Vec::new();
    let mut scope = |text: String, narrow: &dyn Fn(&mut pst::Template)| {
        let mut probe = open();
        narrow(&mut probe);
        if probe != open() {
            probes.push((text, probe));
        }
    };
    let pst::Template { principal, action, resource, .. } = body;
    scope(format!("principal {principal}"), &|probe| probe.principal = principal.clone());
    scope(format!("action {action}"), &|probe| probe.action = action.clone());
    scope(format!("resource {resource}"), &|probe| probe.resource = resource.clone());
    for condition in body.clauses().iter().flat_map(conjuncts) {
        let text = condition.to_string();
        let probe = open().try_with_clauses([pst::Clause::When(condition)]);
        probes.extend(probe.map(|probe| (text, probe)));
    }
    probes
}

/// A permit for everything.
fn open() -> pst::Template {
    pst::Template::new(
        "probe",
        pst::Effect::Permit,
        pst::PrincipalConstraint::Any,
        pst::ActionConstraint::Any,
        pst::ResourceConstraint::Any,
    )
}

/// A clause as conditions that must all hold. An `unless` stays whole, negated.
fn conjuncts(clause: &pst::Clause) -> Vec<Arc<pst::Expr>> {
    match clause {
        pst::Clause::When(condition) => split(condition),
        pst::Clause::Unless(condition) => {
            let expr = Arc::clone(condition);
            vec![Arc::new(pst::Expr::UnaryOp { op: pst::UnaryOp::Not, expr })]
        }
    }
}

fn split(condition: &Arc<pst::Expr>) -> Vec<Arc<pst::Expr>> {
    if let pst::Expr::BinaryOp { op: pst::BinaryOp::And, left, right } = &**condition {
        let mut conditions = split(left);
        conditions.extend(split(right));
        conditions
    } else {
        vec![Arc::clone(condition)]
    }
}
