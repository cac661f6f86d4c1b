//! Lists of tools: which there are, and the same list without some.
//!
//! What is left out is cut out of the bytes that came; nothing else of them changes.

use std::{collections::HashSet, ops::Range};

use super::{edit::place, json};

/// Longest name of a tool, a prompt or a server's resource. Unit: bytes. Source: MCP
/// 2025-11-25, "Tool names", says 128 characters; twice that is let through.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// One tool of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// Its whole definition without `_meta`, with sorted keys and no white space.
    pub(crate) definition: Vec<u8>,
}

/// A list of tools that cannot be read, and therefore cannot be filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the MCP server's list of tools cannot be read")]
pub(crate) struct Unlisted;

/// The tools in an answer to `tools/list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToolList {
    text: String,
    /// Where the array is.
    array: Range<usize>,
    /// Where each item is, and what it is; `None` for what is no tool, or one of a name that
    /// was there before.
    items: Vec<(Range<usize>, Option<Tool>)>,
    /// Where the list goes on.
    pub(crate) next_cursor: Option<String>,
}

impl ToolList {
    /// Reads a whole message that answers `tools/list`; `None` if it holds no such list.
    ///
    /// # Errors
    ///
    /// [`Unlisted`] if it holds one that two readers could read differently.
    pub(crate) fn read(text: String) -> Result<Option<Self>, Unlisted> {
        let Found { array, items, next_cursor } = match find(&text)? {
            Some(found) => found,
            None => return Ok(None),
        };
        Ok(Some(Self { text, array, items, next_cursor }))
    }

    /// The tools that can be read, in their order.
    pub(crate) fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.items.iter().filter_map(|(_, tool)| tool.as_ref())
    }

    /// The message with only the tools that `keeps` says yes to.
    pub(crate) fn keeping(&self, keeps: impl Fn(&str) -> bool) -> String {
        let is_kept = |tool: &Option<Tool>| tool.as_ref().is_some_and(|tool| keeps(&tool.name));
        if self.items.iter().all(|(_, tool)| is_kept(tool)) {
            return self.text.clone();
        }
        let part = |range: Range<usize>| self.text.get(range).unwrap_or_default();
        let kept: Vec<&str> = self
            .items
            .iter()
            .filter(|(_, tool)| is_kept(tool))
            .map(|(range, _)| part(range.clone()))
            .collect();
        let (before, behind) =
            (part(0..self.array.start), part(self.array.end..self.text.len()));
        format!("{before}[{}]{behind}", kept.join(","))
    }
}

struct Found {
    array: Range<usize>,
    items: Vec<(Range<usize>, Option<Tool>)>,
    next_cursor: Option<String>,
}

fn find(text: &str) -> Result<Option<Found>, Unlisted> {
    let message = json::members(text).map_err(|_| Unlisted)?;
    let Some(result) = json::member(&message, "result") else { return Ok(None) };
    let result = json::members(result.get()).map_err(|_| Unlisted)?;
    let is_miscased = |key: &String| key != "tools" && super::jsonrpc::folds_to(key, "tools");
    if result.iter().any(|(key, _)| is_miscased(key)) {
        return Err(Unlisted);
    }
    let Some(tools) = json::member(&result, "tools") else { return Ok(None) };
    let mut names = HashSet::new();
    let items = json::items(tools.get()).ok_or(Unlisted)?.into_iter().map(|item| {
        let tool = read(item.get()).filter(|tool| names.insert(tool.name.clone()));
        (place(text, item.get()), tool)
    });
    let next_cursor = json::member(&result, "nextCursor").and_then(json::string);
    Ok(Some(Found { array: place(text, tools.get()), items: items.collect(), next_cursor }))
}

fn read(text: &str) -> Option<Tool> {
    // Its schema is decided on, so it has to have one meaning.
    json::one_meaning(text.as_bytes()).ok()?;
    let name = json::string(json::member(&json::members(text).ok()?, "name")?)?;
    is_name(&name).then_some(())?;
    Some(Tool { name, definition: json::canonical(text)? })
}

/// Whether a name can be shown, recorded and decided on.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
