//! The card of a held action: what it would do, who may answer, what happens otherwise. Pure.

use provost_api::{ApprovalCard, ApprovalExtent, ApprovalGate, ApprovalVerdict};
use provost_tools::{Effects, Risk, effects, json_value_once};
use serde_json::{Map, Value};

use crate::{
    diff::changed,
    quote::{quoted, visible},
};

/// Of the lines that are shown of a long text, one in so many is of its end.
const LAST_OF: usize = 4;

/// How much of each of the agent's texts is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All of it.
    Whole,
    /// At most so many lines, and how many were left out.
    Lines(usize),
}

/// The card as text.
///
/// Every line of the agent's begins with `│ ` or `┊ `, every other is ours.
#[must_use]
pub fn card(card: &ApprovalCard, size: Size) -> String {
    let mut page = Page { text: String::new(), size };
    page.head(card);
    page.action(card);
    page.gates(card);
    page.answers(card);
    page.text
}

/// A card as it grows.
struct Page {
    text: String,
    size: Size,
}

impl Page {
    /// A line of ours.
    fn line(&mut self, line: &str) {
        self.text.push_str(visible(line).trim_end());
        self.text.push('\n');
    }

    /// Lines of the agent's, under a line of ours.
    fn quote(&mut self, title: &str, lines: impl IntoIterator<Item: AsRef<str>>) {
        self.line(title);
        let lines: Vec<String> =
            lines.into_iter().flat_map(|line| quoted(line.as_ref())).collect();
        let room = match self.size {
            Size::Lines(most) if most < lines.len() => most,
            Size::Lines(_) | Size::Whole => lines.len(),
        };
        let left_out = lines.len().saturating_sub(room);
        let last = if left_out == 0 { 0 } else { room / LAST_OF };
        let first = room.saturating_sub(last);
        for (at, line) in lines.iter().enumerate() {
            if at == first && left_out > 0 {
                self.line(&format!("… {left_out} lines left out: read them before you answer"));
            }
            if at < first || at >= first.saturating_add(left_out) {
                self.text.push_str(line);
                self.text.push('\n');
            }
        }
    }

    fn head(&mut self, card: &ApprovalCard) {
        let approval = &card.approval;
        let colon = if approval.note.is_empty() { "" } else { ": " };
        self.line(&format!("{} {}{colon}{}", approval.id, approval.state, approval.note));
        self.line(&format!("agent:     {} of {}", approval.agent, approval.project));
        self.line(&format!("session:   {}", approval.session));
        self.line(&format!("asked:     {}", approval.requested_at));
        self.line(&format!("otherwise: {}", card.otherwise));
        if let Some(action) = &approval.used_by {
            self.line(&format!("used by:   {action}"));
        }
        match &approval.extent {
            ApprovalExtent::Once => {}
            ApprovalExtent::Session => self.line("reaches:   the same call, in its session"),
            ApprovalExtent::Pattern { arguments, lasts_s: _ } => {
                self.line("reaches:   every such call whose arguments fit");
                for (name, glob) in arguments {
                    self.line(&format!("           {name}={glob}"));
                }
            }
        }
    }

    fn action(&mut self, card: &ApprovalCard) {
        let approval = &card.approval;
        let what = format!("{} of {}", approval.verb, approval.resource_kind);
        self.text.push('\n');
        self.quote(&format!("it asks for {what}:"), [&approval.resource_id]);
        let Some(arguments) = &card.arguments else {
            let why = match card.arguments_state.as_str() {
                "gone" => "its arguments are deleted, for nobody has to judge them any more",
                "unreadable" => "its arguments cannot be read: it can only be denied",
                _ => "its arguments are shown to those who may answer",
            };
            return self.line(why);
        };
        self.arguments(&approval.resource_id, arguments);
        if approval.resource_kind == "Tool::Tool" {
            self.effects(&effects(&approval.resource_id, arguments.as_bytes(), None));
        }
    }

    /// The arguments, in the form in which they are judged best.
    fn arguments(&mut self, name: &str, arguments: &str) {
        let mut fields = match json_value_once(arguments.as_bytes()) {
            Ok(Value::Object(fields)) => fields,
            Ok(other) => return self.quote("arguments:", format!("{other:#}").lines()),
            Err(_no_json_or_two_readings) => {
                return self.quote("arguments:", arguments.split('\n'));
            }
        };
        match name {
            "Bash" => {
                if let Some(command) = text(&mut fields, "command") {
                    self.quote("command:", command.split('\n'));
                }
            }
            "Write" => {
                if let Some(path) = text(&mut fields, "file_path") {
                    self.quote("file:", [path]);
                }
                if let Some(content) = text(&mut fields, "content") {
                    self.quote("its new content:", content.split('\n'));
                }
            }
            "Edit" => self.edit(&mut fields),
            _ => {}
        }
        if !fields.is_empty() {
            let lines = fields.iter().map(|(name, value)| format!("{name}: {value}"));
            self.quote("arguments:", lines);
        }
    }

    fn edit(&mut self, fields: &mut Map<String, Value>) {
        if let Some(path) = text(fields, "file_path") {
            self.quote("file:", [path]);
        }
        let both = ["old_string", "new_string"].map(|name| fields.get(name).cloned());
        if let [Some(Value::String(old)), Some(Value::String(new))] = both {
            fields.retain(|name, _| name != "old_string" && name != "new_string");
            self.quote("change:", changed(&old, &new));
        }
    }

    /// What the call would do, as far as its text tells.
    fn effects(&mut self, effects: &Effects) {
        if !effects.parsed {
            self.line("it cannot be understood, so nothing can be ruled out");
        }
        let risks: Vec<&str> = effects.risks.iter().copied().map(Risk::as_str).collect();
        if !risks.is_empty() {
            self.line(&format!("risks: {}", risks.join(", ")));
        }
        for (title, items) in [
            ("it runs:", &effects.commands),
            ("it reads:", &effects.reads),
            ("it writes or deletes:", &effects.writes),
            ("it names the hosts:", &effects.hosts),
        ] {
            if !items.is_empty() {
                self.quote(title, items);
            }
        }
    }

    fn gates(&mut self, card: &ApprovalCard) {
        self.text.push('\n');
        for gate in &card.gates {
            self.line(&gate_line(gate));
        }
        if card.approval.state == "waiting" {
            let may = if card.may_answer { "you may answer" } else { "you may not answer" };
            self.line(may);
        }
    }

    fn answers(&mut self, card: &ApprovalCard) {
        for one in &card.answers {
            let said = match one.verdict {
                ApprovalVerdict::Approve => "approved",
                ApprovalVerdict::Deny => "denied",
            };
            let colon = if one.comment.is_empty() { "" } else { ": " };
            self.line(&format!("{} {said} at {}{colon}{}", one.by, one.at, one.comment));
        }
    }
}

fn gate_line(gate: &ApprovalGate) -> String {
    let groups = gate.groups.join(" or ");
    let reason = gate.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let changed = if gate.changed { " (changed since: a yes lifts it no more)" } else { "" };
    let (policy, agreed, quorum) = (&gate.policy, gate.agreed, gate.quorum);
    format!("held by {policy}{reason}; {agreed} of {quorum} yes from {groups}{changed}")
}

/// Takes a text out of the fields.
fn text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    let text = fields.get(name)?.as_str()?.to_owned();
    // Not `remove`, which may change the order of the others.
    fields.retain(|field, _| field != name);
    Some(text)
}

#[cfg(test)]
mod tests;
