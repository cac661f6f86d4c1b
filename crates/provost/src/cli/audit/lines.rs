//! Events in words: one line for a list, several for one on its own.

use provost_api::{Event, Proof};
use serde_json::Value;

/// How much is shown of a record that this program does not know. Unit: characters.
const UNKNOWN_CHARS_MAX: usize = 160;

/// Attributes of a tool call's context that say what it would do, the most telling first.
const EFFECTS: [&str; 5] = ["risks", "commands", "hosts", "writes", "reads"];

/// How much is shown of them. Unit: characters.
const EFFECTS_CHARS_MAX: usize = 200;

/// One event on one line.
pub(crate) fn line(event: &Event) -> String {
    let entry = Entry(event);
    let about = match entry.text("/subject/agent") {
        "" => String::new(),
        agent => format!(" {agent}"),
    };
    let action = match entry.text("/subject/action") {
        "" => String::new(),
        action => format!("  {action}"),
    };
    let (Event { index, at, kind, .. }, sentence) = (event, sentence(event));
    format!("{index:>7}  {at}  {kind:<7}{about} {sentence}{action}")
}

/// What an event says, without when, whose and which.
pub(crate) fn sentence(event: &Event) -> String {
    on_one_line(&Entry(event).sentence())
}

/// What a tool call would do, as far as it was read: `commands git push, ls; hosts github.com`.
/// Empty where there is nothing to tell.
pub(crate) fn effects(event: &Event) -> String {
    let entry = Entry(event);
    let told = EFFECTS.iter().filter_map(|name| {
        let pointers = ["intent", "refusal/intent"]
            .map(|intent| format!("/record/{intent}/context/{name}"));
        let items = pointers.iter().find_map(|pointer| entry.at(pointer)?.as_array())?;
        let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
        (!items.is_empty()).then(|| format!("{name} {}", items.join(", ")))
    });
    let told = told.collect::<Vec<_>>().join("; ");
    let mut shown: String = told.chars().take(EFFECTS_CHARS_MAX).collect();
    if shown.len() < told.len() {
        shown.push('…');
    }
    on_one_line(&shown)
}

/// An agent that names something over two lines must not be able to forge the second.
fn on_one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'], "\u{fffd}")
}

/// A number of an event's entry, by its JSON pointer.
pub(crate) fn number(event: &Event, pointer: &str) -> Option<u64> {
    Entry(event).number(pointer)
}

/// A text of an event's entry, by its JSON pointer; empty if there is none.
pub(crate) fn text<'a>(event: &'a Event, pointer: &str) -> &'a str {
    Entry(event).text(pointer)
}

/// One event whole: its line, then every field; then its proof.
pub(crate) fn whole(event: &Event, proof: Option<&Proof>) -> String {
    let mut text = line(event);
    text.push('\n');
    let entry = serde_json::to_string_pretty(&event.entry).unwrap_or_default();
    text.extend(entry.lines().map(|line| format!("    {line}\n")));
    if let Some(proof) = proof {
        text.push_str("    proven to be in the ledger that this checkpoint signs:\n");
        text.extend(proof.checkpoint.lines().map(|line| format!("      {line}\n")));
        text.push_str("    by the hashes beside its way to the root:\n");
        text.extend(proof.hashes.iter().map(|hash| format!("      {hash}\n")));
    }
    text
}

/// Reads an entry leniently: what is not there is empty.
struct Entry<'a>(&'a Event);

impl<'a> Entry<'a> {
    fn sentence(&self) -> String {
        match self.0.kind.as_str() {
            "intent" => {
                let verdict = self.text("/record/intent/decision/verdict");
                let policies = self.list("/record/intent/decision/policies");
                format!("{}: {verdict} by {policies}", self.asked("/record/intent"))
            }
            "outcome" => self.outcome(),
            "refusal" => {
                let (code, reason) =
                    (self.text("/record/refusal/code"), self.text("/record/refusal/reason"));
                match self.asked("/record/refusal/intent") {
                    asked if asked.is_empty() => format!("{code}: {reason}"),
                    asked => format!("{asked}: {code}: {reason}"),
                }
            }
            "admin" => {
                let [by, verb, subject] = ["by", "verb", "subject"]
                    .map(|one| self.text(&format!("/record/admin/{one}")));
                format!("{by} {verb} {subject}")
            }
            "session" => match self.text("/record/session/ended/reason") {
                "" => format!("began, opened by {}", self.text("/record/session/started/by")),
                reason => format!("ended: {reason}"),
            },
            "server" => self.server(),
            "witness" => {
                let [plane, via] =
                    ["plane", "via"].map(|one| self.text(&format!("/record/witness/{one}")));
                format!("the call was seen by {plane} too, in {via}")
            }
            "alert" => {
                let [rule, message] =
                    ["rule", "message"].map(|one| self.text(&format!("/record/alert/{one}")));
                format!("{rule}: {message}")
            }
            "approval" => {
                let [approval, step, by] = ["approval", "step", "by"]
                    .map(|one| self.text(&format!("/record/approval/{one}")));
                let asked = self.asked("/record/approval/intent");
                let asked = if asked.is_empty() { asked } else { format!(": {asked}") };
                format!("{approval} {step} by {by}{asked}")
            }
            // Recorded by a newer server: better its own words than none.
            kind => {
                let record = self.at(&format!("/record/{kind}"));
                let words = record.map(Value::to_string).unwrap_or_default();
                words.chars().take(UNKNOWN_CHARS_MAX).collect()
            }
        }
    }

    /// `llm message claude-sonnet-5`
    fn asked(&self, intent: &str) -> String {
        let words =
            ["plane", "verb", "resource_id"].map(|one| self.text(&format!("{intent}/{one}")));
        words.join(" ").trim().to_owned()
    }

    fn outcome(&self) -> String {
        let mut words = vec![self.text("/record/outcome/status").to_owned()];
        words.extend(self.number("/record/outcome/code").map(|code| code.to_string()));
        if let Some(output) = self.number("/record/outcome/usage/output") {
            let input: u64 = ["input", "cache_read", "cache_write"]
                .iter()
                .filter_map(|one| self.number(&format!("/record/outcome/usage/{one}")))
                .fold(0, u64::saturating_add);
            words.push(format!("{input} tokens in, {output} out"));
        }
        let tools = self.tools();
        if !tools.is_empty() {
            words.push(format!("asks for {tools}"));
        }
        match self.text("/record/outcome/reason") {
            "" => {}
            reason => words.push(format!("because {reason}")),
        }
        words.join(", ")
    }

    fn server(&self) -> String {
        if let Some(recovered) = self.number("/record/server/started/recovered") {
            let version = self.text("/record/server/started/version");
            return format!("server {version} began, {recovered} unknown outcomes closed");
        }
        match self
            .0
            .entry
            .get("record")
            .and_then(|record| record.pointer("/server/clock_stepped/by_us"))
        {
            Some(by) => format!("the clock was set by {by} µs"),
            None => "server ended".to_owned(),
        }
    }

    fn tools(&self) -> String {
        let uses = self.at("/record/outcome/tool_uses").and_then(Value::as_array);
        let names = uses.into_iter().flatten().filter_map(|one| one.get("name")?.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    fn list(&self, pointer: &str) -> String {
        let items = self.at(pointer).and_then(Value::as_array);
        let names: Vec<_> = items.into_iter().flatten().filter_map(Value::as_str).collect();
        if names.is_empty() { "no policy".to_owned() } else { names.join(", ") }
    }

    fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, pointer: &str) -> Option<u64> {
        self.at(pointer).and_then(Value::as_u64)
    }

    /// The value at a JSON pointer (RFC 6901).
    fn at(&self, pointer: &str) -> Option<&'a Value> {
        let rest = pointer.strip_prefix('/')?;
        let (first, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let value = self.0.entry.get(first)?;
        if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
    }
}

#[cfg(test)]
mod tests {
    use provost_api::Event;
    use serde_json::{Value, json};

    use super::line;

    #[test]
    fn every_kind_of_event_is_a_sentence() {
        let intent = json!({
            "plane": "llm", "verb": "message", "resource_id": "claude-sonnet-5",
            "decision": {"verdict": "allow", "policies": ["models"]},
        });
        for (record, want) in [
            (
                json!({"intent": intent}),
                "intent  bot llm message claude-sonnet-5: allow by models  act_1",
            ),
            (
                json!({"outcome": {"status": "succeeded", "code": 200, "tool_uses": [{"id": "t", "name": "Bash"}],
                                   "usage": {"input": 3, "cache_read": 4, "cache_write": 0, "output": 5}}}),
                "outcome bot succeeded, 200, 7 tokens in, 5 out, asks for Bash  act_1",
            ),
            (
                json!({"outcome": {"status": "aborted", "tool_uses": [], "reason": "killed"}}),
                "outcome bot aborted, because killed  act_1",
            ),
            (
                json!({"refusal": {"code": "denied", "reason": "nothing permits it", "intent": intent}}),
                "refusal bot llm message claude-sonnet-5: denied: nothing permits it  act_1",
            ),
            (
                json!({"refusal": {"code": "denied", "reason": "no\n      8  AT  forged"}}),
                "refusal bot denied: no\u{fffd}      8  AT  forged  act_1",
            ),
            (
                json!({"refusal": {"code": "malformed", "reason": "not JSON"}}),
                "refusal bot malformed: not JSON  act_1",
            ),
            (
                json!({"admin": {"by": "human/ada", "verb": "agent.create", "subject": "agent/bot"}}),
                "admin   bot human/ada agent.create agent/bot  act_1",
            ),
            (
                json!({"session": {"started": {"by": "local/0"}}}),
                "session bot began, opened by local/0  act_1",
            ),
            (
                json!({"session": {"ended": {"reason": "idle"}}}),
                "session bot ended: idle  act_1",
            ),
            (
                json!({"witness": {"plane": "hook", "via": "act_2", "tool_use": "toolu_1"}}),
                "witness bot the call was seen by hook too, in act_2  act_1",
            ),
            (
                json!({"alert": {"rule": "arguments-differ", "message": "they do", "detail": {}}}),
                "alert   bot arguments-differ: they do  act_1",
            ),
            (
                json!({"approval": {"approval": "apr_1", "step": "approved", "by": "human/ada"}}),
                "approval bot apr_1 approved by human/ada  act_1",
            ),
            (
                json!({"budget": {"spent": 7, "of": "bot"}}), // of a newer server
                r#"budget  bot {"spent":7,"of":"bot"}  act_1"#,
            ),
        ] {
            assert_eq!(told(&record), want);
        }
    }

    #[test]
    fn what_the_server_says_of_itself_is_a_sentence() {
        for (record, want) in [
            (json!({"server": {"stopped": {}}}), "server  bot server ended  act_1"),
            (
                json!({"server": {"started": {"version": "1", "recovered": 2}}}),
                "server  bot server 1 began, 2 unknown outcomes closed  act_1",
            ),
            (
                json!({"server": {"clock_stepped": {"by_us": -5}}}),
                "server  bot the clock was set by -5 µs  act_1",
            ),
        ] {
            assert_eq!(told(&record), want);
        }
    }

    /// The line of an event with this record, after its place and time.
    fn told(record: &Value) -> String {
        let kind = record.as_object().and_then(|record| record.keys().next()).unwrap();
        let event = json!({
            "index": 7, "at": "AT", "kind": kind,
            "record": record, "subject": {"agent": "bot", "action": "act_1"},
        });
        let event: Event = serde_json::from_value(event).unwrap();
        let line = line(&event);
        line.strip_prefix("      7  AT  ").unwrap().to_owned()
    }
}
