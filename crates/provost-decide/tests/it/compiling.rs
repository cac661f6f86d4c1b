//! Sets of files that compile, and the findings of those that do not.

use insta::assert_snapshot;
use provost_decide::{Effect, Policies, Severity, SourceFile};

use crate::ask::{file, policies};

fn findings(files: &[SourceFile]) -> String {
    let findings = Policies::compile(files).expect_err("refused");
    assert!(findings.is_sorted());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn every_fault_of_every_file_is_reported_at_its_place() {
    let b = "permit (principal, action, resource)\nwhen { context.max_tokens < 5 };\n\
             // a comment; with a semicolon\n\
             forbid (principal, action, resuorce);\n\
             permit (principal == Agent::\"a\", action, resource);\n\
             permit (principal, action == Llm::Action::\"mesage\", resource);\n\
             permit (principal == ?principal, action, resource);\n\
             forbid (principal, action, resource)";
    let files = [
        SourceFile { name: "b.cedar".into(), text: b.into() },
        SourceFile { name: "a.cedar".into(), text: "forbid (principal action);".into() },
    ];
    assert_snapshot!(findings(&files), @r##"
    a.cedar:1:19: error[syntax]: unexpected token `action`; expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, `in`, or `is`
    b.cedar:2:8: error[schema]: for policy `b.cedar:1`, attribute `max_tokens` in context for Hook::Action::"report" not found; did you mean `approved`?
    b.cedar:2:8: error[schema]: for policy `b.cedar:1`, attribute `max_tokens` in context for Llm::Action::"count_tokens" not found; did you mean `approved`?
    b.cedar:2:8: error[schema]: for policy `b.cedar:1`, attribute `max_tokens` in context for Llm::Action::"list_models" not found; did you mean `approved`?
    b.cedar:2:8: error[schema]: for policy `b.cedar:1`, attribute `max_tokens` in context for Mcp::Action::"answer" not found; did you mean `approved`?; and 12 more of the kind: name the actions it is for
    b.cedar:4:28: error[syntax]: found an invalid variable in the policy scope: resuorce; policy scopes must contain a `principal`, `action`, and `resource` element in that order
    b.cedar:5:22: error[schema]: for policy `b.cedar:5`, unrecognized entity type `Agent`; known are Hook::Event, Llm::Catalog, Llm::Model, Mcp::Arguments, Mcp::Prompt, Mcp::Resource, Mcp::Server, Mcp::Tool, Provost::Agent, Provost::Project, Tool::Tool
    b.cedar:6:30: error[schema]: for policy `b.cedar:6`, unrecognized action `Llm::Action::"mesage"`; known are Hook::Action::"report", Llm::Action::"all", Llm::Action::"count_tokens", Llm::Action::"list_models", Llm::Action::"message", Mcp::Action::"all", Mcp::Action::"answer", Mcp::Action::"ask", Mcp::Action::"call", Mcp::Action::"complete", Mcp::Action::"get", Mcp::Action::"list", Mcp::Action::"listen", Mcp::Action::"notify", …
    b.cedar:7:22: error[syntax]: expected a static policy, got a template containing the slot ?principal; try removing the template slot(s) from this policy
    b.cedar:8:37: error[syntax]: unexpected end of input; expected `;` or identifier
    "##);
}

#[test]
fn strict_validation_refuses_what_could_fail_when_deciding() {
    for (condition, code) in [
        ("context.max_tokens < 5", "schema"), // optional, not guarded
        ("context.max_tokns < 5", "schema"),  // no such fact
        ("resource.owner == \"ada\"", "schema"), // no such attribute
        ("context.stream == 1", "schema"),    // never equal
        ("context.betas.contains(1)", "schema"), // a set of strings
        ("context.tools", "schema"),          // not a condition
        ("context.tools < ", "syntax"),
    ] {
        let text = format!(
            "permit (principal, action == Llm::Action::\"message\", resource) when {{ {condition} }};"
        );
        let findings = Policies::compile(&[file(&text)]).expect_err(condition);
        assert!(findings.iter().all(|finding| finding.code == code), "{findings:?}");
    }
}

#[test]
fn names_are_distinct_and_plain() {
    let text = "@id(\"a\") permit (principal, action, resource);\n\
                @id(\"a\") forbid (principal, action, resource);\n\
                @id(\"p.cedar:5\") forbid (principal, action, resource);\n\
                @id forbid (principal, action, resource);";
    assert_snapshot!(findings(&[file(text)]), @r##"
    p.cedar:2:1: error[duplicate-id]: the id is taken by policy "a" (p.cedar:1): give each policy its own @id
    p.cedar:3:1: error[bad-id]: @id("p.cedar:5") is not an id: use 1 to 128 letters, digits and `.`, `_`, `/`, `-`
    p.cedar:4:1: error[bad-id]: @id("") is not an id: use 1 to 128 letters, digits and `.`, `_`, `/`, `-`
    "##);
    let same = [file("permit (principal, action, resource);"), file("")];
    assert_snapshot!(findings(&same), @r##"
    p.cedar:1:1: error[duplicate-file]: two files are named "p.cedar"
    "##);
}

#[test]
fn a_policy_without_id_is_named_by_its_place() {
    let text = "// first\n\
                permit (principal, action, resource); forbid (principal, action, resource);\n\n  \
                @reason(\"x\")\npermit (principal, action, resource);";
    let listed: Vec<_> = policies(text)
        .list()
        .map(|policy| (policy.id.to_string(), policy.effect, policy.line))
        .collect();
    assert_eq!(
        listed,
        [
            ("p.cedar:2".into(), Effect::Permit, 2),
            ("p.cedar:2:39".into(), Effect::Forbid, 2),
            ("p.cedar:4".into(), Effect::Permit, 4),
        ]
    );
}

#[test]
fn the_version_is_of_the_texts_and_not_of_their_order() {
    let pair = |name: &str, text: &str| SourceFile { name: name.into(), text: text.into() };
    let version =
        |files: &[SourceFile]| Policies::compile(files).unwrap().version().to_string();
    let permit = "permit (principal, action, resource);";
    let [a, b] = [pair("a", permit), pair("b", "// none\n")];
    let both = version(&[a.clone(), b.clone()]);
    assert_eq!(both, version(&[b.clone(), a.clone()]));
    let others = [
        vec![],
        vec![a.clone()],
        vec![a.clone(), pair("b", "// none\n\n")],
        vec![a.clone(), pair("c", "// none\n")],
        vec![pair("a", ""), pair("b", permit)],
        vec![pair("a", permit), pair("b// none", "\n")], // the same bytes, cut elsewhere
    ];
    for files in others {
        assert_ne!(version(&files), both, "files = {files:?}");
    }
    assert_eq!(
        version(&[]),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "no files: SHA-256 of nothing",
    );
}

#[test]
fn order_of_files_changes_nothing() {
    let [a, b] = ["a", "b"].map(|name| SourceFile {
        name: name.into(),
        text: "permit (principal, action, resource);".into(),
    });
    let ids = |files: &[SourceFile]| {
        let policies = Policies::compile(files).unwrap();
        policies.list().map(|policy| policy.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[b.clone(), a.clone()]), ids(&[a, b]));
}
