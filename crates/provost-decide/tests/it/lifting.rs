//! Lifting gates: it lets through what people agreed to, and nothing else.

use proptest::prelude::*;
use provost_decide::{Lifted, Policies};
use provost_types::{Decision, Verdict};

use crate::ask::{Ask, policies};

const BASE: &str = r#"
@id("push") @approvers("approvers")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("push") } unless { context.approved };
@id("delete") @approvers("approvers")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("delete") } unless { context.approved };
@id("wall")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("money") };
@id("tools")
permit (principal, action == Tool::Action::"call", resource == Tool::Tool::"Bash");
"#;

/// What people agree to when they agree to all of it.
fn lifted(policies: &Policies, decision: &Decision) -> Vec<Lifted> {
    let gates = policies.gates(decision).into_iter();
    gates.map(|gate| Lifted { policy: gate.policy, text: gate.text }).collect()
}

fn told(decision: &Decision) -> String {
    let policies: Vec<_> = decision.policies.iter().map(ToString::to_string).collect();
    format!("{} [{}]", decision.verdict.as_str(), policies.join(" "))
}

#[test]
fn lifting_allows_what_was_asked_about_and_nothing_else() {
    let base = policies(BASE);
    let both = base.decide(&Ask::call("Bash", &["push", "delete"]).query());
    let both = lifted(&base, &both);
    let push = lifted(&base, &base.decide(&Ask::call("Bash", &["push"]).query()));
    let reworded = policies(&BASE.replace("contains(\"push\")", "contains( \"push\")"));
    let other = lifted(&reworded, &reworded.decide(&Ask::call("Bash", &["push"]).query()));
    for (risks, lifted, want) in [
        (&["push"][..], &push[..], "allow [tools]"),
        (&["push"], &both, "allow [tools]"),
        (&["push"], &[], "hold [push]"),
        (&["push"], &other, "hold [push]"), // another text was shown
        (&["push", "delete"], &both, "allow [tools]"),
        (&["push", "delete"], &push, "hold [delete]"), // what is left to ask
        (&["delete"], &push, "hold [delete]"),
        (&["push", "money"], &both, "deny [push wall]"),
        (&[], &[], "allow [tools]"), // nothing forbids any more
        (&[], &both, "allow [tools]"),
    ] {
        let query = Ask::call("Bash", risks);
        let got = base.decide_lifted(&query.query(), lifted);
        assert_eq!(told(&got), want, "{risks:?} {lifted:?}");
    }
    let got = base.decide_lifted(&Ask::call("Edit", &["push"]).query(), &push);
    assert_eq!(told(&got), "deny []", "no permit");
    let got = base.decide(&Ask::call("Bash", &["push"]).query());
    assert_eq!(told(&got), "hold [push]", "lifting is not remembered");
}

#[test]
fn the_answer_of_a_group_that_is_gone_counts_no_more() {
    let gate = r#"@id("g") @approvers("leads") forbid (principal, action, resource)
        unless { context.approved };
        permit (principal, action, resource);"#;
    let toml = provost_decide::SourceFile {
        name: "approvers.toml".into(),
        text: "groups.leads.members = [\"ada\"]".into(),
    };
    let ask = Ask::message("m");
    let with = Policies::compile(&[crate::ask::file(gate), toml]).unwrap();
    let lifted = lifted(&with, &with.decide(&ask.query()));
    assert_eq!(with.decide_lifted(&ask.query(), &lifted).verdict, Verdict::Allow);
    assert_eq!(policies(gate).decide_lifted(&ask.query(), &lifted).verdict, Verdict::Deny);
}

const RISKS: [&str; 4] = ["push", "delete", "money", "network"];

/// A policy: whether it is a gate, and its text with `@id`.
fn policy() -> impl Strategy<Value = (bool, String)> {
    let effect = prop_oneof![
        2 => Just(("permit", false)),
        1 => Just(("forbid", false)),
        3 => Just(("@approvers(\"admins\") forbid", true)),
    ];
    let risk = || proptest::sample::select(&RISKS[..]);
    let when = prop_oneof![
        1 => Just("true".to_owned()),
        6 => risk().prop_map(|risk| format!("context.risks.contains(\"{risk}\")")),
    ];
    let approved = prop_oneof![
        2 => Just(""),
        4 => Just("unless { context.approved }"),
        1 => Just("when { context.approved }"),
        1 => Just("when { context.approved || context.risks.contains(\"network\") }"),
    ];
    (effect, when, approved).prop_map(|((effect, is_gate), when, approved)| {
        let scope = r#"(principal, action == Tool::Action::"call", resource)"#;
        (is_gate, format!("{effect} {scope} when {{ {when} }} {approved};\n"))
    })
}

fn numbered(policies: &[(bool, String)]) -> String {
    let numbered = policies.iter().enumerate();
    numbered.map(|(number, (_, text))| format!("@id(\"p{number}\") {text}")).collect()
}

fn verdict(text: &str, ask: &Ask) -> Verdict {
    policies(text).decide(&ask.query()).verdict
}

proptest! {
    #[test]
    fn lifting_never_widens_past_what_is_no_gate(
        set in proptest::collection::vec(policy(), 1..8),
        risks in proptest::sample::subsequence(&RISKS[..], 0..=4),
    ) {
        let ask = Ask::call("Bash", &risks);
        let whole = policies(&numbered(&set));
        let decision = whole.decide(&ask.query());
        prop_assert_eq!(&decision, &whole.decide_unindexed(&ask.query()));
        prop_assert_eq!(&decision, &whole.decide_lifted(&ask.query(), &[]));
        prop_assert_eq!(&decision, &whole.explain(&ask.query()).decision);
        let gates = lifted(&whole, &decision);
        prop_assert_eq!(decision.verdict == Verdict::Hold, !gates.is_empty());
        if decision.verdict != Verdict::Deny {
            prop_assert!(whole.is_possible(&ask.query()));
        }

        // All of them suffice, and a part of them never does.
        if decision.verdict == Verdict::Hold {
            let all = whole.decide_lifted(&ask.query(), &gates);
            prop_assert_eq!(all.verdict, Verdict::Allow);
        }
        for left in 0..gates.len() {
            let mut part = gates.clone();
            let left = part.remove(left);
            let partly = whole.decide_lifted(&ask.query(), &part);
            prop_assert_eq!(partly.verdict, Verdict::Hold);
            prop_assert_eq!(partly.policies, vec![left.policy]);
        }

        // What forbids without being a gate forbids whatever is lifted.
        let walls: Vec<_> = set.iter().filter(|(is_gate, _)| !is_gate).cloned().collect();
        let open = (false, "permit (principal, action, resource);".to_owned());
        let walls = numbered(&[walls, vec![open]].concat());
        let every: Vec<_> = whole
            .list()
            .map(|policy| {
                let set = policies(&format!(
                    "@id(\"{}\") @approvers(\"admins\") forbid (principal, action, resource)
                     unless {{ context.approved }}; permit (principal, action, resource);",
                    policy.id
                ));
                let mut gates = set.gates(&set.decide(&ask.query()));
                let gate = gates.pop().unwrap();
                Lifted { policy: gate.policy, text: gate.text }
            })
            .chain(gates)
            .collect();
        if verdict(&walls, &ask) == Verdict::Deny {
            let got = whole.decide_lifted(&ask.query(), &every);
            prop_assert_eq!(got.verdict, Verdict::Deny);
        }
    }

    #[test]
    fn without_gates_nothing_is_held(
        set in proptest::collection::vec(policy(), 1..8),
        risks in proptest::sample::subsequence(&RISKS[..], 0..=4),
    ) {
        let ask = Ask::call("Bash", &risks);
        let set: Vec<_> = set.into_iter().filter(|(is_gate, _)| !is_gate).collect();
        // What `context.approved` meant before there was one: it is false.
        let old = numbered(&set).replace("context.approved", "false");
        prop_assert_eq!(verdict(&numbered(&set), &ask), verdict(&old, &ask));
        prop_assert!(verdict(&old, &ask) != Verdict::Hold);
    }
}
