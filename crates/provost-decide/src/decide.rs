//! Deciding: the slice of policies that can apply, evaluated by Cedar, failing closed.

use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Decision as CedarDecision, PolicySet, Request, Response,
};
use provost_types::Decision;

use crate::query::{Approval, Fitted, Unfit};
use crate::rule::Rule;
use crate::schema::{VOCABULARY, Verb};
use crate::{Lifted, Policies, Query};

/// What a verdict rests on.
pub(crate) enum Ground<'a> {
    /// These forbid, sorted by id.
    Forbidden(Vec<&'a Rule>),
    /// These could not be evaluated, and nothing forbids.
    Broken(Vec<(&'a Rule, String)>),
    /// These permit, and nothing forbids.
    Permitted(Vec<&'a Rule>),
    /// Nothing applies.
    Nothing,
    /// Only these gates forbid, they are not lifted, and without them it is allowed.
    Held(Vec<&'a Rule>),
    /// The same, but these name groups that do not exist: asking them would ask nobody.
    Unanswerable(Vec<&'a Rule>),
}

impl<'a> Ground<'a> {
    /// What forbids, if all of it is gates.
    fn gates(&self) -> Option<Vec<&'a Rule>> {
        let Self::Forbidden(rules) = self else { return None };
        rules.iter().all(|rule| rule.gate().is_some()).then(|| rules.clone())
    }
}

/// Which policies are evaluated.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// Those that can apply.
    Slice,
    /// All.
    Whole,
}

impl Policies {
    /// Decides. Never fails: what does not fit the schema, and what meets a policy that cannot
    /// be evaluated, is denied, and the reason says so.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        self.memory.decision(query, || self.decide_anew(query))
    }

    /// [`Self::decide`] without asking whether the same was decided before.
    pub fn decide_anew(&self, query: &Query<'_>) -> Decision {
        self.settled(query, &[], Reach::Slice)
    }

    /// Decides what people were asked about and agreed to: the gates among `lifted` do not
    /// hold it, if their texts are the same now. All else is as in [`Self::decide`]; in
    /// particular, what would be denied anyway still is. Never remembered.
    pub fn decide_lifted(&self, query: &Query<'_>, lifted: &[Lifted]) -> Decision {
        self.settled(query, lifted, Reach::Slice)
    }

    /// Decides by evaluating every policy: what [`Self::decide`] must agree with.
    pub fn decide_unindexed(&self, query: &Query<'_>) -> Decision {
        self.settled(query, &[], Reach::Whole)
    }

    /// Whether some facts about the request would be allowed, or held for approval: what is in
    /// `query.context` is not looked at. For lists of what may be asked; what is asked is
    /// decided by itself.
    pub fn is_possible(&self, query: &Query<'_>) -> bool {
        let bare = Query { context: &[], ..*query };
        let Ok((number, verb, resource, entities)) = bare.place(&self.gallery) else {
            return false;
        };
        let request = Request::builder()
            .principal(VOCABULARY.agent(query.agent.as_str()))
            .action(verb.uid.clone())
            .resource(resource)
            .build();
        let slice = self.slice(query, (number, verb));
        let response = self.authorizer.is_authorized_partial(&request, &slice, &entities);
        response.decision() != Some(CedarDecision::Deny)
    }

    fn settled(&self, query: &Query<'_>, lifted: &[Lifted], reach: Reach) -> Decision {
        match self.settle(query, lifted, reach) {
            Ok((fitted, ground)) => self.report(query, &fitted, &ground),
            Err(unfit) => self.report_unfit(&unfit),
        }
    }

    /// Evaluates the policies, and once more as if it were approved where only gates forbid:
    /// nobody is asked for what would be denied even then. Gives the ground with the request
    /// it was found by.
    pub(crate) fn settle(
        &self,
        query: &Query<'_>,
        lifted: &[Lifted],
        reach: Reach,
    ) -> Result<(Fitted, Ground<'_>), Unfit> {
        let fitted = query.fit(&self.gallery, Approval::Absent)?;
        let slice;
        let policies = match reach {
            Reach::Slice => {
                slice = self.slice(query, (fitted.number, fitted.verb));
                &*slice
            }
            Reach::Whole => &self.all,
        };
        let response = self.ask(&fitted, policies);
        let ground = self.ground(&response);
        let Some(gates) = ground.gates() else {
            return Ok((fitted, ground));
        };
        // Beside a gate, what cannot be evaluated might be a forbid that nothing lifts.
        let broken = self.broken(&response);
        if !broken.is_empty() {
            return Ok((fitted, Ground::Broken(broken)));
        }
        let approved = query.fit(&self.gallery, Approval::Given)?;
        let ground = self.ground(&self.ask(&approved, policies));
        if !matches!(ground, Ground::Permitted(_)) {
            return Ok((approved, ground));
        }
        let is_unknown = |rule: &&Rule| {
            rule.gate().is_some_and(|it| it.unknown(&self.approvers).next().is_some())
        };
        let unknown: Vec<_> = gates.iter().copied().filter(is_unknown).collect();
        if !unknown.is_empty() {
            return Ok((fitted, Ground::Unanswerable(unknown)));
        }
        let held: Vec<_> = gates.into_iter().filter(|rule| !rule.is_among(lifted)).collect();
        Ok(if held.is_empty() { (approved, ground) } else { (fitted, Ground::Held(held)) })
    }

    pub(crate) fn ask(&self, fitted: &Fitted, policies: &PolicySet) -> Response {
        self.authorizer.is_authorized(&fitted.request, policies, &fitted.entities)
    }

    pub(crate) fn ground(&self, response: &Response) -> Ground<'_> {
        let reason = response.diagnostics().reason();
        let mut rules: Vec<_> = reason.filter_map(|id| self.rule(id)).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let is_allowed = response.decision() == CedarDecision::Allow;
        if !is_allowed && !rules.is_empty() {
            return Ground::Forbidden(rules);
        }
        // Cedar skips a policy that fails to evaluate. Had it been a forbid, that would allow.
        let broken = self.broken(response);
        if !broken.is_empty() {
            return Ground::Broken(broken);
        }
        if is_allowed { Ground::Permitted(rules) } else { Ground::Nothing }
    }

    /// The policies that could not be evaluated, sorted by id, and why.
    fn broken(&self, response: &Response) -> Vec<(&Rule, String)> {
        let mut broken: Vec<_> = response
            .diagnostics()
            .errors()
            .filter_map(|AuthorizationError::PolicyEvaluationError(error)| {
                self.rule(error.policy_id()).map(|rule| (rule, error.inner().to_string()))
            })
            .collect();
        broken.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        broken
    }

    /// The policies that can apply to this agent and action; made once for each.
    pub(crate) fn slice(
        &self,
        query: &Query<'_>,
        (number, verb): (usize, &Verb),
    ) -> Arc<PolicySet> {
        let key = self.index.key(query, number);
        self.slices.get_or_make(
            key,
            |slice| slice.num_of_policies(),
            || {
                let selected = self.index.select(query, verb);
                let policies = selected.into_iter().filter_map(|number| self.rules.get(number));
                let policies = policies.map(|rule| rule.policy.clone());
                // Ids are distinct, so the set can always be made; were it not, evaluating
                // every policy gives the same answer.
                let slice = PolicySet::from_policies(policies);
                Arc::new(slice.unwrap_or_else(|_| self.all.clone()))
            },
        )
    }
}
