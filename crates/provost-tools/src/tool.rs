//! From a tool's name and JSON input to what it does: the rules of `risks.toml`, applied.

use crate::{
    Risk,
    gather::{Access, Gather},
    json::{self, Input, Value},
    path::{Folder, resolve},
    rules::{Rules, Tool},
    shell::Shell,
    word::{Piece, Word},
};

/// Longest input that is read. Unit: bytes.
const INPUT_BYTES_MAX: usize = 16 << 20;

/// Reads one call.
pub(crate) fn read(rules: &Rules, name: &str, input: &[u8], cwd: Option<&str>) -> Gather {
    if input.len() > INPUT_BYTES_MAX {
        return Gather::opaque();
    }
    let Some(input) = json::read(input) else { return Gather::opaque() };
    let Some(tool) = rules.tool(name) else {
        let mut gather = Gather::default();
        gather.risks(&[Risk::Execute]);
        return gather;
    };
    known(rules, tool, &input, cwd).unwrap_or_else(Gather::opaque)
}

/// Reads a call of a known tool; nothing if a field it needs is absent or no text.
fn known(rules: &Rules, tool: &Tool, input: &Input, cwd: Option<&str>) -> Option<Gather> {
    let mut folder = Folder::Known(cwd.map(path_word).unwrap_or_default());
    if let Some(own) = text(input, "cwd", Need::Optional)? {
        folder = Folder::Known(resolve(&path_word(own), &folder));
    }
    let mut gather = Gather::default();
    if let Some(field) = &tool.script {
        let script = text(input, field, Need::Required)??;
        gather = Shell::new(rules, folder.clone()).run(script);
    }
    gather.risks(&tool.risks);
    for (fields, access) in [(&tool.reads, Access::Read), (&tool.writes, Access::Write)] {
        for field in fields {
            let (field, need) = match field.strip_suffix('?') {
                Some(field) => (field, Need::Optional),
                None => (field.as_str(), Need::Required),
            };
            let path = text(input, field, need)?.unwrap_or(".");
            gather.file(rules, &path_word(path), access, std::slice::from_ref(&folder));
        }
    }
    for field in &tool.hosts {
        gather.host(&Word::known(text(input, field, Need::Required)??));
    }
    Some(gather)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
}

/// The text of a field. Outer nothing: it is not a text; inner nothing: it may be absent.
fn text<'a>(input: &'a Input, field: &str, need: Need) -> Option<Option<&'a str>> {
    match (input.get(field), need) {
        (Some(Value::Text(text)), _) => Some(Some(text)),
        (None | Some(Value::Null), Need::Optional) => Some(None),
        (None | Some(Value::Null | Value::Other), _) => None,
    }
}

/// A path as a tool takes it: no globs, but `~` is the home folder.
fn path_word(path: &str) -> Word {
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            Word([vec![Piece::Home], Word::known(rest).0].concat())
        }
        _ => Word::known(path),
    }
}
