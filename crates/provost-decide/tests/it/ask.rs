//! How the tests put files and questions.

use provost_decide::{Policies, Query, SourceFile};
use provost_types::{AgentName, Decision, ProjectName, Value};

/// One file, `p.cedar`.
pub(crate) fn file(text: &str) -> SourceFile {
    SourceFile { name: "p.cedar".into(), text: text.into() }
}

pub(crate) fn policies(text: &str) -> Policies {
    let compiled = Policies::compile(&[file(text)]);
    compiled.unwrap_or_else(|findings| panic!("{text}\n{findings:?}"))
}

/// A question that owns its parts. By default: `bot` of `finance` asks `claude-sonnet-5` for a
/// message of at most 32,000 tokens.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) agent: AgentName,
    pub(crate) project: ProjectName,
    pub(crate) plane: String,
    pub(crate) verb: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) context: Vec<(&'static str, Value)>,
}

impl Ask {
    pub(crate) fn message(model: &str) -> Self {
        Self {
            agent: "bot".parse().unwrap(),
            project: "finance".parse().unwrap(),
            plane: "llm".into(),
            verb: "message".into(),
            kind: "Llm::Model".into(),
            id: model.into(),
            context: vec![
                ("model", Value::Text(model.into())),
                ("stream", Value::Bool(true)),
                ("max_tokens", Value::Long(32_000)),
                ("betas", Value::Texts(vec!["interleaved-thinking-2025-05-14".into()])),
                ("tools", Value::Long(20)),
            ],
        }
    }

    pub(crate) fn count_tokens(model: &str) -> Self {
        let mut ask = Self { verb: "count_tokens".into(), ..Self::message(model) };
        ask.context.retain(|(name, _)| ["model", "betas"].contains(name));
        ask
    }

    pub(crate) fn list_models() -> Self {
        Self {
            verb: "list_models".into(),
            kind: "Llm::Catalog".into(),
            context: Vec::new(),
            ..Self::message("models")
        }
    }

    /// A tool call that could be understood.
    pub(crate) fn call(tool: &str, risks: &[&str]) -> Self {
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(|&it| it.into()).collect());
        let none = ["programs", "commands", "reads", "writes", "hosts"];
        let none = none.map(|name| (name, texts(&[])));
        let known = [("parsed", Value::Bool(true)), ("risks", texts(risks))];
        Self {
            plane: "tool".into(),
            verb: "call".into(),
            kind: "Tool::Tool".into(),
            context: known.into_iter().chain(none).collect(),
            ..Self::message(tool)
        }
    }

    /// By another agent.
    pub(crate) fn by(self, agent: &str, project: &str) -> Self {
        Self { agent: agent.parse().unwrap(), project: project.parse().unwrap(), ..self }
    }

    /// With a fact added, replaced, or (`None`) taken away.
    pub(crate) fn with(mut self, name: &'static str, value: Option<Value>) -> Self {
        self.context.retain(|(other, _)| *other != name);
        self.context.extend(value.map(|value| (name, value)));
        self
    }

    pub(crate) fn query(&self) -> Query<'_> {
        Query {
            agent: &self.agent,
            project: &self.project,
            plane: &self.plane,
            verb: &self.verb,
            resource_kind: &self.kind,
            resource_id: &self.id,
            context: &self.context,
        }
    }
}

/// What is decided, on two lines: verdict with determining policies, and reason.
pub(crate) fn decided(policies: &Policies, ask: &Ask) -> String {
    let decision = policies.decide(&ask.query());
    assert_eq!(decision, policies.decide(&ask.query()), "asked again");
    assert_eq!(decision, policies.decide_unindexed(&ask.query()), "without the index");
    assert_eq!(decision.version, policies.version());
    let Decision { verdict, policies, reason, .. } = decision;
    let policies: Vec<_> = policies.iter().map(ToString::to_string).collect();
    format!("{} [{}]\n{reason}", verdict.as_str(), policies.join(" "))
}
