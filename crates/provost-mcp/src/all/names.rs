//! What is a server's, under a name that says whose. Reversible, and read in one way: a
//! server's name is of lower-case letters, digits and `-`, so the first `_` or `:` ends it.

use crate::wire::jsonrpc::ID_BYTES_MAX;

/// Stands between a server's name and that of its tool or prompt. What clients make names of
/// that models see knows it well: `mcp__github__create_issue`.
const DIVIDER: &str = "__";

/// What the scheme of a resource's URI begins with. A scheme may have a `+`.
/// Source: RFC 3986, §3.1.
const SCHEME: &str = "provost+";

/// A tool's or prompt's name.
pub(super) fn name(server: &str, name: &str) -> String {
    format!("{server}{DIVIDER}{name}")
}

/// The server and its own name for a tool or prompt.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    name.split_once(DIVIDER).filter(|(server, name)| !server.is_empty() && !name.is_empty())
}

/// A resource's URI, or a template of such.
pub(super) fn uri(server: &str, uri: &str) -> String {
    format!("{SCHEME}{server}:{uri}")
}

/// The server and its own URI.
pub(super) fn split_uri(uri: &str) -> Option<(&str, &str)> {
    let split = uri.strip_prefix(SCHEME)?.split_once(':');
    split.filter(|(server, uri)| !server.is_empty() && !uri.is_empty())
}

/// The id of something that a server asks, or a token of its, given as JSON; `None` if it is
/// too long to come back.
pub(super) fn token(server: &str, json: &str) -> Option<String> {
    let token = format!("{server}:{json}");
    (token.len() <= ID_BYTES_MAX).then_some(token)
}

/// The server and its own id or token, as JSON.
pub(super) fn split_token(token: &str) -> Option<(&str, &str)> {
    let (server, json) = token.split_once(':')?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let is_whole = value.is_string() || value.is_i64();
    (!server.is_empty() && is_whole && json == json.trim()).then_some((server, json))
}

/// Which stream an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// The answer to a request.
    Request,
    /// What servers send of their own accord.
    Listening,
}

/// What goes before the id of a server's event.
pub(super) fn event_mark(server: &str, of: Of) -> String {
    match of {
        Of::Request => format!("{server}:r:"),
        Of::Listening => format!("{server}:l:"),
    }
}

/// The server, what its event was of, and its own id for it.
pub(super) fn split_event(id: &str) -> Option<(&str, Of, &str)> {
    let (server, rest) = id.split_once(':').filter(|(server, _)| !server.is_empty())?;
    match rest.split_once(':')? {
        ("r", id) => Some((server, Of::Request, id)),
        ("l", id) => Some((server, Of::Listening, id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Of, event_mark, name, split_event, split_name, split_token, split_uri, token, uri,
    };

    #[test]
    fn names_are_parted_where_the_server_ends() {
        for (text, want) in [
            ("github__create_issue", Some(("github", "create_issue"))),
            ("a___b", Some(("a", "_b"))),
            ("a__b__c", Some(("a", "b__c"))),
            ("a_b", None),
            ("__b", None),
            ("a__", None),
            ("", None),
        ] {
            assert_eq!(split_name(text), want, "{text}");
        }
    }

    #[test]
    fn uris_and_tokens_of_nobody_are_none() {
        for text in ["file:///x", "provost+", "provost+a", "provost+a:", "provost+:x", ""] {
            assert_eq!(split_uri(text), None, "{text}");
        }
        for text in ["a", "a:", ":1", "a:x", "a:1.5", "a: 1", "a:null", "a:[1]", "a:{}"] {
            assert_eq!(split_token(text), None, "{text}");
        }
        for text in ["a", "a:r", "a:x:1", ":r:1"] {
            assert_eq!(split_event(text), None, "{text}");
        }
        assert_eq!(token("a", &"1".repeat(300)), None);
    }

    proptest! {
        #[test]
        fn what_is_put_together_comes_apart(
            server in "[a-z0-9-]{1,64}", text in ".{1,100}", number: i64, words in ".{0,40}",
        ) {
            let (server, text) = (server.as_str(), text.as_str());
            let (name, uri) = (name(server, text), uri(server, text));
            prop_assert_eq!(split_name(&name), Some((server, text)));
            prop_assert_eq!(split_uri(&uri), Some((server, text)));
            let words = serde_json::Value::from(words).to_string();
            for json in [number.to_string(), words] {
                let token = token(server, &json);
                if let Some(token) = &token {
                    prop_assert_eq!(split_token(token), Some((server, json.as_str())));
                }
            }
            for of in [Of::Request, Of::Listening] {
                let marked = format!("{}{text}", event_mark(server, of));
                prop_assert_eq!(split_event(&marked), Some((server, of, text)));
            }
        }
    }
}
