//! The index against the whole set: what is decided must not depend on it.

use proptest::prelude::*;
use provost_decide::{Policies, SourceFile};
use provost_types::Value;

use crate::ask::Ask;

const AGENTS: [&str; 3] = ["a", "b", "finance"];
const PROJECTS: [&str; 3] = ["finance", "payroll", "a"];
const MODELS: [&str; 3] = ["m1", "m2", "claude-opus-5"];

fn principal() -> impl Strategy<Value = String> {
    let agents = || proptest::sample::select(&AGENTS[..]);
    let projects = || proptest::sample::select(&PROJECTS[..]);
    prop_oneof![
        Just("principal".to_owned()),
        Just("principal is Provost::Agent".to_owned()),
        Just("principal is Provost::Project".to_owned()),
        agents().prop_map(|name| format!("principal == Provost::Agent::\"{name}\"")),
        agents().prop_map(|name| format!("principal in Provost::Agent::\"{name}\"")),
        projects().prop_map(|name| format!("principal == Provost::Project::\"{name}\"")),
        projects().prop_map(|name| format!("principal in Provost::Project::\"{name}\"")),
        projects().prop_map(|name| {
            format!("principal is Provost::Agent in Provost::Project::\"{name}\"")
        }),
        agents().prop_map(|name| {
            format!("principal is Provost::Agent in Provost::Agent::\"{name}\"")
        }),
    ]
}

fn action() -> impl Strategy<Value = String> {
    let verbs = &["message", "count_tokens", "list_models", "all"][..];
    let verb =
        || proptest::sample::select(verbs).prop_map(|verb| format!("Llm::Action::\"{verb}\""));
    prop_oneof![
        Just("action".to_owned()),
        verb().prop_map(|verb| format!("action == {verb}")),
        verb().prop_map(|verb| format!("action in {verb}")),
        proptest::collection::vec(verb(), 1..4)
            .prop_map(|verbs| format!("action in [{}]", verbs.join(", "))),
    ]
}

fn resource() -> impl Strategy<Value = String> {
    let models = || proptest::sample::select(&MODELS[..]);
    prop_oneof![
        Just("resource".to_owned()),
        Just("resource is Llm::Model".to_owned()),
        Just("resource is Llm::Catalog".to_owned()),
        models().prop_map(|name| format!("resource == Llm::Model::\"{name}\"")),
        models().prop_map(|name| format!("resource in Llm::Model::\"{name}\"")),
        models().prop_map(|name| format!("resource is Llm::Model in Llm::Model::\"{name}\"")),
    ]
}

/// Conditions that are valid under every scope, one of which can fail to evaluate.
fn conditions() -> impl Strategy<Value = Vec<String>> {
    let condition = prop_oneof![
        Just("true".to_owned()),
        Just("context has stream && context.stream".to_owned()),
        (0..4_i64).prop_map(|n| format!("context has max_tokens && context.max_tokens < {n}")),
        Just("context has tools && context.tools * 9223372036854775807 > 0".to_owned()),
        Just("context has betas && context.betas.contains(\"beta\")".to_owned()),
        Just("resource has name && resource.name like \"m*\"".to_owned()),
        Just("principal == Provost::Agent::\"a\"".to_owned()),
        Just("principal in Provost::Project::\"finance\"".to_owned()),
        Just("action in Llm::Action::\"all\"".to_owned()),
    ];
    let clause = (prop_oneof![Just("when"), Just("unless")], condition)
        .prop_map(|(word, condition)| format!("{word} {{ {condition} }}"));
    proptest::collection::vec(clause, 0..3)
}

fn policy() -> impl Strategy<Value = String> {
    let effect = prop_oneof![2 => Just("permit"), 1 => Just("forbid")];
    (effect, principal(), action(), resource(), conditions()).prop_map(
        |(effect, principal, action, resource, conditions)| {
            let conditions = conditions.join(" ");
            format!("{effect} ({principal}, {action}, {resource}) {conditions};\n")
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let facts = (
        any::<bool>(),
        proptest::option::of(0..4_i64),
        prop_oneof![Just(vec![]), Just(vec!["beta".to_owned()])],
        0..3_i64,
    );
    let who = (proptest::sample::select(&AGENTS[..]), proptest::sample::select(&PROJECTS[..]));
    let what = (0..3_u8, proptest::sample::select(&MODELS[..]));
    (who, what, facts).prop_map(|((agent, project), (verb, model), facts)| {
        let (stream, max_tokens, betas, tools) = facts;
        let ask = match verb {
            0 => Ask::message(model)
                .with("stream", Some(Value::Bool(stream)))
                .with("max_tokens", max_tokens.map(Value::Long))
                .with("betas", Some(Value::Texts(betas)))
                .with("tools", Some(Value::Long(tools))),
            1 => Ask::count_tokens(model).with("betas", Some(Value::Texts(betas))),
            _ => Ask::list_models(),
        };
        ask.by(agent, project)
    })
}

proptest! {
    #[test]
    fn the_index_changes_no_decision(
        first in proptest::collection::vec(policy(), 0..20),
        second in proptest::collection::vec(policy(), 0..20),
        asks in proptest::collection::vec(ask(), 1..12),
    ) {
        let files = [("a.cedar", first), ("b.cedar", second)]
            .map(|(name, texts)| SourceFile { name: name.into(), text: texts.concat() });
        let policies = Policies::compile(&files)
            .map_err(|findings| TestCaseError::fail(format!("{findings:?}\n{files:?}")))?;
        for ask in asks.iter().chain(&asks) {
            let query = ask.query();
            let sliced = policies.decide(&query);
            prop_assert_eq!(&sliced, &policies.decide_unindexed(&query));
            prop_assert!(sliced.policies.is_sorted());
        }
        for ask in asks.iter().take(2) {
            let decision = policies.decide(&ask.query());
            let explanation = policies.explain(&ask.query());
            prop_assert_eq!(&decision, &explanation.decision);
            for trace in &explanation.determining {
                let is_broken = decision.reason.contains("could not be evaluated");
                prop_assert!(is_broken != trace.applies(), "{}", explanation);
            }
        }
    }
}
