//! The starter policies: what a stock Claude Code may do, and what it may not.

use provost_decide::{Policies, project_policy, starter_policies};
use provost_types::{ProjectName, Value};

use crate::ask::{Ask, decided};

fn started(projects: &[&str]) -> Policies {
    let projects = projects.iter().map(|name| project_policy(&name.parse().unwrap()));
    let files: Vec<_> = starter_policies().into_iter().chain(projects).collect();
    Policies::compile(&files).unwrap()
}

#[test]
fn the_starter_policies_permit_a_stock_claude_code_and_little_else() {
    let finance = started(&["finance"]);
    let tokens = |count| Some(Value::Long(count));
    for (ask, want) in [
        (Ask::message("claude-sonnet-5"), "allow [finance.message]"),
        (Ask::message("claude-opus-5-5"), "allow [finance.message]"),
        (Ask::message("claude-haiku-4-5-20251001"), "allow [finance.message]"),
        (
            Ask::message("claude-sonnet-5").with("max_tokens", tokens(128_000)),
            "allow [finance.message]",
        ),
        (Ask::count_tokens("claude-sonnet-5"), "allow [finance.count-tokens]"),
        (Ask::list_models(), "allow [finance.list-models]"),
        (
            Ask::message("claude-sonnet-5").with("max_tokens", tokens(128_001)),
            "deny [base.max-tokens]",
        ),
        (Ask::message("claude-sonnet-5").with("max_tokens", None), "deny [base.max-tokens]"),
        (Ask::message("gpt-5"), "deny []"),
        (Ask::message("claude-unheard-of"), "deny []"),
        (Ask::count_tokens("gpt-5"), "deny []"),
        (Ask::message("claude-sonnet-5").by("bot", "payroll"), "deny []"),
        (Ask::list_models().by("finance", "payroll"), "deny []"), // an agent, not the project
    ] {
        let got = decided(&finance, &ask);
        assert!(got.starts_with(want), "{ask:?}\n{got}");
    }
}

#[test]
fn the_starter_policies_pass_their_own_lint() {
    let findings = started(&["finance", "base", "a-b", "a"]).lint();
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn the_commented_examples_compile() {
    let mut files = starter_policies();
    let is_example = |line: &str| {
        line.is_empty()
            || line.starts_with(['@', '(', ')', ' '])
            || line.starts_with("forbid")
            || line.starts_with("when")
    };
    for file in files.iter_mut().filter(|file| file.name.ends_with(".cedar")) {
        let uncommented = file.text.lines().map(|line| {
            let bare = line.strip_prefix("// ").filter(|bare| is_example(bare));
            bare.unwrap_or(line)
        });
        file.text = uncommented.collect::<Vec<_>>().join("\n");
    }
    let policies = Policies::compile(&files).unwrap();
    assert_eq!(policies.len(), 7, "five guard rails and two examples");
    assert!(policies.lint().is_empty(), "{:?}", policies.lint());
}

#[test]
fn the_commented_groups_are_two_that_follow_each_other() {
    let mut files = starter_policies();
    assert_eq!(started(&[]).approvers().groups().count(), 0, "nothing but comments");
    for file in files.iter_mut().filter(|file| file.name == "approvers.toml") {
        let (_, example) = file.text.split_once("An example.").unwrap();
        let lines = example.lines().skip(1).map(|line| line.trim_start_matches(['#', ' ']));
        let lines = lines.filter(|line| line.contains('=') || line.starts_with('['));
        file.text = lines.collect::<Vec<_>>().join("\n");
    }
    let policies = Policies::compile(&files).unwrap();
    let names: Vec<_> = policies.approvers().groups().map(|(name, _)| name).collect();
    assert_eq!(names, ["leads", "platform"]);
    let next = policies.approvers().next("platform");
    assert_eq!(next, Some(("leads", std::time::Duration::from_mins(15))));
    assert!(policies.approvers().group("platform").unwrap().quiet.is_some());
}

#[test]
fn risky_tool_calls_are_held_for_the_approvers() {
    let finance = started(&["finance"]);
    for risk in ["push", "delete", "communication", "money"] {
        let got = decided(&finance, &Ask::call("Bash", &["execute", risk]));
        assert!(got.starts_with(&format!("hold [base.{risk}]\n")), "{got}");
        assert!(got.contains("until \"approvers\" approve: "), "{got}");
    }
    for (ask, want) in [
        (Ask::call("Bash", &["execute"]), "allow [finance.tools]"),
        (Ask::call("Bash", &["push", "delete"]), "hold [base.delete base.push]"),
        (Ask::call("Bash", &["push", "credentials"]), "deny []"), // no permit reaches it
        (Ask::call("Unheard", &["push"]), "deny []"),
        (Ask::call("Bash", &["push"]).by("bot", "payroll"), "deny []"),
    ] {
        let got = decided(&finance, &ask);
        assert!(got.starts_with(want), "{ask:?}\n{got}");
    }
}

#[test]
fn a_project_has_a_file_of_its_own() {
    let longest = "a".repeat(63);
    for name in ["base", "finance", longest.as_str()] {
        let project: ProjectName = name.parse().unwrap();
        let file = project_policy(&project);
        assert_eq!(file.name, format!("project-{name}.cedar"));
        assert!(!file.text.contains("PROJECT"), "name = {name}");
        let starter = starter_policies();
        assert!(starter.iter().all(|other| other.name != file.name), "name = {name}");
    }
}
