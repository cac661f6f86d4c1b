//! What a result asks the client for before there is a real one.
//!
//! Source: MCP 2026-07-28, "Multi Round-Trip Requests".

use super::{json, jsonrpc::folds_to};

/// Most things that one result may ask for. Ours: servers ask for one or two.
const ASKS_MAX: usize = 64;

/// Longest key. Unit: bytes.
const KEY_BYTES_MAX: usize = 256;

/// One thing that a result asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputAsk {
    /// What is asked, such as `elicitation/create`.
    pub(crate) method: String,
    /// The whole ask, as it came.
    pub(crate) raw: String,
}

/// What a result asks for cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the MCP server asks for cannot be read")]
pub(crate) struct Unread;

/// What a result asks for; nothing if it is a real one.
///
/// # Errors
///
/// [`Unread`] if two readers could see different asks.
pub(crate) fn input_asks(result: &str) -> Result<Vec<InputAsk>, Unread> {
    if !json::is_object(result) {
        return Ok(Vec::new());
    }
    let members = json::members(result).map_err(|_| Unread)?;
    let is_miscased = |key: &String| key != "inputRequests" && folds_to(key, "inputRequests");
    if members.iter().any(|(key, _)| is_miscased(key)) {
        return Err(Unread);
    }
    let Some(asks) = json::member(&members, "inputRequests") else { return Ok(Vec::new()) };
    let asks = json::members(asks.get()).map_err(|_| Unread)?;
    if asks.len() > ASKS_MAX {
        return Err(Unread);
    }
    asks.into_iter()
        .map(|(key, ask)| {
            let members = json::members(ask.get()).map_err(|_| Unread)?;
            let method =
                json::member(&members, "method").and_then(json::string).ok_or(Unread)?;
            if key.len() > KEY_BYTES_MAX || method.len() > KEY_BYTES_MAX {
                return Err(Unread);
            }
            Ok(InputAsk { method, raw: ask.get().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::input_asks;

    #[test]
    fn asks_by_their_methods() {
        for (result, want) in [
            (r#"{"resultType":"complete","content":[]}"#, Some("")),
            (r#"7"#, Some("")),
            (
                r#"{"resultType":"input_required","inputRequests":{
                    "a":{"method":"elicitation/create","params":{}},"b":{"method":"roots/list"}}}"#,
                Some("elicitation/create, roots/list"),
            ),
            // Whatever its type says it is.
            (r#"{"inputRequests":{"a":{"method":"x"}}}"#, Some("x")),
            (r#"{"inputRequests":{},"InputRequests":{"a":{"method":"x"}}}"#, None),
            (r#"{"inputRequests":{},"inputRequests":{"a":{"method":"x"}}}"#, None),
            (r#"{"inputRequests":{"a":{"method":"x","method":"y"}}}"#, None),
            (r#"{"inputRequests":{"a":{}}}"#, None),
            (r#"{"inputRequests":[]}"#, None),
        ] {
            let told = input_asks(result).ok().map(|asks| {
                let asks: Vec<_> = asks.iter().map(|ask| ask.method.as_str()).collect();
                asks.join(", ")
            });
            assert_eq!(told.as_deref(), want, "{result}");
        }
    }
}
