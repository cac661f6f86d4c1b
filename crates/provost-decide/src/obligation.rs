//! Obligations: what a permit asks of the client beside letting the action pass.
//!
//! A client that leaves one out is not stopped by it, so none is a gate: they are for what a
//! well-behaved client can do better.

use provost_types::{Decision, Value, Verdict};

use crate::Policies;
use crate::gate::TermFault;
use crate::rule::Rule;
use crate::sentence::quoted;

/// Most arguments that one permit sets.
const SETS_MAX: usize = 8;

/// Longest name or value that is set. Unit: bytes.
const SET_LEN_MAX: usize = 64;

impl Policies {
    /// Whether a permit that allowed bears `@ask("user")`: the user at the client is asked as
    /// well, where there is one.
    pub fn asks_user(&self, decision: &Decision) -> bool {
        self.allowing(decision).any(|rule| rule.annotation("ask") == Some("user"))
    }

    /// The arguments that a client has to set before it acts, by name: those of `@set` on the
    /// permits that allowed. Where two set the same, the first by policy id counts.
    pub fn sets(&self, decision: &Decision) -> Vec<(String, Value)> {
        let mut sets: Vec<(String, Value)> = Vec::new();
        for rule in self.allowing(decision) {
            // What is malformed did not load.
            let of_rule = rule.annotation("set").map(read_sets).transpose();
            for (name, value) in of_rule.ok().flatten().unwrap_or_default() {
                if !sets.iter().any(|(set, _)| *set == name) {
                    sets.push((name, value));
                }
            }
        }
        sets
    }

    fn allowing(&self, decision: &Decision) -> impl Iterator<Item = &Rule> {
        let is_allowed = decision.verdict == Verdict::Allow;
        decision.policies.iter().filter(move |_| is_allowed).filter_map(|id| self.named(id))
    }
}

/// Reads `@set("dangerouslyDisableSandbox=false, timeout=60000")`.
///
/// # Errors
///
/// It is malformed: then the policy does not load, for its author counts on it.
pub(crate) fn read_sets(text: &str) -> Result<Vec<(String, Value)>, TermFault> {
    let fault = || {
        let message = format!(
            "@set({}) sets nothing: use 1 to {SETS_MAX} of NAME=VALUE with commas between them, \
             each value true, false, a whole number, or letters, digits and `.`, `_`, `/`, `-`",
            quoted(text)
        );
        ("bad-set", message)
    };
    let sets: Option<Vec<_>> = text.split(',').map(|set| read_set(set.trim())).collect();
    sets.filter(|sets| sets.len() <= SETS_MAX).ok_or_else(fault)
}

fn read_set(text: &str) -> Option<(String, Value)> {
    let (name, value) = text.split_once('=')?;
    let is = |text: &str, more: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
        (1..=SET_LEN_MAX).contains(&text.len()) && text.bytes().all(fits)
    };
    if !is(name, b"_") || !is(value, b"._/-") {
        return None;
    }
    let value = match (value, value.parse()) {
        ("true", _) => Value::Bool(true),
        ("false", _) => Value::Bool(false),
        (_, Ok(number)) => Value::Long(number),
        (text, Err(_)) => Value::Text(text.to_owned()),
    };
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use provost_types::Value;

    use super::read_sets;

    #[test]
    fn what_is_set_is_a_name_and_a_plain_value() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (set, want) in [
            ("sandbox=false", Some(vec![("sandbox", Value::Bool(false))])),
            ("a=1, b_2=x/y.z", Some(vec![("a", Value::Long(1)), ("b_2", text("x/y.z"))])),
            ("n=-7", Some(vec![("n", Value::Long(-7))])),
            ("n=7x", Some(vec![("n", text("7x"))])),
            ("", None),
            ("a", None),
            ("a=", None),
            ("=1", None),
            ("a=b c", None),
            ("a=\"b\"", None),
            ("a=1,", None),
            ("a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1", None),
        ] {
            let got = read_sets(set).ok();
            let want = want.map(|sets| {
                sets.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            });
            assert_eq!(got, want, "set = {set:?}");
        }
    }
}
