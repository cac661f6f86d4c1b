//! Cedar's forms of what queries speak of, remembered: making them costs several times what
//! deciding does, and one session's requests differ little.

use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use provost_types::{AgentName, ProjectName, Value};

use crate::Query;
use crate::cache::Recent;
use crate::schema::{VOCABULARY, Verb, attributes};

/// Most (agent, resource) pairs in each generation.
const PAIRS_MAX: usize = 4_096;

/// Longest resource id remembered: the agent chooses it. Unit: bytes.
const ID_LEN_MAX: usize = 256;

/// Most context in each generation, in the form of its keys. Unit: bytes.
const CONTEXT_BYTES_MAX: usize = 1 << 20;

/// Largest context remembered, in the form of its key. Unit: bytes.
const CONTEXT_LEN_MAX: usize = 4_096;

/// Cedar's words why there is no such entity or context.
pub(crate) type Misfit = Arc<str>;

type EntityKey = (AgentName, ProjectName, EntityUid);

pub(crate) struct Gallery {
    entities: Recent<EntityKey, Result<Arc<Entities>, Misfit>>,
    contexts: Recent<Vec<u8>, Result<Context, Misfit>>,
}

impl Gallery {
    pub(crate) fn new() -> Self {
        Self { entities: Recent::new(PAIRS_MAX), contexts: Recent::new(CONTEXT_BYTES_MAX) }
    }

    /// The agent, its project and the resource, with the action groups.
    pub(crate) fn entities(
        &self,
        query: &Query<'_>,
        resource: &EntityUid,
    ) -> Result<Arc<Entities>, Misfit> {
        let weight = if query.resource_id.len() <= ID_LEN_MAX { 1 } else { usize::MAX };
        let key = (query.agent.clone(), query.project.clone(), resource.clone());
        self.entities.get_or_make(key, |_| weight, || entities(query, resource))
    }

    /// The query's context, if it fits the schema's for the verb.
    pub(crate) fn context(&self, query: &Query<'_>, verb: &Verb) -> Result<Context, Misfit> {
        let key = context_key(query);
        let weight = if key.len() <= CONTEXT_LEN_MAX { key.len() } else { usize::MAX };
        self.contexts.get_or_make(key, |_| weight, || context(query, verb))
    }
}

fn entities(query: &Query<'_>, resource: &EntityUid) -> Result<Arc<Entities>, Misfit> {
    let project = VOCABULARY.project(query.project.as_str());
    let agent = VOCABULARY.agent(query.agent.as_str());
    let agent = Entity::new_no_attrs(agent, [project.clone()].into());
    let project = Entity::new_no_attrs(project, [].into());
    let attributes = attributes(query.resource_kind, query.resource_id);
    let resource = Entity::new(resource.clone(), attributes, [].into())
        .map_err(|error| Misfit::from(error.to_string()))?;
    let schema = Some(&VOCABULARY.schema);
    Entities::from_entities([agent, project, resource], schema)
        .map(Arc::new)
        .map_err(|error| error.to_string().into())
}

fn context(query: &Query<'_>, verb: &Verb) -> Result<Context, Misfit> {
    let pairs = query.context.iter().map(|(name, value)| ((*name).to_owned(), cedar(value)));
    let context =
        Context::from_pairs(pairs).map_err(|error| Misfit::from(error.to_string()))?;
    let fits = context.validate(&VOCABULARY.schema, &verb.uid);
    fits.map(|()| context).map_err(|error| error.to_string().into())
}

fn cedar(value: &Value) -> RestrictedExpression {
    match value {
        Value::Bool(value) => RestrictedExpression::new_bool(*value),
        Value::Long(value) => RestrictedExpression::new_long(*value),
        Value::Text(value) => RestrictedExpression::new_string(value.clone()),
        Value::Texts(values) => RestrictedExpression::new_set(
            values.iter().cloned().map(RestrictedExpression::new_string),
        ),
    }
}

/// Bytes that differ where two queries' verbs or contexts do: every part is preceded by its
/// kind and its length.
fn context_key(query: &Query<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    let text = |key: &mut Vec<u8>, text: &str| {
        key.extend(text.len().to_le_bytes());
        key.extend(text.as_bytes());
    };
    text(&mut key, query.plane);
    text(&mut key, query.verb);
    for (name, value) in query.context {
        text(&mut key, name);
        match value {
            Value::Bool(value) => key.extend([b'b', u8::from(*value)]),
            Value::Long(value) => {
                key.push(b'l');
                key.extend(value.to_le_bytes());
            }
            Value::Text(value) => {
                key.push(b't');
                text(&mut key, value);
            }
            Value::Texts(values) => {
                key.push(b's');
                key.extend(values.len().to_le_bytes());
                values.iter().for_each(|value| text(&mut key, value));
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use provost_types::Value;

    use super::context_key;
    use crate::Query;

    #[test]
    fn different_contexts_have_different_keys() {
        let text = |text: &str| Value::Text(text.into());
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|&it| it.into()).collect());
        let contexts: [&[(&str, Value)]; 14] = [
            &[],
            &[("a", text("b"))],
            &[("ab", text(""))],
            &[("", text("ab"))],
            &[("a", texts(&["b"]))],
            &[("a", texts(&["b", ""]))],
            &[("a", texts(&["", "b"]))],
            &[("a", texts(&[]))],
            &[("a", texts(&[])), ("b", texts(&[]))],
            &[("a", Value::Bool(true))],
            &[("a", Value::Bool(false))],
            &[("a", Value::Long(1))],
            &[("a", Value::Long(-1))],
            &[("a", Value::Long(1)), ("a", Value::Long(1))],
        ];
        let key = |verb, context| {
            let (agent, project) = ("a".parse().unwrap(), "p".parse().unwrap());
            context_key(&Query {
                agent: &agent,
                project: &project,
                plane: "llm",
                verb,
                resource_kind: "Llm::Model",
                resource_id: "m",
                context,
            })
        };
        let keys: HashSet<_> = ["message", "messagea"]
            .iter()
            .flat_map(|verb| contexts.map(|it| key(verb, it)))
            .collect();
        assert_eq!(keys.len(), 2 * contexts.len());
    }
}
