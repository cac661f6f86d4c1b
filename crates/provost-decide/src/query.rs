//! What is asked of policy, and its translation into Cedar's request and entities.

use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use provost_types::{AgentName, ProjectName, Value};

use crate::cache::Recent;
use crate::schema::{VOCABULARY, Verb, attributes};
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
    /// Attributes of the request, in the schema's types.
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
    Facts { verb: String, why: String },
}

/// A query in Cedar's terms.
pub(crate) struct Fitted {
    /// Distinguishes the verb from every other.
    pub(crate) number: usize,
    pub(crate) verb: &'static Verb,
    pub(crate) request: Request,
    pub(crate) entities: Arc<Entities>,
}

type EntityKey = (AgentName, ProjectName, EntityUid);

/// The entities, or Cedar's words why there are none.
type EntitiesResult = Result<Arc<Entities>, Arc<str>>;

/// Entities of recent queries: building them costs several times what deciding does.
pub(crate) struct Gallery(Recent<EntityKey, EntitiesResult>);

impl Gallery {
    /// Most queries remembered, twice. Unit: (agent, resource) pairs.
    const PAIRS_MAX: usize = 4_096;

    /// Longest resource id remembered: the agent chooses it. Unit: bytes.
    const ID_LEN_MAX: usize = 256;

    pub(crate) fn new() -> Self {
        Self(Recent::new(Self::PAIRS_MAX))
    }

    fn entities(&self, query: &Query<'_>, resource: &EntityUid) -> EntitiesResult {
        let weight = if query.resource_id.len() <= Self::ID_LEN_MAX { 1 } else { usize::MAX };
        let key = (query.agent.clone(), query.project.clone(), resource.clone());
        self.0.get_or_make(key, |_| weight, || entities(query, resource))
    }
}

impl Query<'_> {
    /// Translates the query, checking it against the schema.
    pub(crate) fn fit(&self, gallery: &Gallery) -> Result<Fitted, Unfit> {
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
        let misfit = |why: String| Unfit::Facts { verb: self.verb.into(), why };
        let entities =
            gallery.entities(self, &resource).map_err(|error| misfit(error.to_string()))?;
        let context =
            self.context.iter().map(|(name, value)| ((*name).to_owned(), cedar(value)));
        let context =
            Context::from_pairs(context).map_err(|error| misfit(error.to_string()))?;
        let agent = VOCABULARY.agent(self.agent.as_str());
        let schema = Some(&VOCABULARY.schema);
        let request = Request::new(agent, verb.uid.clone(), resource, context, schema)
            .map_err(|error| misfit(error.to_string()))?;
        Ok(Fitted { number, verb, request, entities })
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

fn entities(query: &Query<'_>, resource: &EntityUid) -> EntitiesResult {
    let project = VOCABULARY.project(query.project.as_str());
    let agent = VOCABULARY.agent(query.agent.as_str());
    let agent = Entity::new_no_attrs(agent, [project.clone()].into());
    let project = Entity::new_no_attrs(project, [].into());
    let attributes = attributes(query.resource_kind, query.resource_id);
    let resource = Entity::new(resource.clone(), attributes, [].into())
        .map_err(|error| Arc::<str>::from(error.to_string()))?;
    let schema = Some(&VOCABULARY.schema);
    Entities::from_entities([agent, project, resource], schema)
        .map(Arc::new)
        .map_err(|error| error.to_string().into())
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
