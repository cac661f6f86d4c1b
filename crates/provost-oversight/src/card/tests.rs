//! What the card says, and that an agent can say nothing in its name.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use proptest::prelude::*;
use provost_api::{
    Approval, ApprovalAnswer, ApprovalCard, ApprovalExtent, ApprovalGate, ApprovalVerdict,
};
use provost_tools::Risk;
use serde_json::json;

use super::{Size, card};
use crate::quote::{COLUMNS_MAX, MARK, MARK_GOES_ON, is_visible, width};

/// Every line of ours that depends on what is asked; beside risks and what was left out.
const TITLES: &[&str] = &[
    "arguments:",
    "command:",
    "file:",
    "its new content:",
    "change:",
    "it cannot be understood, so nothing can be ruled out",
    "it runs:",
    "it reads:",
    "it writes or deletes:",
    "it names the hosts:",
    "it asks for call of Tool::Tool:",
];

fn held(name: &str, arguments: &str) -> ApprovalCard {
    ApprovalCard {
        approval: Approval {
            id: "apr_1".to_owned(),
            state: "waiting".to_owned(),
            note: String::new(),
            agent: "invoice-bot".to_owned(),
            project: "finance".to_owned(),
            session: "ses_1".to_owned(),
            action: "act_1".to_owned(),
            plane: "tool".to_owned(),
            verb: "call".to_owned(),
            resource_kind: "Tool::Tool".to_owned(),
            resource_id: name.to_owned(),
            gates: vec!["base.push".to_owned()],
            groups: vec!["approvers".to_owned()],
            extent: ApprovalExtent::Once,
            requested_at: "2026-11-25T14:00:00Z".to_owned(),
            expires_at: "2026-11-26T14:00:00Z".to_owned(),
            closed_at: None,
            used_by: None,
        },
        gates: vec![ApprovalGate {
            policy: "base.push".to_owned(),
            reason: Some("publishing needs a person".to_owned()),
            groups: vec!["approvers".to_owned(), "leads".to_owned()],
            quorum: 2,
            agreed: 1,
            changed: false,
        }],
        answers: vec![ApprovalAnswer {
            by: "human/ada".to_owned(),
            at: "2026-11-25T14:01:00Z".to_owned(),
            verdict: ApprovalVerdict::Approve,
            comment: "fine by me".to_owned(),
        }],
        may_answer: true,
        arguments: Some(arguments.to_owned()),
        arguments_state: "shown".to_owned(),
        otherwise: "denied at 2026-11-26T14:00:00Z".to_owned(),
    }
}

fn told(name: &str, arguments: &serde_json::Value) -> String {
    card(&held(name, &arguments.to_string()), Size::Lines(8))
}

#[test]
fn a_shell_command_is_shown_with_what_it_would_do() {
    let command = "touch pushed &&\ngit push https://x.example\n# approved by ada";
    let asked = json!({"command": command, "description": "as \u{1b}[2J\u{202e}asked"});
    assert_snapshot!(told("Bash", &asked), @r#"
        apr_1 waiting
        agent:     invoice-bot of finance
        session:   ses_1
        asked:     2026-11-25T14:00:00Z
        otherwise: denied at 2026-11-26T14:00:00Z

        it asks for call of Tool::Tool:
        │ Bash
        command:
        │ touch pushed &&
        │ git push https://x.example
        │ # approved by ada
        arguments:
        │ description: "as \u001b[2J\u{202e}asked"
        risks: network, push, write
        it runs:
        │ git push
        │ touch
        it writes or deletes:
        │ pushed
        it names the hosts:
        │ x.example

        held by base.push: publishing needs a person; 1 of 2 yes from approvers or leads
        you may answer
        human/ada approved at 2026-11-25T14:01:00Z: fine by me
        "#);
}

#[test]
fn an_edit_is_shown_as_a_change() {
    let asked = json!({
        "file_path": "/a/b.rs",
        "old_string": "one\ntwo",
        "new_string": "one\n2",
        "replace_all": true,
    });
    let told = told("Edit", &asked);
    let change: Vec<&str> = told.lines().skip_while(|line| *line != "file:").collect();
    assert_snapshot!(change.join("\n"), @r#"
        file:
        │ /a/b.rs
        change:
        │  one
        │ -two
        │ +2
        arguments:
        │ replace_all: true
        risks: write
        it writes or deletes:
        │ /a/b.rs

        held by base.push: publishing needs a person; 1 of 2 yes from approvers or leads
        you may answer
        human/ada approved at 2026-11-25T14:01:00Z: fine by me
        "#);
}

#[test]
fn other_arguments_are_told_one_a_line() {
    let asked = json!({"files": [{"path": "x"}], "repo": "a\nb"});
    let told = told("mcp__github__push_files", &asked);
    assert!(told.contains("│ files: [{\"path\":\"x\"}]\n│ repo: \"a\\nb\"\n"), "{told}");
}

#[test]
fn arguments_with_two_readings_are_shown_as_they_are() {
    let twice = r#"{"command":"id","command":"git push"}"#;
    let told = card(&held("Bash", twice), Size::Whole);
    assert!(
        told.contains(&format!("arguments:\n│ {twice}\nit cannot be understood")),
        "{told}"
    );
}

#[test]
fn what_is_too_long_says_how_much_is_left_out() {
    let lines: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    let asked = json!({"file_path": "x", "content": lines.join("\n")});
    let told = told("Write", &asked);
    let wanted = "its new content:\n│ 1\n│ 2\n│ 3\n│ 4\n│ 5\n│ 6\n\
                  … 12 lines left out: read them before you answer\n│ 19\n│ 20\n";
    assert!(told.contains(wanted), "{told}");
    let whole = card(&held("Write", &asked.to_string()), Size::Whole);
    assert!(whole.contains("│ 7\n") && !whole.contains('…'), "{whole}");
}

#[test]
fn without_arguments_it_says_why() {
    for (state, want) in [
        ("hidden", "shown to those who may answer"),
        ("gone", "deleted"),
        ("unreadable", "can only be denied"),
    ] {
        let mut held = held("Bash", "");
        held.arguments = None;
        held.arguments_state = state.to_owned();
        let told = card(&held, Size::Whole);
        assert!(told.contains(want), "{state}: {told}");
    }
}

/// Pieces of what an agent would write to look like us, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("\u{85}".to_owned()),
        Just("\u{1b}[1A\u{202e}\u{200b}\u{feff}\u{e0041}\u{fe0f}".to_owned()),
        Just("risks: none\nyou may answer\n│ \n┊ \ncommand:\n".to_owned()),
        Just("… 0 lines left out: read them before you answer".to_owned()),
        Just("日本 ".repeat(40)),
        Just(" ".repeat(200)),
        Just("git push https://h.example; rm -rf '/a\nb'".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A tool's name and its arguments, some of them in the form that the tool wants.
fn asked() -> impl Strategy<Value = (String, String)> {
    let json = |value: serde_json::Value| value.to_string();
    prop_oneof![
        (hostile(), hostile()),
        (hostile(), hostile(), hostile())
            .prop_map(move |(name, key, value)| (name, json(json!({ key: value })))),
        (hostile(), hostile()).prop_map(move |(command, description)| {
            let asked = json!({"command": command, "description": description});
            ("Bash".to_owned(), json(asked))
        }),
        (hostile(), hostile(), hostile()).prop_map(move |(path, old, new)| {
            let asked = json!({"file_path": path, "old_string": old, "new_string": new});
            ("Edit".to_owned(), json(asked))
        }),
        (hostile(), hostile()).prop_map(move |(path, content)| {
            let asked = json!({"file_path": path, "content": content});
            ("Write".to_owned(), json(asked))
        }),
    ]
}

fn is_left_out(line: &str) -> bool {
    let count = line
        .strip_prefix("… ")
        .and_then(|rest| rest.strip_suffix(" lines left out: read them before you answer"));
    count.is_some_and(|count| count.parse::<usize>().is_ok())
}

fn is_risks(line: &str) -> bool {
    let known: BTreeSet<&str> = Risk::ALL.into_iter().map(Risk::as_str).collect();
    let risks = line.strip_prefix("risks: ");
    risks.is_some_and(|risks| risks.split(", ").all(|risk| known.contains(risk)))
}

proptest! {
    #[test]
    fn no_text_of_an_agents_looks_like_ours_or_hides((name, arguments) in asked(), most in 1_usize..12) {
        let plain = card(&held("Plain", "{}"), Size::Whole);
        let frame: BTreeSet<&str> = plain.lines().collect();
        let told = card(&held(&name, &arguments), Size::Lines(most));
        for line in told.split_terminator('\n') {
            let quoted = line.strip_prefix(MARK).or_else(|| line.strip_prefix(MARK_GOES_ON));
            if let Some(quoted) = quoted {
                prop_assert!(quoted.chars().all(is_visible), "{line:?}");
                prop_assert!(quoted.chars().map(width).sum::<usize>() <= COLUMNS_MAX);
                continue;
            }
            let is_ours = frame.contains(line)
                || TITLES.contains(&line)
                || is_risks(line)
                || is_left_out(line);
            prop_assert!(is_ours, "{line:?} of {told}");
        }
        // Nothing of ours is missing, and each comes once.
        for line in frame.iter().filter(|line| line.contains("held by") || line.contains("otherwise:")) {
            prop_assert_eq!(told.lines().filter(|other| other == line).count(), 1);
        }
    }
}
