//! What Provost adds to Claude Code's settings, and how exactly that is taken out again.
//!
//! Pure: from JSON values to JSON values. What was there before is kept in a [`Record`], so
//! that taking out gives back the same value, keys in the same order. Whatever somebody changed
//! meanwhile stays as they left it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Time Claude Code gives our hook; `provost hook` is done in less. Unit: seconds.
const HOOK_WAIT_S: u64 = 10;
/// How much longer a tool call may wait for people: as long as Provost lets it by default, and
/// less than Claude Code gives the hook then. Unit: seconds.
const PEOPLE_WAIT_S: u64 = 300;
/// What our executable is called, wherever it is.
const PROGRAM: &str = "provost";
/// The kinds of events by what Claude Code knows of their hooks.
const EVENTS: &[(&str, Kind)] = &[
    ("PreToolUse", Kind { is_of_tool: true, refuses: true, waits: true }),
    ("PostToolUse", Kind { is_of_tool: true, refuses: false, waits: false }),
    ("PostToolUseFailure", Kind { is_of_tool: true, refuses: false, waits: false }),
    ("PermissionRequest", Kind { is_of_tool: true, refuses: true, waits: false }),
    ("UserPromptSubmit", Kind { is_of_tool: false, refuses: true, waits: false }),
    ("SessionStart", Kind { is_of_tool: false, refuses: false, waits: false }),
    ("SessionEnd", Kind { is_of_tool: false, refuses: false, waits: false }),
    ("Stop", Kind { is_of_tool: false, refuses: false, waits: false }),
    ("StopFailure", Kind { is_of_tool: false, refuses: false, waits: false }),
    ("SubagentStart", Kind { is_of_tool: false, refuses: false, waits: false }),
    ("SubagentStop", Kind { is_of_tool: false, refuses: false, waits: false }),
];

/// What Claude Code knows of an event's hooks.
#[derive(Clone, Copy)]
struct Kind {
    /// They are picked by the tool's name.
    is_of_tool: bool,
    /// They can refuse what is about to happen.
    refuses: bool,
    /// They may wait for people.
    waits: bool,
}

/// Settings that cannot be changed, as they are not what Claude Code documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// Something has another type than it should.
    #[error("{at} is not {wanted}; correct it first")]
    Shape {
        /// Where.
        at: String,
        /// What it should be.
        wanted: &'static str,
    },
}

/// The hooks that are put in.
#[derive(Clone, Debug)]
pub(crate) struct Hooks {
    command: String,
    managed: Option<Managed>,
}

/// What managed settings get beside hooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managed {
    /// The gateway that Claude Code may not be talked out of.
    pub(crate) gateway: Option<String>,
    /// Where hooks are answered, whatever a project's settings say.
    pub(crate) hook_url: Option<String>,
}

/// What was there before, where Provost changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Objects and lists that were made, by JSON pointer (RFC 6901), outer ones first.
    made: Vec<String>,
    /// Values that were set.
    set: Vec<Set>,
    /// Whether the file was made.
    #[serde(default)]
    pub(super) is_file_made: bool,
}

/// One value that was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Set {
    /// The object it is in, by JSON pointer.
    within: String,
    key: String,
    is: Value,
    /// What it was; nothing if it was not there.
    was: Option<Was>,
}

/// A value of its own, so that `null` is one as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Was {
    value: Value,
}

impl Hooks {
    /// Hooks that call this program; `ca_file` is passed on to it.
    pub(crate) fn new(
        program: &Path,
        ca_file: Option<&Path>,
        managed: Option<Managed>,
    ) -> Option<Self> {
        let mut command = format!("{} hook", quoted(program.to_str()?));
        if let Some(ca_file) = ca_file {
            command.push_str(&format!(" --ca-file {}", quoted(ca_file.to_str()?)));
        }
        Some(Self { command, managed })
    }

    /// Puts them in, once; `record` gets what was there before.
    pub(crate) fn put_in(
        &self,
        settings: &mut Value,
        record: &mut Record,
    ) -> Result<(), SettingsError> {
        let root = object(settings, "the file")?;
        for (event, kind) in EVENTS {
            let hooks = record.object_in(root, "", "hooks")?;
            let wanted = self.group(*kind);
            let list = record.list_in(hooks, "/hooks", event)?;
            let ours = list.iter().filter(|group| has_ours(group)).count();
            if ours == 1 && list.contains(&wanted) {
                continue;
            }
            take_ours_out(list);
            list.push(wanted);
        }
        let Some(managed) = &self.managed else { return Ok(()) };
        record.set(root, "", "allowManagedHooksOnly", true.into());
        let permissions = record.object_in(root, "", "permissions")?;
        record.set(
            permissions,
            "/permissions",
            "disableBypassPermissionsMode",
            "disable".into(),
        );
        let pinned =
            [("ANTHROPIC_BASE_URL", &managed.gateway), ("PROVOST_HOOK_URL", &managed.hook_url)];
        for (name, url) in pinned {
            let Some(url) = url else { continue };
            let env = record.object_in(root, "", "env")?;
            record.set(env, "/env", name, url.as_str().into());
        }
        Ok(())
    }

    /// The one group of an event that calls us.
    fn group(&self, kind: Kind) -> Value {
        // A shell's: where the program is missing, or was killed, it must be a refusal, too.
        let or_refuse = if kind.refuses { " || exit 2" } else { "" };
        let (waits, timeout) = if kind.waits {
            let timeout = HOOK_WAIT_S.saturating_add(PEOPLE_WAIT_S);
            (format!(" --wait-s {PEOPLE_WAIT_S}"), timeout)
        } else {
            (String::new(), HOOK_WAIT_S)
        };
        let mut hook = json!({
            "type": "command",
            "command": format!("{}{waits}{or_refuse}", self.command),
            "timeout": timeout,
        });
        // For what even the shell cannot say. Newer versions know it; not for all events.
        if let Some(hook) = hook.as_object_mut().filter(|_| kind.refuses) {
            hook.insert("onFailure".to_owned(), "block".into());
        }
        if kind.is_of_tool {
            json!({ "matcher": "*", "hooks": [hook] })
        } else {
            json!({ "hooks": [hook] })
        }
    }
}

/// Takes Provost's hooks out, whichever program they call, and what else was put in with them.
pub(crate) fn take_out(settings: &mut Value, record: &Record) -> Result<(), SettingsError> {
    let root = object(settings, "the file")?;
    if let Some(hooks) = root.get_mut("hooks") {
        for (event, groups) in object(hooks, "`hooks`")?.iter_mut() {
            take_ours_out(list(groups, &format!("`hooks.{event}`"))?);
        }
    }
    for set in &record.set {
        set.undo(settings);
    }
    // Inner ones first: an object is empty only after its lists are gone.
    for made in record.made.iter().rev() {
        remove_if_empty(settings, made);
    }
    Ok(())
}

impl Set {
    /// Gives back what was there, unless somebody changed it meanwhile.
    fn undo(&self, settings: &mut Value) {
        let within = settings.pointer_mut(&self.within).and_then(Value::as_object_mut);
        let Some(within) = within.filter(|it| it.get(&self.key) == Some(&self.is)) else {
            return;
        };
        match &self.was {
            Some(Was { value }) => drop(within.insert(self.key.clone(), value.clone())),
            // In order: the file's other lines stay where they are.
            None => drop(within.shift_remove(&self.key)),
        }
    }
}

impl Record {
    fn object_in<'a>(
        &mut self,
        root: &'a mut Map<String, Value>,
        within: &str,
        key: &str,
    ) -> Result<&'a mut Map<String, Value>, SettingsError> {
        let made = root.entry(key).or_insert_with(|| self.make(within, key, json!({})));
        object(made, &format!("`{key}`"))
    }

    fn list_in<'a>(
        &mut self,
        root: &'a mut Map<String, Value>,
        within: &str,
        key: &str,
    ) -> Result<&'a mut Vec<Value>, SettingsError> {
        let made = root.entry(key).or_insert_with(|| self.make(within, key, json!([])));
        list(made, &format!("`hooks.{key}`"))
    }

    fn make(&mut self, within: &str, key: &str, empty: Value) -> Value {
        let pointer = format!("{within}/{key}");
        // Named once, and last: it is made inside what was made before it.
        self.made.retain(|made| *made != pointer);
        self.made.push(pointer);
        empty
    }

    /// Sets a value; keeps what was there before the first time Provost set it.
    fn set(&mut self, root: &mut Map<String, Value>, within: &str, key: &str, is: Value) {
        let before = root.insert(key.to_owned(), is.clone());
        let earlier = self.set.iter().position(|set| set.within == within && set.key == key);
        let earlier = earlier.map(|at| self.set.remove(at));
        let was = match earlier {
            Some(earlier) if before.as_ref() == Some(&earlier.is) => earlier.was,
            _ => before.map(|value| Was { value }),
        };
        let (within, key) = (within.to_owned(), key.to_owned());
        self.set.push(Set { within, key, is, was });
    }
}

fn remove_if_empty(settings: &mut Value, pointer: &str) {
    let Some((within, key)) = pointer.rsplit_once('/') else { return };
    let Some(within) = settings.pointer_mut(within).and_then(Value::as_object_mut) else {
        return;
    };
    let is_empty = |value: &Value| {
        value.as_object().is_some_and(Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty)
    };
    if within.get(key).is_some_and(is_empty) {
        within.shift_remove(key);
    }
}

/// Takes our hooks out of an event's groups, and the groups that had no others.
fn take_ours_out(groups: &mut Vec<Value>) {
    groups.retain_mut(|group| {
        let hooks = group.get_mut("hooks").and_then(Value::as_array_mut);
        let Some(hooks) = hooks else { return true };
        let before = hooks.len();
        hooks.retain(|hook| !is_ours(hook));
        !hooks.is_empty() || hooks.len() == before
    });
}

fn has_ours(group: &Value) -> bool {
    let hooks = group.get("hooks").and_then(Value::as_array);
    hooks.is_some_and(|hooks| hooks.iter().any(is_ours))
}

/// Whether a hook calls `provost hook`, wherever that program is.
fn is_ours(hook: &Value) -> bool {
    let command = hook.get("command").and_then(Value::as_str).unwrap_or_default();
    // A quote within a quoted word is not its end; which character it is does not matter here.
    let command = command.replace(QUOTE_IN_QUOTES, "_");
    let (program, rest) = match command.strip_prefix('\'') {
        Some(quoted) => quoted.split_once('\'').unwrap_or_default(),
        None => command.split_at(command.find(' ').unwrap_or(command.len())),
    };
    let called = Path::new(program).file_name().and_then(|name| name.to_str());
    called == Some(PROGRAM) && (rest == " hook" || rest.starts_with(" hook "))
}

/// How a shell's quoted word has a quote.
const QUOTE_IN_QUOTES: &str = r"'\''";

/// The text as one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte);
    if word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', QUOTE_IN_QUOTES))
}

fn object<'a>(
    value: &'a mut Value,
    at: &str,
) -> Result<&'a mut Map<String, Value>, SettingsError> {
    let wanted = "an object";
    value.as_object_mut().ok_or_else(|| SettingsError::Shape { at: at.to_owned(), wanted })
}

fn list<'a>(value: &'a mut Value, at: &str) -> Result<&'a mut Vec<Value>, SettingsError> {
    let wanted = "a list";
    value.as_array_mut().ok_or_else(|| SettingsError::Shape { at: at.to_owned(), wanted })
}

#[cfg(test)]
mod tests;
