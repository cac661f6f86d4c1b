//! `risks.toml` is in order.

use std::collections::BTreeSet;

use provost_tools::{Risk, effects};
use toml::{Table, Value};

const SOURCE: &str = include_str!("../../src/risks.toml");

#[test]
fn the_table_is_read_at_all() {
    assert!(effects("Bash", br#"{"command":"ls"}"#, None).parsed);
}

#[test]
fn every_list_is_sorted_and_has_no_word_twice() {
    fn walk(place: &str, value: &Value) {
        if let Value::Array(items) = value {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            assert!(texts.is_sorted_by(|one, two| one < two), "{place}: {texts:?}");
            items.iter().for_each(|item| walk(place, item));
        }
        if let Value::Table(table) = value {
            table.iter().for_each(|(key, value)| walk(&format!("{place}.{key}"), value));
        }
    }
    walk("", &Value::Table(SOURCE.parse().unwrap()));
}

#[test]
fn sections_are_in_order() {
    let sorted = |head: &str| {
        let names: Vec<&str> = SOURCE
            .lines()
            .filter_map(|line| line.strip_prefix(head)?.strip_suffix(']'))
            .filter(|name| !name.contains('.'))
            .collect();
        assert!(!names.is_empty());
        names.is_sorted_by(|one, two| one < two)
    };
    assert!(sorted("[tool."), "tools");
    let patterns: Vec<&str> =
        SOURCE.lines().filter_map(|line| line.strip_prefix("pattern = ")).collect();
    assert!(patterns.is_sorted_by(|one, two| one < two), "paths: {patterns:?}");
}

#[test]
fn every_program_has_one_rule() {
    let table: Table = SOURCE.parse().unwrap();
    let mut seen = BTreeSet::new();
    let own = table["program"].as_table().unwrap().keys().map(String::as_str);
    let alike = table["alike"].as_array().unwrap().iter();
    let alike = alike.flat_map(|group| group["names"].as_array().unwrap());
    for name in own.chain(alike.map(|name| name.as_str().unwrap())) {
        assert!(seen.insert(name.to_owned()), "{name} is there twice");
    }
    assert!(seen.len() > 150);
}

#[test]
fn every_word_is_a_risk() {
    let words: Vec<&str> = Risk::ALL.iter().map(|risk| risk.as_str()).collect();
    let table: Table = SOURCE.parse().unwrap();
    let known = |value: &Value| {
        let all = value.as_array().unwrap().iter();
        all.for_each(|word| assert!(words.contains(&word.as_str().unwrap()), "{word}"));
    };
    for rule in table["path"].as_array().unwrap() {
        ["read", "write"].iter().filter_map(|key| rule.get(key)).for_each(known);
    }
    let rules = table["alike"].as_array().unwrap().iter().map(|group| &group["rule"]);
    for rule in rules.chain(table["program"].as_table().unwrap().values()) {
        ["alone", "risks"].iter().filter_map(|key| rule.get(key)).for_each(known);
        for key in ["flags", "sub"] {
            let inner = rule.get(key).and_then(Value::as_table);
            inner.into_iter().flat_map(Table::values).for_each(known);
        }
    }
}
