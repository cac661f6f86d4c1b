//! Decisions: the index against the full set, reasons, and what is denied for want of sense.

use insta::assert_snapshot;
use provost_decide::Policies;
use provost_types::Value;

use crate::ask::{Ask, decided, policies};

const FINANCE: &str = r#"
@id("finance-models")
permit (
    principal in Provost::Project::"finance",
    action == Llm::Action::"message",
    resource is Llm::Model
) when { resource.name like "claude-*" };

@id("no-opus")
@reason("opus is for research:
    use a sonnet model")
forbid (principal, action in Llm::Action::"all", resource is Llm::Model)
when { resource.name like "claude-opus-*" };
"#;

#[test]
fn no_policies_permit_nothing() {
    let none = Policies::compile(&[]).unwrap();
    assert!(none.is_empty());
    assert_snapshot!(decided(&none, &Ask::message("claude-sonnet-5")), @r##"
    deny []
    no policy permits message on Llm::Model "claude-sonnet-5": ask an admin to permit Llm::Action::"message" on this model for agent "bot" (project "finance")
    "##);
    assert_snapshot!(decided(&none, &Ask::list_models()), @r##"
    deny []
    no policy permits list_models on Llm::Catalog "models": ask an admin to permit Llm::Action::"list_models" on this catalog for agent "bot" (project "finance")
    "##);
}

#[test]
fn a_forbid_wins_and_names_itself_and_its_reason() {
    assert_snapshot!(decided(&policies(FINANCE), &Ask::message("claude-opus-5")), @r##"
    deny [no-opus]
    policy "no-opus" (p.cedar:9) forbids message on Llm::Model "claude-opus-5": opus is for research: use a sonnet model
    "##);
}

#[test]
fn a_permit_allows_its_project_and_no_other() {
    let finance = policies(FINANCE);
    assert_snapshot!(decided(&finance, &Ask::message("claude-sonnet-5")), @r##"
    allow [finance-models]
    policy "finance-models" (p.cedar:2) permits message on Llm::Model "claude-sonnet-5"
    "##);
    let stranger = Ask::message("claude-sonnet-5").by("bot", "payroll");
    assert_snapshot!(decided(&finance, &stranger), @r##"
    deny []
    no policy permits message on Llm::Model "claude-sonnet-5": ask an admin to permit Llm::Action::"message" on this model for agent "bot" (project "payroll")
    "##);
}

#[test]
fn a_denial_names_the_permits_that_do_not_reach_as_far() {
    assert_snapshot!(decided(&policies(FINANCE), &Ask::message("gpt-5")), @r##"
    deny []
    no policy permits message on Llm::Model "gpt-5" (policy "finance-models" (p.cedar:2) exists to permit message, but not this): ask an admin to permit Llm::Action::"message" on this model for agent "bot" (project "finance")
    "##);
}

#[test]
fn several_forbids_are_all_named() {
    let text = r#"
@id("c") @reason("too long") forbid (principal, action, resource);
@id("a") @reason("too long") forbid (principal, action, resource);
forbid (principal, action, resource);
@id("b") @reason("too odd") forbid (principal, action, resource);
permit (principal, action, resource);"#;
    assert_snapshot!(decided(&policies(text), &Ask::list_models()), @r##"
    deny [a b c p.cedar:4]
    policy "a" (p.cedar:3), policy "b" (p.cedar:5), policy "c" (p.cedar:2) and 1 more forbid list_models on Llm::Catalog "models": too long and too odd
    "##);
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_whatever_permits() {
    let text = r#"
@id("all") permit (principal, action, resource);
@id("broken") EFFECT (principal, action == Llm::Action::"message", resource)
when { context.tools * 9223372036854775807 > 0 };
@id("list") forbid (principal, action == Llm::Action::"list_models", resource);"#;
    for effect in ["permit", "forbid"] {
        let broken = policies(&text.replace("EFFECT", effect));
        let overflow = decided(&broken, &Ask::message("m"));
        assert!(overflow.starts_with("deny [broken]\n"), "{effect}: {overflow}");
        let fine = decided(&broken, &Ask::message("m").with("tools", Some(Value::Long(0))));
        assert!(fine.starts_with("allow [all]\n"), "{effect}: {fine}");
    }
    let broken = policies(&text.replace("EFFECT", "forbid"));
    assert_snapshot!(decided(&broken, &Ask::message("m")), @r##"
    deny [broken]
    message on Llm::Model "m" is denied because policy "broken" (p.cedar:3) could not be evaluated: integer overflow while attempting to multiply the values `20` and `9223372036854775807`
    "##);
    // A forbid that applies is reason enough.
    let forbidden = format!("{text}\n@id(\"no\") forbid (principal, action, resource);");
    let forbidden = policies(&forbidden.replace("EFFECT", "permit"));
    assert!(decided(&forbidden, &Ask::message("m")).starts_with("deny [no]\n"));
}

#[test]
fn what_the_schema_does_not_know_is_denied_with_a_reason() {
    let all = policies("permit (principal, action, resource);");
    let ask = || Ask::message("m");
    let cases = [
        Ask { plane: "aws".into(), ..ask() },
        Ask { plane: "Llm".into(), ..ask() },
        Ask { verb: "train".into(), ..ask() },
        Ask { verb: "all".into(), ..ask() }, // a group is not an action
        Ask { verb: "x\"\n\u{202e}".into(), ..ask() },
        Ask { kind: "Llm::Catalog".into(), ..ask() },
        Ask { kind: "Llm::Modle".into(), ..ask() },
        Ask { kind: String::new(), ..ask() },
        ask().with("tools", None),                           // required
        ask().with("tools", Some(Value::Text("20".into()))), // of another type
        ask().with("origin", Some(Value::Bool(true))),       // unknown
        ask().with("approved", Some(Value::Bool(true))),     // ours
        ask().with("approved", Some(Value::Bool(false))),    // as well
        Ask { context: [ask().context, ask().context].concat(), ..ask() }, // twice
        Ask { context: ask().context, ..Ask::list_models() },
    ];
    let answers: Vec<_> = cases.iter().map(|ask| decided(&all, ask)).collect();
    for answer in &answers {
        assert!(answer.starts_with("deny []\n"), "{answer}");
        assert_eq!(answer.lines().count(), 2, "{answer}");
    }
    assert_snapshot!(answers.join("\n").replace("deny []\n", ""), @r##"
    policy knows no action "message" on plane "aws", so it is denied
    policy knows no action "message" on plane "Llm", so it is denied
    policy knows no action "train" on plane "llm", so it is denied
    policy knows no action "all" on plane "llm", so it is denied
    policy knows no action "x\"\n\u{202e}" on plane "llm", so it is denied
    message applies to Llm::Model, not to "Llm::Catalog", so it is denied
    message applies to Llm::Model, not to "Llm::Modle", so it is denied
    message applies to Llm::Model, not to "", so it is denied
    the facts about message do not fit the policy schema, so it is denied: context `{approved: false, betas: ["interleaved-thinking-2025-05-14"], max_tokens: 32000, model: "m", stream: true}` is not valid for `Llm::Action::"message"`
    the facts about message do not fit the policy schema, so it is denied: context `{approved: false, betas: ["interleaved-thinking-2025-05-14"], max_tokens: 32000, model: "m", stream: true, .. }` is not valid for `Llm::Action::"message"`
    the facts about message do not fit the policy schema, so it is denied: context `{approved: false, betas: ["interleaved-thinking-2025-05-14"], max_tokens: 32000, model: "m", origin: true, .. }` is not valid for `Llm::Action::"message"`
    the facts about message do not fit the policy schema, so it is denied: whether it is approved is not for whoever asks to say
    the facts about message do not fit the policy schema, so it is denied: whether it is approved is not for whoever asks to say
    the facts about message do not fit the policy schema, so it is denied: duplicate key `model` in context
    the facts about list_models do not fit the policy schema, so it is denied: context `{approved: false, betas: ["interleaved-thinking-2025-05-14"], max_tokens: 32000, model: "m", stream: true, .. }` is not valid for `Llm::Action::"list_models"`
    "##);
}

#[test]
fn any_model_name_is_just_a_name() {
    let claude = policies(FINANCE);
    for (name, want) in [
        ("claude-sonnet-5", "allow"),
        ("claude-", "allow"),
        ("CLAUDE-SONNET-5", "deny"),
        ("xclaude-sonnet-5", "deny"),
        ("", "deny"),
        ("claude-\u{0}\u{202e}\"\\*\n", "allow"), // odd, and what the pattern says
        (&format!("claude-{}", "x".repeat(100_000)), "allow"), // longer than is remembered
        (&"x".repeat(100_000), "deny"),
    ] {
        let got = decided(&claude, &Ask::message(name));
        assert!(
            got.starts_with(want),
            "name = {:?}",
            name.chars().take(40).collect::<String>()
        );
        assert!(got.len() < 600, "reasons are bounded: {}", got.len());
    }
}

#[test]
fn optional_facts_may_be_absent() {
    let text = r#"permit (principal, action == Llm::Action::"message", resource)
        when { context has max_tokens && context.max_tokens <= 10 };"#;
    let bounded = policies(text);
    for (value, want) in [(Some(10), "allow"), (Some(11), "deny"), (None, "deny")] {
        let ask = Ask::message("m").with("max_tokens", value.map(Value::Long));
        assert!(decided(&bounded, &ask).starts_with(want), "max_tokens = {value:?}");
    }
}

#[test]
fn policies_are_shared_between_threads() {
    let shared = policies(FINANCE);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..200 {
                    let ask = Ask::message(&format!("claude-{}", number % 7));
                    assert!(decided(&shared, &ask).starts_with("allow"));
                }
            });
        }
    });
}
