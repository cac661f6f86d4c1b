//! What `policy check` says of policies that compile.

use insta::assert_snapshot;
use provost_decide::{Policies, SourceFile};

use crate::ask::policies;

fn linted(text: &str) -> String {
    let findings = policies(text).lint();
    assert!(findings.is_sorted());
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The codes found in one policy that is otherwise beyond reproach.
fn codes(text: &str) -> Vec<&'static str> {
    policies(text).lint().iter().map(|finding| finding.code).collect()
}

#[test]
fn a_permit_for_everything_is_flagged_in_every_respect() {
    assert_snapshot!(linted("\n  permit (principal, action, resource);"), @r##"
    p.cedar:2:3: warning[missing-id]: no @id: decisions will name it "p.cedar:2", which changes when lines are added above it
    p.cedar:2:3: warning[wildcard-action]: permits every action there is or will be: name the actions, or a plane's all (action in Llm::Action::"all")
    p.cedar:2:3: warning[wildcard-principal]: permits every agent of every project: name an agent (principal == Provost::Agent::"...") or a project (principal in Provost::Project::"...")
    p.cedar:2:3: warning[wildcard-resource]: permits every resource: name one (resource == ...) or add a condition on it, such as `when { resource.name like "claude-sonnet-*" }`
    p.cedar:2:3: info[unbounded-max-tokens]: no condition on context.max_tokens: answers may be as long as the model allows, unless a forbid limits them
    "##);
}

#[test]
fn annotations_are_ours_or_flagged() {
    let text = r#"
@id("gate") @approvers("admins") @quorum("1") @expires("1h") @reason("x") @Reason("x") @advice("y")
forbid (principal, action, resource) unless { context.approved };
@id("permit") @approvers("platform")
permit (principal == Provost::Agent::"a", action == Llm::Action::"list_models", resource);
"#;
    assert_snapshot!(linted(text), @r##"
    p.cedar:2:1: warning[unknown-annotation]: @Reason means nothing here; known annotations are @approvers, @ask, @expires, @id, @quorum, @reason, @set
    p.cedar:2:1: warning[unknown-annotation]: @advice means nothing here; known annotations are @approvers, @ask, @expires, @id, @quorum, @reason, @set
    p.cedar:4:1: warning[gate-on-permit]: @approvers means nothing on a permit: only a forbid can be a gate
    "##);
}

#[test]
fn approvals_and_those_who_give_them_fit_together() {
    let file = SourceFile { name: "approvers.toml".into(), text: GROUPS.into() };
    const GATE: &str = r#"forbid (principal, action, resource) unless { context.approved };"#;
    const WALL: &str = r#"forbid (principal, action, resource);"#;
    for (annotations, policy, want) in [
        (r#"@approvers("approvers")"#, GATE, vec![]),
        (r#"@approvers("approvers")"#, WALL, vec!["gate-never-lifts"]),
        ("", WALL, vec![]),
        ("", GATE, vec!["approved-without-gate"]),
        (r#"@approvers("two")"#, GATE, vec![]),
        (r#"@approvers("tow")"#, GATE, vec!["unknown-group"]),
        (r#"@approvers("two, tow")"#, GATE, vec!["unknown-group"]),
        (r#"@approvers("two") @quorum("2")"#, GATE, vec![]),
        (r#"@approvers("two") @quorum("3")"#, GATE, vec!["quorum-unreachable"]),
        (r#"@approvers("two, one") @quorum("3")"#, GATE, vec!["quorum-unreachable"]), // ada twice
        (r#"@approvers("two, last") @quorum("3")"#, GATE, vec![]),
        (r#"@approvers("first") @quorum("2")"#, GATE, vec![]), // with those asked after it
        (r#"@approvers("first") @quorum("3")"#, GATE, vec!["quorum-unreachable"]),
        (r#"@approvers("before") @quorum("20")"#, GATE, vec![]), // then the admins
        (r#"@approvers("admins") @quorum("20")"#, GATE, vec![]), // who knows how many there are
        (
            "",
            r#"permit (principal == Provost::Agent::"a", action in Hook::Action::"report",
               resource == Hook::Event::"x") when { context.approved };"#,
            vec!["approved-on-permit"],
        ),
    ] {
        let text = format!("@id(\"x\") {annotations} {policy}");
        let cedar = SourceFile { name: "p.cedar".into(), text: text.clone() };
        let policies = Policies::compile(&[cedar, file.clone()]).unwrap();
        let codes: Vec<_> = policies.lint().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, want, "{text}");
    }
}

const GROUPS: &str = r#"
groups.two.members = ["ada", "grace"]
groups.one.members = ["ada"]
groups.first = { members = ["ada"], then = "last", after = "1h" }
groups.before = { members = ["ada"], then = "admins", after = "1h" }
groups.last.members = ["joan"]
"#;

#[test]
fn widths() {
    const MESSAGE: &str = r#"action == Llm::Action::"message""#;
    const BOUND: &str = "context has max_tokens && context.max_tokens < 9";
    const NAMED: &str = r#"principal == Provost::Agent::"a""#;
    for (principal, action, resource, condition, want) in [
        (NAMED, MESSAGE, r#"resource == Llm::Model::"m""#, BOUND, vec![]),
        (NAMED, MESSAGE, "resource", BOUND, vec!["wildcard-resource"]),
        (NAMED, MESSAGE, "resource is Llm::Model", BOUND, vec!["wildcard-resource"]),
        (
            NAMED,
            MESSAGE,
            r#"resource == Llm::Model::"m""#,
            "true",
            vec!["unbounded-max-tokens"],
        ),
        (
            NAMED,
            MESSAGE,
            "resource",
            r#"resource.name like "m*" && context has max_tokens && context.max_tokens < 9"#,
            vec![],
        ),
        (NAMED, r#"action == Llm::Action::"list_models""#, "resource", "true", vec![]),
        (NAMED, r#"action in [Llm::Action::"list_models"]"#, "resource", "true", vec![]),
        (
            NAMED,
            r#"action in Llm::Action::"all""#,
            "resource",
            "true",
            vec!["wildcard-resource", "unbounded-max-tokens"],
        ),
        (
            "principal is Provost::Agent",
            MESSAGE,
            r#"resource == Llm::Model::"m""#,
            BOUND,
            vec!["wildcard-principal"],
        ),
        (
            r#"principal in Provost::Project::"My Project""#,
            MESSAGE,
            r#"resource == Llm::Model::"m""#,
            BOUND,
            vec!["impossible-name"],
        ),
        (
            r#"principal == Provost::Agent::"a_b""#,
            MESSAGE,
            r#"resource == Llm::Model::"m""#,
            BOUND,
            vec!["impossible-name"],
        ),
    ] {
        let text = format!(
            "@id(\"x\") permit ({principal}, {action}, {resource}) when {{ {condition} }};"
        );
        assert_eq!(codes(&text), want, "{text}");
        let forbid = codes(&text.replace("permit", "forbid"));
        assert!(forbid.iter().all(|code| *code == "impossible-name"), "{text}: {forbid:?}");
    }
}

#[test]
fn cedars_own_warnings_have_a_place_too() {
    let text = "\n@id(\"never\")\nforbid (principal, action, resource is Llm::Model)\n\
                when { resource.name == \"a\" && false };\n\
                @id(\"mixed\")\nforbid (principal, action, resource is Llm::Model)\n\
                when { resource.name == \"clаude\" };";
    assert_snapshot!(linted(text), @r##"
    p.cedar:2:1: warning[never-applies]: for policy `never`, policy is impossible: the policy expression evaluates to false for all valid requests
    p.cedar:7:25: warning[confusable-text]: for policy `mixed`, string `"clаude"` contains mixed scripts
    "##);
}
