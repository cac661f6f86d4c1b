//! A tool call as an action that policy can decide, wherever it is seen.

use bytes::Bytes;
use provost_tools::{Effects, Risk, effects};
use provost_types::{Action, Correlation, Plane, Resource, Value};

/// Longest id of a client's that is kept. Unit: bytes. Ours: a UUID has 36.
pub const CORRELATION_BYTES_MAX: usize = 128;

/// Longest tool name that policy is asked about. Unit: bytes. Source: names are at most 128
/// (Messages API reference, `tools.name`).
const NAME_BYTES_MAX: usize = 128;

/// What stands for a name that is none; no policy names it.
const NO_NAME: &str = "?";

/// A tool call as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// The id the model gave it: `toolu_…`
    pub id: &'a str,
    /// The tool's name.
    pub name: &'a str,
    /// Its arguments: JSON, unless the model was cut off.
    pub input: &'a str,
    /// The folder it would run in, if that is known.
    pub folder: Option<&'a str>,
}

impl ToolCall<'_> {
    /// What it would do.
    pub fn action(&self) -> Action {
        let risk = |risk: &Risk| risk.as_str().to_owned();
        let is_name = printable(self.name, NAME_BYTES_MAX);
        let Effects { parsed, risks, programs, commands, reads, writes, hosts } =
            effects(self.name, self.input.as_bytes(), self.folder);
        let tool_use = printable(self.id, CORRELATION_BYTES_MAX).then(|| self.id.to_owned());
        Action {
            plane: Plane::Tool,
            verb: "call",
            resource: Resource {
                kind: "Tool::Tool",
                id: if is_name { self.name.to_owned() } else { NO_NAME.to_owned() },
            },
            context: vec![
                ("parsed", Value::Bool(parsed)),
                ("risks", Value::Texts(risks.iter().map(risk).collect())),
                ("programs", Value::Texts(programs)),
                ("commands", Value::Texts(commands)),
                ("reads", Value::Texts(reads)),
                ("writes", Value::Texts(writes)),
                ("hosts", Value::Texts(hosts)),
            ],
            arguments: Bytes::copy_from_slice(self.input.as_bytes()),
            correlation: Correlation { tool_use, ..Correlation::default() },
        }
    }
}

/// Whether `text` is 1 to `bytes_max` visible ASCII characters, without spaces.
pub fn printable(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
