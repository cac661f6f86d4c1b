//! Whether a call's arguments are what its tool takes. Schemas are made ready once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::wire::json;

/// Most steps that one pattern of a schema may take on one text. Source: the default of
/// fancy-regex is 1,000,000.
const PATTERN_STEPS_MAX: usize = 100_000;

/// Most schemas that are kept ready. Ours: an agent has some hundred tools; those of a
/// definition that changed are dropped with the rest when there are too many.
const READY_MAX: usize = 2048;

/// Schemas that are ready, by the definitions they are of. Cheap to clone: clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas(Arc<Mutex<HashMap<Arc<[u8]>, Ready>>>);

/// A schema that is ready, if the tool has one; else why it cannot be.
type Ready = Result<Option<Arc<Validator>>, &'static str>;

impl Schemas {
    /// Checks the arguments of a tool with this definition.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in words that do not repeat them.
    pub(crate) fn check(&self, definition: &Arc<[u8]>, arguments: &str) -> Result<(), String> {
        let Some(validator) = self.of(definition)? else { return Ok(()) };
        let arguments: Value = serde_json::from_str(arguments)
            .map_err(|_| "they are not JSON that can be checked".to_owned())?;
        validator.validate(&arguments).map_err(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/".to_owned() } else { place };
            let error: String = error.masked().to_string().chars().take(300).collect();
            format!("at `{place}`, {error}")
        })
    }

    fn of(&self, definition: &Arc<[u8]>) -> Ready {
        let ready = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ready().get(definition) {
            return known.clone();
        }
        // Not under the lock: it takes a while, and others call other tools.
        let made = made(definition);
        let mut ready = ready();
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(Arc::clone(definition), made.clone());
        made
    }
}

fn made(definition: &[u8]) -> Ready {
    let odd = "its definition cannot be read";
    let text = std::str::from_utf8(definition).map_err(|_| odd)?;
    let members = json::members(text).map_err(|_| odd)?;
    let Some(schema) = json::member(&members, "inputSchema") else { return Ok(None) };
    let schema: Value = serde_json::from_str(schema.get()).map_err(|_| odd)?;
    let patterns = PatternOptions::fancy_regex().backtrack_limit(PATTERN_STEPS_MAX);
    let validator = jsonschema::options()
        .with_pattern_options(patterns)
        .build(&schema)
        .map_err(|_| "its `inputSchema` is none that Provost can check against")?;
    Ok(Some(Arc::new(validator)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Schemas;

    #[test]
    fn arguments_are_what_the_schema_asks_for() {
        let tool = |schema: &str| format!(r#"{{"name":"t","inputSchema":{schema}}}"#);
        let object = r#"{"type":"object","properties":{"a":{"type":"object","properties":
            {"b":{"type":"integer"}}},"s":{"type":"string","pattern":"^x"}},"required":["a"]}"#;
        for (schema, arguments, want) in [
            (object, r#"{"a":{"b":1}}"#, None),
            (object, r#"{"a":{"b":1},"more":true}"#, None),
            (object, "{}", Some("at `/`")),
            (object, r#"{"a":{"b":"secret"}}"#, Some("at `/a/b`")),
            (object, r#"{"a":{},"s":"y"}"#, Some("at `/s`")),
            ("{}", r#"{"a":1}"#, None),
            ("true", "{}", None),
            (r#"{"$ref":"https://elsewhere/x"}"#, "{}", Some("none that Provost can check")),
            (
                r#"{"type":"object","$schema":"http://json-schema.org/draft-07/schema#"}"#,
                "{}",
                None,
            ),
            (
                r#"{"type":"object","properties":{"s":{"pattern":"^(a+)+$"}}}"#,
                r#"{"s":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"}"#,
                Some("at `/s`"),
            ),
        ] {
            let got =
                Schemas::default().check(&tool(schema).into_bytes().into(), arguments).err();
            match (&got, want) {
                (None, None) => {}
                (Some(got), Some(want)) => assert!(got.contains(want), "{schema}: {got}"),
                _ => panic!("{schema} {arguments}: {got:?}, not {want:?}"),
            }
            assert!(!got.unwrap_or_default().contains("secret"), "values are not repeated");
        }
        assert_eq!(
            Schemas::default().check(&Arc::from(*br#"{"name":"t"}"#), r#"{"a":1}"#),
            Ok(())
        );
    }

    #[test]
    fn a_schema_is_made_ready_once() {
        let schemas = Schemas::default();
        let definition: Arc<[u8]> = Arc::from(*br#"{"inputSchema":{"required":["a"]}}"#);
        for (arguments, want) in [("{}", false), (r#"{"a":1}"#, true), ("{}", false)] {
            assert_eq!(schemas.check(&definition, arguments).is_ok(), want, "{arguments}");
        }
        assert_eq!(schemas.0.lock().unwrap().len(), 1);
    }
}
