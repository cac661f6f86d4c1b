//! Gates: what they hold, whom they ask, and what is denied rather than asked about.

use insta::assert_snapshot;
use provost_decide::{Policies, SourceFile};
use provost_types::Value;

use crate::ask::{Ask, decided, file, policies};

const BASE: &str = r#"
@id("push") @approvers("approvers") @reason("publishing needs a person")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("push") } unless { context.approved };

@id("mail") @approvers("admins, approvers") @quorum("2") @expires("30m")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("communication") } unless { context.approved };

@id("never") @approvers("approvers")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("privilege") };

@id("typo") @approvers("aprovers, admins")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("delete") } unless { context.approved };

@id("wall") @reason("no money")
forbid (principal, action == Tool::Action::"call", resource)
when { context.risks.contains("money") };

@id("wary") @reason("not even then")
forbid (principal, action == Tool::Action::"call", resource)
when { context.approved && context.risks.contains("credentials") };

@id("tools")
permit (principal, action == Tool::Action::"call", resource == Tool::Tool::"Bash");
"#;

fn base() -> Policies {
    policies(BASE)
}

#[test]
fn a_gate_holds_and_says_whom_it_asks_and_why() {
    assert_snapshot!(decided(&base(), &Ask::call("Bash", &["push"])), @r##"
    hold [push]
    policy "push" (p.cedar:2) holds call on Tool::Tool "Bash" until "approvers" approve: publishing needs a person
    "##);
    assert_snapshot!(decided(&base(), &Ask::call("Bash", &["push", "communication"])), @r##"
    hold [mail push]
    policy "mail" (p.cedar:6) and policy "push" (p.cedar:2) hold call on Tool::Tool "Bash" until "approvers" and 2 of "admins" or "approvers" approve: publishing needs a person
    "##);
}

#[test]
fn nobody_is_asked_for_what_is_denied_anyway() {
    let answers = [
        Ask::call("Bash", &["push", "money"]), // a forbid that is no gate
        Ask::call("Bash", &["push", "credentials"]), // a forbid of what is approved
        Ask::call("Edit", &["push"]),          // nothing permits it
        Ask::call("Bash", &["privilege"]),     // the gate does not look at approvals
        Ask::call("Bash", &["push", "privilege"]),
        Ask::call("Bash", &["push", "delete"]), // a group that nobody is in
    ];
    let answers = answers.map(|ask| decided(&base(), &ask)).join("\n");
    assert_snapshot!(answers, @r##"
    deny [push wall]
    policy "push" (p.cedar:2) and policy "wall" (p.cedar:18) forbid call on Tool::Tool "Bash": no money and publishing needs a person
    deny [wary]
    policy "wary" (p.cedar:22) forbids call on Tool::Tool "Bash": not even then
    deny []
    no policy permits call on Tool::Tool "Edit" (policy "tools" (p.cedar:26) exists to permit call, but not this): ask an admin to permit Tool::Action::"call" on this tool for agent "bot" (project "finance")
    deny [never]
    policy "never" (p.cedar:10) forbids call on Tool::Tool "Bash"
    deny [never]
    policy "never" (p.cedar:10) forbids call on Tool::Tool "Bash"
    deny [typo]
    policy "typo" (p.cedar:14) forbids call on Tool::Tool "Bash", and nobody could approve: "aprovers" is no group of approvers.toml
    "##);
}

#[test]
fn beside_a_gate_nothing_may_be_left_in_doubt() {
    let broken = r#"
@id("broken") EFFECT (principal, action == Llm::Action::"message", resource)
when { !context.approved && context.tools * 9223372036854775807 > 0 };
@id("gate") @approvers("admins") forbid (principal, action, resource)
unless { context.approved };
permit (principal, action, resource);"#;
    for effect in ["permit", "forbid", "@approvers(\"admins\") forbid"] {
        let broken = policies(&broken.replace("EFFECT", effect));
        let overflow = decided(&broken, &Ask::message("m"));
        assert!(overflow.starts_with("deny [broken]\n"), "{effect}: {overflow}");
        let fine = decided(&broken, &Ask::message("m").with("tools", Some(Value::Long(0))));
        assert!(fine.starts_with("hold [gate]\n"), "{effect}: {fine}");
    }
}

#[test]
fn a_decision_to_hold_has_gates() {
    let base = base();
    let decision = base.decide(&Ask::call("Bash", &["push", "communication"]).query());
    let gates = base.gates(&decision);
    assert_snapshot!(format!("{gates:#?}"), @r##"
    [
        Gate {
            policy: PolicyId(
                "mail",
            ),
            text: sha256:8a0d431c3026382e3318110a5b751e89158bc515c224b12c6f65aa8daa1ee4d1,
            groups: [
                "admins",
                "approvers",
            ],
            quorum: 2,
            expires: Some(
                1800s,
            ),
            reason: None,
            file: "p.cedar",
            line: 6,
        },
        Gate {
            policy: PolicyId(
                "push",
            ),
            text: sha256:f6c91eb036cf6b12061f65d2c9ecac3fba8049f914d874a600e56419eb47cfb7,
            groups: [
                "approvers",
            ],
            quorum: 1,
            expires: None,
            reason: Some(
                "publishing needs a person",
            ),
            file: "p.cedar",
            line: 2,
        },
    ]
    "##);
    // A comment is outside of the text, an annotation is in it.
    let commented = policies(&BASE.replace("@id(\"push\")", "// why not\n@id(\"push\")"));
    let reworded = policies(&BASE.replace("publishing", "pushing"));
    let again = |policies: &Policies| {
        let decision = policies.decide(&Ask::call("Bash", &["push"]).query());
        policies.gates(&decision).remove(0).text
    };
    assert_eq!(again(&base), again(&commented));
    assert_ne!(again(&base), again(&reworded));
    // No gates of another set's decision, of an allowed, or of a denied one.
    assert_eq!(commented.gates(&decision), []);
    for risks in [&[][..], &["money"]] {
        let decision = base.decide(&Ask::call("Bash", risks).query());
        assert_eq!(base.gates(&decision), [], "{decision:?}");
    }
}

#[test]
fn groups_are_those_of_approvers_toml() {
    let gate = r#"@id("gate") @approvers("leads") forbid (principal, action, resource)
        unless { context.approved };
        permit (principal, action, resource);"#;
    let toml = |text: &str| SourceFile { name: "approvers.toml".into(), text: text.into() };
    for (groups, want) in [
        ("groups.leads.members = [\"ada\"]", "hold [gate]\n"),
        ("groups.leaders.members = [\"ada\"]", "deny [gate]\n"),
        ("", "deny [gate]\n"),
    ] {
        let policies = Policies::compile(&[file(gate), toml(groups)]).unwrap();
        let got = decided(&policies, &Ask::message("m"));
        assert!(got.starts_with(want), "{groups}: {got}");
    }
}

#[test]
fn what_is_held_is_possible() {
    let base = base();
    for (tool, want) in [("Bash", true), ("Edit", false)] {
        assert_eq!(base.is_possible(&Ask::call(tool, &["push"]).query()), want, "{tool}");
    }
    let always = r#"@approvers("admins") forbid (principal, action, resource) UNLESS;
        permit (principal, action, resource);"#;
    for (unless, want) in [("unless { context.approved }", true), ("", false)] {
        let policies = policies(&always.replace("UNLESS", unless));
        assert_eq!(policies.is_possible(&Ask::message("m").query()), want, "{unless}");
    }
}

#[test]
fn an_explanation_names_the_approval() {
    let base = base();
    let explained = |risks: &[&str]| {
        let explanation = base.explain(&Ask::call("Bash", risks).query());
        explanation.to_string().replace(&base.version().to_string(), "VERSION")
    };
    assert_snapshot!(explained(&["push", "communication"]), @r##"
    HOLD  call on Tool::Tool "Bash" by agent "bot" (project "finance")
      policy "mail" (p.cedar:6) and policy "push" (p.cedar:2) hold call on Tool::Tool "Bash" until "approvers" and 2 of "admins" or "approvers" approve: publishing needs a person
      policies VERSION

    determined by
      forbid "mail" (p.cedar:6)
        yes   action == Tool::Action::"call"
        yes   context.risks.contains("communication")
        yes   !context.approved
        | @id("mail") @approvers("admins, approvers") @quorum("2") @expires("30m")
        | forbid (principal, action == Tool::Action::"call", resource)
        | when { context.risks.contains("communication") } unless { context.approved };
      forbid "push" (p.cedar:2)
        yes   action == Tool::Action::"call"
        yes   context.risks.contains("push")
        yes   !context.approved
        | @id("push") @approvers("approvers") @reason("publishing needs a person")
        | forbid (principal, action == Tool::Action::"call", resource)
        | when { context.risks.contains("push") } unless { context.approved };

    what would change it
      - approval by 2 of "admins" or "approvers": it lifts policy "mail" (p.cedar:6)
      - approval by "approvers": it lifts policy "push" (p.cedar:2)
      - or policy "mail" (p.cedar:6) and policy "push" (p.cedar:2) must not apply
    "##);
    assert_snapshot!(explained(&["delete"]), @r##"
    DENY  call on Tool::Tool "Bash" by agent "bot" (project "finance")
      policy "typo" (p.cedar:14) forbids call on Tool::Tool "Bash", and nobody could approve: "aprovers" is no group of approvers.toml
      policies VERSION

    determined by
      forbid "typo" (p.cedar:14)
        yes   action == Tool::Action::"call"
        yes   context.risks.contains("delete")
        yes   !context.approved
        | @id("typo") @approvers("aprovers, admins")
        | forbid (principal, action == Tool::Action::"call", resource)
        | when { context.risks.contains("delete") } unless { context.approved };

    what would change it
      - define "aprovers" in approvers.toml, so that they are asked
      - or policy "typo" (p.cedar:14) must not apply
    "##);
    assert_snapshot!(explained(&["push", "credentials"]), @r##"
    DENY  call on Tool::Tool "Bash" by agent "bot" (project "finance")
      policy "wary" (p.cedar:22) forbids call on Tool::Tool "Bash": not even then
      policies VERSION

    determined by
      forbid "wary" (p.cedar:22)
        yes   action == Tool::Action::"call"
        yes   context.approved
        yes   context.risks.contains("credentials")
        | @id("wary") @reason("not even then")
        | forbid (principal, action == Tool::Action::"call", resource)
        | when { context.approved && context.risks.contains("credentials") };

    what would change it
      - policy "wary" (p.cedar:22) must not apply; then policy "tools" (p.cedar:26) would allow it

    nearest permits
      permit "tools" (p.cedar:26)
        yes   action == Tool::Action::"call"
        yes   resource == Tool::Tool::"Bash"
        | @id("tools")
        | permit (principal, action == Tool::Action::"call", resource == Tool::Tool::"Bash");
    "##);
}
