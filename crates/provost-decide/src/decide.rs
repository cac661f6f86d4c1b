//! Deciding: the slice of policies that can apply, evaluated by Cedar, failing closed.

use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Decision as CedarDecision, PolicySet, Request, Response,
};
use provost_types::Decision;

use crate::query::Fitted;
use crate::rule::Rule;
use crate::schema::{VOCABULARY, Verb};
use crate::{Policies, Query};

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
}

impl Policies {
    /// Decides. Never fails: what does not fit the schema, and what meets a policy that cannot
    /// be evaluated, is denied, and the reason says so.
    pub fn decide(&self, query: &Query<'_>) -> Decision {
        self.memory.decision(query, || self.decide_anew(query))
    }

    /// [`Self::decide`] without asking whether the same was decided before.
    pub fn decide_anew(&self, query: &Query<'_>) -> Decision {
        match query.fit(&self.gallery) {
            Ok(fitted) => {
                let response =
                    self.ask(&fitted, &self.slice(query, (fitted.number, fitted.verb)));
                self.report(query, &fitted, &self.ground(&response))
            }
            Err(unfit) => self.report_unfit(&unfit),
        }
    }

    /// Decides by evaluating every policy: what [`Self::decide`] must agree with.
    pub fn decide_unindexed(&self, query: &Query<'_>) -> Decision {
        match query.fit(&self.gallery) {
            Ok(fitted) => {
                let response = self.ask(&fitted, &self.all);
                self.report(query, &fitted, &self.ground(&response))
            }
            Err(unfit) => self.report_unfit(&unfit),
        }
    }

    /// Whether some facts about the request would be allowed: what `query.context` holds is
    /// not looked at. For lists of what may be asked; what is asked is decided by itself.
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

    pub(crate) fn ask(&self, fitted: &Fitted, policies: &PolicySet) -> Response {
        self.authorizer.is_authorized(&fitted.request, policies, &fitted.entities)
    }

    pub(crate) fn ground(&self, response: &Response) -> Ground<'_> {
        let diagnostics = response.diagnostics();
        let mut rules: Vec<_> = diagnostics.reason().filter_map(|id| self.rule(id)).collect();
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        let is_allowed = response.decision() == CedarDecision::Allow;
        if !is_allowed && !rules.is_empty() {
            return Ground::Forbidden(rules);
        }
        // Cedar skips a policy that fails to evaluate. Had it been a forbid, that would allow.
        let mut broken: Vec<_> = diagnostics
            .errors()
            .filter_map(|AuthorizationError::PolicyEvaluationError(error)| {
                self.rule(error.policy_id()).map(|rule| (rule, error.inner().to_string()))
            })
            .collect();
        broken.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        if !broken.is_empty() {
            return Ground::Broken(broken);
        }
        if is_allowed { Ground::Permitted(rules) } else { Ground::Nothing }
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
