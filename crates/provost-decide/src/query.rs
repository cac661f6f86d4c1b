//! What is asked of policy, and its translation into Cedar's request and entities.

use std::sync::Arc;

use cedar_policy::{Entities, EntityUid, Request};
use provost_types::{AgentName, ProjectName, Value};

use crate::gallery::{self, Gallery, Misfit};
use crate::schema::{VOCABULARY, Verb};
use crate::sentence::{one_line, quoted};

/// May this agent do this? Plain texts, so that a recorded intent can be asked again.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Who asks.
    pub agent: &'a AgentName,
    /// The agent's project.
    pub project: &'a ProjectName,
    /// The plane's word, such as `llm`.
    pub plane: &'a str,
    /// The verb, such as `message`.
    pub verb: &'a str,
    /// Cedar entity type, such as `Llm::Model`.
    pub resource_kind: &'a str,
    /// Entity id; a model's is its name, which policies see as `resource.name`.
    pub resource_id: &'a str,
    /// Attributes of the request, in the schema's types; never `approved`.
    pub context: &'a [(&'a str, Value)],
}

/// Why a query is outside what policies can speak about, and therefore denied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(
        "policy knows no action {} on plane {}, so it is denied",
        quoted(verb),
        quoted(plane)
    )]
    Action { plane: String, verb: String },
    #[error("{verb} applies to {}, not to {}, so it is denied", kinds.join(" or "), quoted(kind))]
    Resource { verb: String, kinds: Vec<String>, kind: String },
    #[error(
        "the facts about {verb} do not fit the policy schema, so it is denied: {}",
        one_line(why)
    )]
    Facts { verb: String, why: Misfit },
}

/// What policies see as `context.approved`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Approval {
    /// Nobody was asked, or has answered.
    Absent,
    /// People agreed: gates that look at it are lifted.
    Given,
}

/// A query in Cedar's terms.
pub(crate) struct Fitted {
    /// Distinguishes the verb from every other.
    pub(crate) number: usize,
    pub(crate) verb: &'static Verb,
    pub(crate) request: Request,
    pub(crate) entities: Arc<Entities>,
}

/// A verb with its number, the resource, and everything that is known of it and the agent.
type Placed = (usize, &'static Verb, EntityUid, Arc<Entities>);

impl Query<'_> {
    /// Translates the query, checking it against the schema.
    pub(crate) fn fit(&self, gallery: &Gallery, approval: Approval) -> Result<Fitted, Unfit> {
        let (number, verb, resource, entities) = self.place(gallery)?;
        let misfit = |why: Misfit| Unfit::Facts { verb: self.verb.into(), why };
        let context = gallery::context(self, verb, approval).map_err(misfit)?;
        let agent = VOCABULARY.agent(self.agent.as_str());
        // Unchecked: each part has been checked against the schema above.
        let request = Request::new(agent, verb.uid.clone(), resource, context, None)
            .map_err(|error| misfit(error.to_string().into()))?;
        Ok(Fitted { number, verb, request, entities })
    }

    /// Translates all but the context.
    pub(crate) fn place(&self, gallery: &Gallery) -> Result<Placed, Unfit> {
        let (number, verb) = VOCABULARY
            .verb(self.plane, self.verb)
            .filter(|(_, verb)| !verb.kinds.is_empty())
            .ok_or_else(|| Unfit::Action {
                plane: self.plane.into(),
                verb: self.verb.into(),
            })?;
        let resource = VOCABULARY
            .resource(self.resource_kind, self.resource_id)
            .filter(|_| verb.kinds.iter().any(|kind| kind == self.resource_kind))
            .ok_or_else(|| Unfit::Resource {
                verb: self.verb.into(),
                kinds: verb.kinds.clone(),
                kind: self.resource_kind.into(),
            })?;
        let entities = gallery
            .entities(self, &resource)
            .map_err(|why| Unfit::Facts { verb: self.verb.into(), why })?;
        Ok((number, verb, resource, entities))
    }

    /// `message on Llm::Model "claude-opus-5"`
    pub(crate) fn asked(&self) -> String {
        format!("{} on {} {}", self.verb, self.resource_kind, quoted(self.resource_id))
    }

    /// `agent "invoice-bot" (project "finance")`
    pub(crate) fn asker(&self) -> String {
        format!("agent \"{}\" (project \"{}\")", self.agent, self.project)
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, Request, RestrictedExpression};
    use proptest::prelude::*;
    use provost_types::Value;

    use super::{Approval, Query};
    use crate::gallery::Gallery;
    use crate::schema::VOCABULARY;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Long),
            "[a-z]{0,3}".prop_map(Value::Text),
            proptest::collection::vec("[a-z]{0,3}", 0..3).prop_map(Value::Texts),
        ]
    }

    fn right_value(name: &'static str) -> BoxedStrategy<Value> {
        match name {
            "model" => Just(Value::Text("m".into())).boxed(),
            "stream" => any::<bool>().prop_map(Value::Bool).boxed(),
            "betas" => Just(Value::Texts(vec!["b".into()])).boxed(),
            _ => any::<i64>().prop_map(Value::Long).boxed(),
        }
    }

    /// Facts that fit `message`, or `count_tokens`, or very nearly.
    fn context() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
        let names = ["model", "betas", "stream", "tools", "max_tokens", "odd"];
        let facts = names.map(|name| {
            prop_oneof![
                8 => right_value(name).prop_map(move |value| Some((name, value))),
                1 => value().prop_map(move |value| Some((name, value))),
                2 => Just(None),
            ]
        });
        (facts, 0..=names.len())
            .prop_map(|(facts, count)| facts.into_iter().take(count).flatten().collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// What is checked in parts here, Cedar checks as a whole.
        #[test]
        fn what_fits_is_what_cedar_accepts(
            verb in proptest::sample::select(&["message", "count_tokens", "list_models"][..]),
            kind in proptest::sample::select(&["Llm::Model", "Llm::Catalog", "Provost::Agent"][..]),
            context in context(),
        ) {
            let (agent, project) = ("a".parse().unwrap(), "p".parse().unwrap());
            let (plane, resource_kind, resource_id) = ("llm", kind, "m");
            let context = &context[..];
            let (agent, project) = (&agent, &project);
            let query =
                Query { agent, project, plane, verb, resource_kind, resource_id, context };
            let pairs = context.iter().map(|(name, value)| {
                let value = match value.clone() {
                    Value::Bool(value) => RestrictedExpression::new_bool(value),
                    Value::Long(value) => RestrictedExpression::new_long(value),
                    Value::Text(value) => RestrictedExpression::new_string(value),
                    Value::Texts(values) => RestrictedExpression::new_set(
                        values.into_iter().map(RestrictedExpression::new_string),
                    ),
                    Value::Tags(_) => RestrictedExpression::new_bool(false), // none is made
                };
                ((*name).to_owned(), value)
            });
            let approved =
                ("approved".to_owned(), RestrictedExpression::new_bool(false));
            let request = Request::new(
                VOCABULARY.agent("a"),
                VOCABULARY.verb("llm", verb).unwrap().1.uid.clone(),
                VOCABULARY.resource(kind, "m").unwrap(),
                Context::from_pairs(pairs.chain([approved])).unwrap(),
                Some(&VOCABULARY.schema),
            );
            let gallery = Gallery::new();
            for _ in 0..2 {
                match (query.fit(&gallery, Approval::Absent), &request) {
                    (Ok(fitted), Ok(request)) => prop_assert_eq!(&fitted.request, request),
                    (Err(_), Err(_)) => {}
                    (_, request) => prop_assert!(false, "{query:?} {request:?}"),
                }
            }
        }
    }
}
