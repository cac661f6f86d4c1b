//! Explanations, as a person reads them.

use insta::assert_snapshot;
use provost_types::Value;

use crate::ask::{Ask, policies};

const MODELS: &str = r#"
@id("finance.message")
permit (
    principal in Provost::Project::"finance",
    action == Llm::Action::"message",
    resource is Llm::Model
)
when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
unless { context.betas.contains("computer-use") };

@id("no-opus")
@reason("use sonnet")
forbid (principal, action, resource is Llm::Model)
when { resource.name like "claude-opus-*" };

@id("ada.list")
permit (principal == Provost::Agent::"ada", action == Llm::Action::"list_models", resource);
"#;

fn explained(text: &str, ask: &Ask) -> String {
    let policies = policies(text);
    let explanation = policies.explain(&ask.query());
    assert_eq!(explanation, policies.explain(&ask.query()), "asked again");
    assert_eq!(explanation.decision, policies.decide(&ask.query()));
    explanation.to_string().replace(&policies.version().to_string(), "VERSION")
}

#[test]
fn an_allow_shows_what_permits_it() {
    assert_snapshot!(explained(MODELS, &Ask::message("claude-sonnet-5")), @r##"
    ALLOW  message on Llm::Model "claude-sonnet-5" by agent "bot" (project "finance")
      policy "finance.message" (p.cedar:2) permits message on Llm::Model "claude-sonnet-5"
      policies VERSION

    determined by
      permit "finance.message" (p.cedar:2)
        yes   principal in Provost::Project::"finance"
        yes   action == Llm::Action::"message"
        yes   resource is Llm::Model
        yes   resource.name like "claude-*"
        yes   context has max_tokens
        yes   context.max_tokens <= 64000
        yes   !context.betas.contains("computer-use")
        | @id("finance.message")
        | permit (
        |     principal in Provost::Project::"finance",
        |     action == Llm::Action::"message",
        |     resource is Llm::Model
        | )
        | when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
        | unless { context.betas.contains("computer-use") };

    what would change it
      - remove policy "finance.message" (p.cedar:2), or make it not apply
      - add a forbid that applies
    "##);
}

#[test]
fn a_forbid_shows_what_would_have_to_go_and_what_then() {
    assert_snapshot!(explained(MODELS, &Ask::message("claude-opus-5")), @r##"
    DENY  message on Llm::Model "claude-opus-5" by agent "bot" (project "finance")
      policy "no-opus" (p.cedar:11) forbids message on Llm::Model "claude-opus-5": use sonnet
      policies VERSION

    determined by
      forbid "no-opus" (p.cedar:11)
        yes   resource is Llm::Model
        yes   resource.name like "claude-opus-*"
        | @id("no-opus")
        | @reason("use sonnet")
        | forbid (principal, action, resource is Llm::Model)
        | when { resource.name like "claude-opus-*" };

    what would change it
      - policy "no-opus" (p.cedar:11) must not apply; then policy "finance.message" (p.cedar:2) would allow it

    nearest permits
      permit "finance.message" (p.cedar:2)
        yes   principal in Provost::Project::"finance"
        yes   action == Llm::Action::"message"
        yes   resource is Llm::Model
        yes   resource.name like "claude-*"
        yes   context has max_tokens
        yes   context.max_tokens <= 64000
        yes   !context.betas.contains("computer-use")
        | @id("finance.message")
        | permit (
        |     principal in Provost::Project::"finance",
        |     action == Llm::Action::"message",
        |     resource is Llm::Model
        | )
        | when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
        | unless { context.betas.contains("computer-use") };
    "##);
    let stranger = Ask::message("claude-opus-5").by("eve", "payroll");
    assert_snapshot!(explained(MODELS, &stranger), @r##"
    DENY  message on Llm::Model "claude-opus-5" by agent "eve" (project "payroll")
      policy "no-opus" (p.cedar:11) forbids message on Llm::Model "claude-opus-5": use sonnet
      policies VERSION

    determined by
      forbid "no-opus" (p.cedar:11)
        yes   resource is Llm::Model
        yes   resource.name like "claude-opus-*"
        | @id("no-opus")
        | @reason("use sonnet")
        | forbid (principal, action, resource is Llm::Model)
        | when { resource.name like "claude-opus-*" };

    what would change it
      - policy "no-opus" (p.cedar:11) must not apply
      - and then: make policy "finance.message" (p.cedar:2) apply: `principal in Provost::Project::"finance"` does not hold
      - and then: add a permit for principal == Provost::Agent::"eve" (or in Provost::Project::"payroll"), action == Llm::Action::"message", resource == Llm::Model::"claude-opus-5"

    nearest permits
      permit "finance.message" (p.cedar:2)
        NO    principal in Provost::Project::"finance"
        yes   action == Llm::Action::"message"
        yes   resource is Llm::Model
        yes   resource.name like "claude-*"
        yes   context has max_tokens
        yes   context.max_tokens <= 64000
        yes   !context.betas.contains("computer-use")
        | @id("finance.message")
        | permit (
        |     principal in Provost::Project::"finance",
        |     action == Llm::Action::"message",
        |     resource is Llm::Model
        | )
        | when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
        | unless { context.betas.contains("computer-use") };
    "##);
}

#[test]
fn a_default_deny_shows_the_nearest_permits_and_what_they_lack() {
    let ask = Ask::message("claude-sonnet-5").with("max_tokens", None);
    assert_snapshot!(explained(MODELS, &ask), @r##"
    DENY  message on Llm::Model "claude-sonnet-5" by agent "bot" (project "finance")
      no policy permits message on Llm::Model "claude-sonnet-5" (policy "finance.message" (p.cedar:2) exists to permit message, but not this): ask an admin to permit Llm::Action::"message" on this model for agent "bot" (project "finance")
      policies VERSION

    what would change it
      - make policy "finance.message" (p.cedar:2) apply: `context has max_tokens` and `context.max_tokens <= 64000` do not hold
      - add a permit for principal == Provost::Agent::"bot" (or in Provost::Project::"finance"), action == Llm::Action::"message", resource == Llm::Model::"claude-sonnet-5"

    nearest permits
      permit "finance.message" (p.cedar:2)
        yes   principal in Provost::Project::"finance"
        yes   action == Llm::Action::"message"
        yes   resource is Llm::Model
        yes   resource.name like "claude-*"
        NO    context has max_tokens
        -     context.max_tokens <= 64000
        yes   !context.betas.contains("computer-use")
        | @id("finance.message")
        | permit (
        |     principal in Provost::Project::"finance",
        |     action == Llm::Action::"message",
        |     resource is Llm::Model
        | )
        | when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
        | unless { context.betas.contains("computer-use") };
    "##);
    assert_snapshot!(explained(MODELS, &Ask::count_tokens("claude-sonnet-5")), @r##"
    DENY  count_tokens on Llm::Model "claude-sonnet-5" by agent "bot" (project "finance")
      no policy permits count_tokens on Llm::Model "claude-sonnet-5": ask an admin to permit Llm::Action::"count_tokens" on this model for agent "bot" (project "finance")
      policies VERSION

    what would change it
      - make policy "finance.message" (p.cedar:2) apply: `action == Llm::Action::"message"`, `context has max_tokens` and `context.max_tokens <= 64000` do not hold
      - add a permit for principal == Provost::Agent::"bot" (or in Provost::Project::"finance"), action == Llm::Action::"count_tokens", resource == Llm::Model::"claude-sonnet-5"

    nearest permits
      permit "finance.message" (p.cedar:2)
        yes   principal in Provost::Project::"finance"
        NO    action == Llm::Action::"message"
        yes   resource is Llm::Model
        yes   resource.name like "claude-*"
        NO    context has max_tokens
        -     context.max_tokens <= 64000
        yes   !context.betas.contains("computer-use")
        | @id("finance.message")
        | permit (
        |     principal in Provost::Project::"finance",
        |     action == Llm::Action::"message",
        |     resource is Llm::Model
        | )
        | when { resource.name like "claude-*" && context has max_tokens && context.max_tokens <= 64000 }
        | unless { context.betas.contains("computer-use") };
    "##);
}

#[test]
fn a_broken_policy_is_shown_where_it_breaks() {
    let text = r#"@id("broken") permit (principal, action == Llm::Action::"message", resource)
when { context.tools * 9223372036854775807 > 0 };"#;
    assert_snapshot!(explained(text, &Ask::message("m")), @r##"
    DENY  message on Llm::Model "m" by agent "bot" (project "finance")
      message on Llm::Model "m" is denied because policy "broken" (p.cedar:1) could not be evaluated: integer overflow while attempting to multiply the values `20` and `9223372036854775807`
      policies VERSION

    determined by
      permit "broken" (p.cedar:1)
        yes   action == Llm::Action::"message"
        ERROR (context.tools * 9223372036854775807) > 0: integer overflow while attempting to multiply the values `20` and `9223372036854775807`
        | @id("broken") permit (principal, action == Llm::Action::"message", resource)
        | when { context.tools * 9223372036854775807 > 0 };

    what would change it
      - correct policy "broken" (p.cedar:1), which cannot be evaluated
      - and then: add a permit for principal == Provost::Agent::"bot" (or in Provost::Project::"finance"), action == Llm::Action::"message", resource == Llm::Model::"m"
    "##);
    let fine = Ask::message("m").with("tools", Some(Value::Long(1)));
    assert!(explained(text, &fine).starts_with("ALLOW"));
}

#[test]
fn what_the_schema_does_not_know_cannot_be_permitted() {
    let ask = Ask { verb: "train".into(), ..Ask::message("m") };
    assert_snapshot!(explained("", &ask), @r##"
    DENY  train on Llm::Model "m" by agent "bot" (project "finance")
      policy knows no action "train" on plane "llm", so it is denied
      policies VERSION

    what would change it
      - no policy can permit it: it is outside the policy schema
    "##);
}
