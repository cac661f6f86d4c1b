//! Arguments of an MCP call, which policies see as tags, and what may be listed.

use std::collections::BTreeMap;

use provost_types::Value;

use crate::ask::{Ask, decided, policies};

const OWN_REPOSITORY: &str = r#"
@id("own-issues")
permit (
    principal,
    action == Mcp::Action::"call",
    resource is Mcp::Tool
)
when { resource.server == "github" && resource.name like "*_issue" }
when {
    context.arguments.hasTag("repo") &&
    context.arguments.getTag("repo") like "acme/*"
};

@id("no-deletes")
forbid (principal, action == Mcp::Action::"call", resource is Mcp::Tool)
when { resource.name like "delete_*" };
"#;

fn call(id: &str, arguments: &[(&str, &str)]) -> Ask {
    let tags: BTreeMap<_, _> =
        arguments.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
    Ask {
        plane: "mcp".into(),
        verb: "call".into(),
        kind: "Mcp::Tool".into(),
        id: id.into(),
        context: vec![("arguments", Value::Tags(tags))],
        ..Ask::message("")
    }
}

#[test]
fn a_call_is_decided_by_its_arguments_though_no_schema_knows_their_names() {
    let policies = policies(OWN_REPOSITORY);
    for (ask, want) in [
        (call("github/create_issue", &[("repo", "acme/site")]), "allow [own-issues]"),
        (
            call("github/create_issue", &[("repo", "acme/site"), ("x", "")]),
            "allow [own-issues]",
        ),
        (call("github/create_issue", &[("repo", "evil/site")]), "deny []"),
        (call("github/create_issue", &[]), "deny []"),
        (call("gitlab/create_issue", &[("repo", "acme/site")]), "deny []"),
        (call("github/delete_issue", &[("repo", "acme/site")]), "deny [no-deletes]"),
        (
            call("github/create_issue", &[("repo", "acme/site")])
                .with("odd", Some(Value::Bool(true))),
            "deny []",
        ),
    ] {
        for _ in 0..2 {
            let got = decided(&policies, &ask);
            assert!(got.starts_with(want), "{ask:?}\n{got}");
        }
    }
}

#[test]
fn what_may_be_called_in_some_way_is_possible() {
    let policies = policies(OWN_REPOSITORY);
    for (id, want) in [
        ("github/create_issue", true),  // with the right repository
        ("github/delete_issue", false), // forbidden whatever the arguments
        ("github/get_file", false),     // nothing permits it
        ("gitlab/create_issue", false),
    ] {
        assert_eq!(policies.is_possible(&call(id, &[]).query()), want, "{id}");
    }
    let unknown = Ask { verb: "conquer".into(), ..call("github/create_issue", &[]) };
    assert!(!policies.is_possible(&unknown.query()));
}
