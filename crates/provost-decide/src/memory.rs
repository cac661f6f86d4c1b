//! Decisions, remembered: a decision is a function of the policies and the query alone, and
//! one session's requests ask the same query again and again.

use provost_types::{Decision, Value};

use crate::Query;
use crate::cache::Recent;

/// Most decisions in each generation, in the form of their keys. Unit: bytes.
const BYTES_MAX: usize = 1 << 20;

/// Longest key remembered: the agent chooses what is in it. Unit: bytes.
const KEY_LEN_MAX: usize = 4_096;

/// What one set of policies has decided lately.
pub(crate) struct Memory(Recent<Vec<u8>, Decision>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Recent::new(BYTES_MAX))
    }

    /// The decision on `query`, by `decide` unless it was decided before.
    pub(crate) fn decision(
        &self,
        query: &Query<'_>,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        let key = key(query);
        let weight = if key.len() <= KEY_LEN_MAX { key.len() } else { usize::MAX };
        self.0.get_or_make(key, |_| weight, decide)
    }
}

/// Bytes that differ wherever two queries do: every part is preceded by its kind and length.
fn key(query: &Query<'_>) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    let text = |key: &mut Vec<u8>, text: &str| {
        key.extend(text.len().to_le_bytes());
        key.extend(text.as_bytes());
    };
    for part in [
        query.agent.as_str(),
        query.project.as_str(),
        query.plane,
        query.verb,
        query.resource_kind,
        query.resource_id,
    ] {
        text(&mut key, part);
    }
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
            Value::Tags(tags) => {
                key.push(b'g');
                key.extend(tags.len().to_le_bytes());
                for (name, value) in tags {
                    text(&mut key, name);
                    text(&mut key, value);
                }
            }
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use provost_types::Value;

    use super::key;
    use crate::Query;

    #[test]
    fn different_queries_have_different_keys() {
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
        let heads = [
            ["a", "p", "llm", "message", "Llm::Model", "m"],
            ["b", "p", "llm", "message", "Llm::Model", "m"],
            ["a", "q", "llm", "message", "Llm::Model", "m"],
            ["ap", "p", "llm", "message", "Llm::Model", "m"],
            ["a", "p", "llm", "messages", "Llm::Model", "m"],
            ["a", "p", "llmm", "essage", "Llm::Model", "m"],
            ["a", "p", "llm", "message", "Llm::Catalog", "m"],
            ["a", "p", "llm", "message", "Llm::Model", "n"],
        ];
        let of = |[agent, project, plane, verb, resource_kind, resource_id]: [&str; 6],
                  context| {
            let (agent, project) = (agent.parse().unwrap(), project.parse().unwrap());
            key(&Query {
                agent: &agent,
                project: &project,
                plane,
                verb,
                resource_kind,
                resource_id,
                context,
            })
        };
        let keys: HashSet<_> =
            heads.iter().flat_map(|head| contexts.map(|context| of(*head, context))).collect();
        assert_eq!(keys.len(), heads.len() * contexts.len());
    }
}
