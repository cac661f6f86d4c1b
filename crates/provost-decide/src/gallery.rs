//! Cedar's forms of what queries speak of. Those of agents and resources are remembered:
//! making them costs several times what deciding does.

use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression};
use provost_types::{AgentName, ProjectName, Value};

use crate::Query;
use crate::cache::Recent;
use crate::query::Approval;
use crate::schema::{VOCABULARY, Verb, attributes};

/// Most (agent, resource) pairs in each generation.
const PAIRS_MAX: usize = 4_096;

/// Longest resource id remembered: the agent chooses it. Unit: bytes.
const ID_LEN_MAX: usize = 256;

/// Cedar's words why there is no such entity or context.
pub(crate) type Misfit = Arc<str>;

type EntityKey = (AgentName, ProjectName, EntityUid);

pub(crate) struct Gallery {
    entities: Recent<EntityKey, Result<Arc<Entities>, Misfit>>,
}

impl Gallery {
    pub(crate) fn new() -> Self {
        Self { entities: Recent::new(PAIRS_MAX) }
    }

    /// The agent, its project and the resource, with the action groups.
    pub(crate) fn entities(
        &self,
        query: &Query<'_>,
        resource: &EntityUid,
    ) -> Result<Arc<Entities>, Misfit> {
        let weight = if query.resource_id.len() <= ID_LEN_MAX { 1 } else { usize::MAX };
        let key = (query.agent.clone(), query.project.clone(), resource.clone());
        let known = self.entities.get_or_make(key, |_| weight, || entities(query, resource))?;
        let tagged: Vec<Entity> = query
            .context
            .iter()
            .filter_map(|(_, value)| tagged(value))
            .collect::<Result<_, _>>()?;
        if tagged.is_empty() {
            return Ok(known);
        }
        let entities = Entities::clone(&known);
        let with_tags = entities.add_entities(tagged, Some(&VOCABULARY.schema));
        with_tags.map(Arc::new).map_err(|error| error.to_string().into())
    }
}

/// The entity that bears the tags, if `value` is some.
fn tagged(value: &Value) -> Option<Result<Entity, Misfit>> {
    let Value::Tags(tags) = value else { return None };
    let tags = tags
        .iter()
        .map(|(name, text)| (name.clone(), RestrictedExpression::new_string(text.clone())));
    let uid = VOCABULARY.tagged();
    let entity = Entity::new_with_tags(uid, [], [], tags);
    Some(entity.map_err(|error| error.to_string().into()))
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

/// The fact that no query brings: whether people agreed.
const APPROVED: &str = "approved";

/// The query's context with the approval, if it fits the schema's for the verb.
pub(crate) fn context(
    query: &Query<'_>,
    verb: &Verb,
    approval: Approval,
) -> Result<Context, Misfit> {
    if query.context.iter().any(|(name, _)| *name == APPROVED) {
        return Err("whether it is approved is not for whoever asks to say".into());
    }
    let approved = RestrictedExpression::new_bool(approval == Approval::Given);
    let pairs = query
        .context
        .iter()
        .map(|(name, value)| ((*name).to_owned(), cedar(value)))
        .chain([(APPROVED.to_owned(), approved)]);
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
        Value::Tags(_) => RestrictedExpression::new_entity_uid(VOCABULARY.tagged()),
    }
}
