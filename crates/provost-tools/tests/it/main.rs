//! What tool calls are said to do, through the crate's one function.

mod commands;
mod evading;
mod laws;
mod table;
mod tools;

use provost_tools::{Effects, effects};
use serde_json::json;

/// Where all these calls run.
const CWD: &str = "/w";

/// The effects of a shell script.
fn bash(script: &str) -> Effects {
    let input = json!({ "command": script }).to_string();
    effects("Bash", input.as_bytes(), Some(CWD))
}

/// Effects in one line: `commands | risks | reads | writes | hosts`, or `?` if not parsed.
fn line(effects: &Effects) -> String {
    if !effects.parsed {
        return "?".to_owned();
    }
    let risks: Vec<&str> = effects.risks.iter().map(|risk| risk.as_str()).collect();
    let parts = [
        effects.commands.join(", "),
        risks.join(" "),
        effects.reads.join(" "),
        effects.writes.join(" "),
        effects.hosts.join(" "),
    ];
    parts.join(" | ").trim_end_matches([' ', '|']).to_owned()
}

/// Checks rows of a script and its effects in one line; says every row that is wrong.
fn check(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(script, want)| {
            let got = line(&bash(script));
            (got != *want).then(|| format!("{script:?}\n  want {want}\n  got  {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
