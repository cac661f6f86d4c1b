//! The embedded Cedar schema, and the words it defines in the forms the hot path needs.

use std::{collections::HashMap, sync::LazyLock};

use cedar_policy::{
    EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema, ValidationMode,
    Validator,
};

/// The schema, parsed once.
pub(crate) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::parse);

/// What policies can speak about.
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    validator: Validator,
    agent: EntityTypeName,
    project: EntityTypeName,
    arguments: EntityTypeName,
    /// Sorted by plane and verb.
    verbs: Vec<Verb>,
    kinds: HashMap<String, EntityTypeName>,
}

/// One thing that can be asked: `llm`, `message`.
pub(crate) struct Verb {
    pub(crate) plane: String,
    pub(crate) name: String,
    pub(crate) uid: EntityUid,
    /// The action groups it is in, at any depth.
    pub(crate) groups: Vec<EntityUid>,
    /// The types of resource it applies to, sorted; empty for a group.
    pub(crate) kinds: Vec<String>,
}

impl Vocabulary {
    #[expect(clippy::expect_used, reason = "the text is embedded; every test parses it")]
    fn parse() -> Self {
        let (schema, _) = Schema::from_cedarschema_str(include_str!("schema.cedarschema"))
            .expect("embedded schema");
        let actions = schema.action_entities().expect("embedded schema's actions");
        let mut verbs: Vec<_> = schema
            .actions()
            .map(|uid| Verb {
                plane: uid.type_name().namespace().to_ascii_lowercase(),
                name: uid.id().unescaped().to_owned(),
                uid: uid.clone(),
                groups: actions.ancestors(uid).into_iter().flatten().cloned().collect(),
                kinds: kinds_of(&schema, uid),
            })
            .collect();
        verbs.sort_by(|a, b| (&a.plane, &a.name).cmp(&(&b.plane, &b.name)));
        Self {
            validator: Validator::new(schema.clone()),
            agent: "Provost::Agent".parse().expect("a type name"),
            project: "Provost::Project".parse().expect("a type name"),
            arguments: "Mcp::Arguments".parse().expect("a type name"),
            kinds: schema.entity_types().map(|kind| (kind.to_string(), kind.clone())).collect(),
            verbs,
            schema,
        }
    }

    /// Strict validation of policies against the schema.
    pub(crate) fn validate(
        &self,
        policies: &cedar_policy::PolicySet,
    ) -> cedar_policy::ValidationResult {
        self.validator.validate(policies, ValidationMode::Strict)
    }

    /// The entity of an agent.
    pub(crate) fn agent(&self, name: &str) -> EntityUid {
        uid(&self.agent, name)
    }

    /// The entity of a project.
    pub(crate) fn project(&self, name: &str) -> EntityUid {
        uid(&self.project, name)
    }

    /// The one entity of a request that bears tags.
    pub(crate) fn tagged(&self) -> EntityUid {
        uid(&self.arguments, "call")
    }

    /// The agent's name, if `uid` is an agent.
    pub(crate) fn agent_name<'a>(&self, uid: &'a EntityUid) -> Option<&'a str> {
        (*uid.type_name() == self.agent).then(|| uid.id().unescaped())
    }

    /// The project's name, if `uid` is a project.
    pub(crate) fn project_name<'a>(&self, uid: &'a EntityUid) -> Option<&'a str> {
        (*uid.type_name() == self.project).then(|| uid.id().unescaped())
    }

    /// The entity of a resource, if its type is known.
    pub(crate) fn resource(&self, kind: &str, id: &str) -> Option<EntityUid> {
        self.kinds.get(kind).map(|kind| uid(kind, id))
    }

    /// The verb of that name, with a number that is the same for as long as the process runs.
    pub(crate) fn verb(&self, plane: &str, name: &str) -> Option<(usize, &Verb)> {
        let at = self.verbs.binary_search_by(|verb| {
            (verb.plane.as_str(), verb.name.as_str()).cmp(&(plane, name))
        });
        let number = at.ok()?;
        self.verbs.get(number).map(|verb| (number, verb))
    }

    /// Every type of entity, sorted.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<_> = self.kinds.keys().cloned().collect();
        kinds.sort();
        kinds
    }

    /// Every action and action group, sorted.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.verbs.iter().map(|verb| verb.uid.to_string()).collect()
    }

    /// Every verb that applies to something, groups left out.
    pub(crate) fn verbs(&self) -> impl Iterator<Item = &Verb> {
        self.verbs.iter().filter(|verb| !verb.kinds.is_empty())
    }
}

/// The attributes that we, not the request, give a resource.
pub(crate) fn attributes(kind: &str, id: &str) -> HashMap<String, RestrictedExpression> {
    let text = |name: &str, text: &str| {
        (name.to_owned(), RestrictedExpression::new_string(text.to_owned()))
    };
    match kind {
        "Hook::Event" | "Llm::Model" | "Mcp::Server" | "Tool::Tool" => {
            [text("name", id)].into()
        }
        "Mcp::Prompt" | "Mcp::Tool" => {
            let (server, name) = of_server(id);
            [text("server", server), text("name", name)].into()
        }
        "Mcp::Resource" => {
            let (server, uri) = of_server(id);
            [text("server", server), text("uri", uri)].into()
        }
        _ => HashMap::new(),
    }
}

/// The two parts of `SERVER/NAME`; a server's name has no slash.
fn of_server(id: &str) -> (&str, &str) {
    id.split_once('/').unwrap_or(("", id))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn kinds_of(schema: &Schema, action: &EntityUid) -> Vec<String> {
    let mut kinds: Vec<_> = schema
        .resources_for_action(action)
        .into_iter()
        .flatten()
        .map(EntityTypeName::to_string)
        .collect();
    kinds.sort();
    kinds
}

#[cfg(test)]
mod tests {
    use super::VOCABULARY;

    #[test]
    fn the_schema_defines_the_verbs_of_each_plane() {
        let verbs: Vec<_> = VOCABULARY
            .verbs()
            .map(|verb| format!("{} {} {}", verb.plane, verb.name, verb.kinds.join(" ")))
            .collect();
        assert_eq!(
            verbs,
            [
                "hook report Hook::Event",
                "llm count_tokens Llm::Model",
                "llm list_models Llm::Catalog",
                "llm message Llm::Model",
                "mcp answer Mcp::Server",
                "mcp ask Mcp::Server",
                "mcp call Mcp::Tool",
                "mcp complete Mcp::Prompt Mcp::Resource",
                "mcp get Mcp::Prompt",
                "mcp list Mcp::Server",
                "mcp listen Mcp::Server",
                "mcp notify Mcp::Server",
                "mcp open Mcp::Server",
                "mcp read Mcp::Resource",
                "mcp task Mcp::Server",
                "tool call Tool::Tool"
            ]
        );
        let (_, message) = VOCABULARY.verb("llm", "message").unwrap();
        assert_eq!(message.groups[0].to_string(), r#"Llm::Action::"all""#);
    }
}
