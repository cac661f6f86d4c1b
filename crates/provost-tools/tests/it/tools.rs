//! Tools other than the shell, and inputs that are broken.

use provost_tools::{Risk, effects};

use crate::{CWD, line};

#[test]
fn fields_of_known_tools_are_read() {
    for (name, input, want) in [
        ("Read", r#"{"file_path":"a"}"#, " | read | /w/a"),
        ("Read", r#"{"file_path":"~/.ssh/id_rsa"}"#, " | credentials read | ~/.ssh/id_rsa"),
        (
            "Edit",
            r#"{"file_path":"/x/a","old_string":"","new_string":""}"#,
            " | write |  | /x/a",
        ),
        ("MultiEdit", r#"{"file_path":"a","edits":[]}"#, " | write |  | /w/a"),
        ("Write", r#"{"file_path":"/etc/x","content":""}"#, " | privilege write |  | /etc/x"),
        ("NotebookEdit", r#"{"notebook_path":"a"}"#, " | write |  | /w/a"),
        ("Glob", r#"{"pattern":"*"}"#, " | read | /w"),
        ("Grep", r#"{"pattern":"x","path":"src"}"#, " | read | /w/src"),
        ("LS", r#"{"path":"/x"}"#, " | read | /x"),
        ("WebFetch", r#"{"url":"https://A.com:1/x","prompt":""}"#, " | network |  |  | a.com"),
        ("WebSearch", r#"{"query":"x"}"#, " | network"),
        ("Task", "{}", " | execute"),
        ("TodoWrite", "{}", ""),
        ("mcp__server__tool", r#"{"file_path":"a"}"#, " | execute"),
        ("NoSuchTool", "{}", " | execute"),
        ("Bash", r#"{"command":"rm a","cwd":"sub"}"#, "rm | delete |  | /w/sub/a"),
        ("Bash", r#"{"command":"ls","description":null}"#, "ls | read"),
    ] {
        let got = effects(name, input.as_bytes(), Some(CWD));
        assert_eq!(line(&got), want, "{name} {input}");
    }
}

#[test]
fn broken_inputs_are_not_understood() {
    for (name, input) in [
        ("Bash", ""),
        ("Bash", "{}"),
        ("Bash", "null"),
        ("Bash", r#"{"command":"ls""#),
        ("Bash", r#"{"command":["ls"]}"#),
        ("Bash", r#"{"command":null}"#),
        ("Bash", r#"{"command":"ls","command":"rm x"}"#),
        ("Bash", r#"{"command":"ls","cwd":1}"#),
        ("Read", r#"{"path":"a"}"#),
        ("Grep", r#"{"path":1}"#),
        ("WebFetch", r#"{"url":{}}"#),
        ("mcp__server__tool", "{"),
        ("TodoWrite", "\u{0}"),
    ] {
        let got = effects(name, input.as_bytes(), Some(CWD));
        assert!(!got.parsed, "{name} {input}");
        assert_eq!(got.risks, Risk::ALL, "{name} {input}");
    }
    assert!(!effects("Bash", b"{\"command\":\"\xff\"}", None).parsed);
}

#[test]
fn without_a_folder_paths_stay_as_given() {
    let got = effects("Bash", br#"{"command":"rm a/../b ../c"}"#, None);
    assert_eq!(got.writes, ["../c", "b"]);
}
