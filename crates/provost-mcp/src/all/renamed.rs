//! Messages under the names that the other side knows. Pure.

use serde_json::value::RawValue;

use provost_pipeline::Malformed;

use super::names;
use crate::{
    classify::syntax,
    wire::{
        edit::{Edits, at},
        json,
        jsonrpc::{Answer, Message},
    },
};

/// A client's message, as one server is to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Routed {
    /// Whose it is.
    pub(super) server: String,
    /// The message under that server's own names.
    pub(super) body: String,
    /// The name or URI in it, which a header repeats.
    pub(super) named: Option<String>,
}

/// What in a client's message says whose it is.
enum Key {
    Name(&'static [&'static str]),
    Uri(&'static [&'static str]),
    Token(&'static [&'static str]),
}

/// Whose a client's message is, if that stands in it; `text` is the whole of it.
///
/// # Errors
///
/// [`Malformed`] if it should stand there and does not.
pub(super) fn routed(text: &str, message: &Message) -> Result<Option<Routed>, Malformed> {
    let Some(key) = key(message) else { return Ok(None) };
    let routed = match key {
        Key::Name(path) => named(text, path, names::split_name).ok_or(
            "tools and prompts of all servers are called SERVER__NAME here, as they are listed",
        ),
        Key::Uri(path) => named(text, path, names::split_uri).ok_or(
            "resources of all servers are at provost+SERVER:URI here, as they are listed",
        ),
        Key::Token(path) => token(text, path).ok_or(
            "`id` or `progressToken` is none that Provost gave: answer under the one that came",
        ),
    };
    routed.map(Some).map_err(syntax)
}

fn key(message: &Message) -> Option<Key> {
    match message {
        Message::Request { method, params, .. } => match method.as_str() {
            "tools/call" | "prompts/get" => Some(Key::Name(&["params", "name"])),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                Some(Key::Uri(&["params", "uri"]))
            }
            "completion/complete" => match params.string_in("ref", "type").as_deref() {
                Some("ref/resource") => Some(Key::Uri(&["params", "ref", "uri"])),
                _ => Some(Key::Name(&["params", "ref", "name"])),
            },
            _ => None,
        },
        Message::Notification { method, .. } => (method == "notifications/progress")
            .then_some(Key::Token(&["params", "progressToken"])),
        Message::Answer { .. } => Some(Key::Token(&["id"])),
    }
}

fn named(text: &str, path: &[&str], split: fn(&str) -> Option<(&str, &str)>) -> Option<Routed> {
    let value = at(text, path)?;
    let whole = json::string(value)?;
    let (server, named) = split(&whole)?;
    let mut edits = Edits::of(text);
    edits.put(value, named);
    let named = Some(named.to_owned());
    Some(Routed { server: server.to_owned(), body: edits.done(), named })
}

fn token(text: &str, path: &[&str]) -> Option<Routed> {
    let value = at(text, path)?;
    let token = json::string(value)?;
    let (server, json) = names::split_token(&token)?;
    let mut edits = Edits::of(text);
    edits.put_raw(value, json.to_owned());
    Some(Routed { server: server.to_owned(), body: edits.done(), named: None })
}

/// A message of `server` as a client of all servers is to see it; `None` if the client could
/// not answer it. Which resources a result names is seen by its form, for a stream that was
/// resumed does not say what was asked.
pub(super) fn outward(server: &str, (text, message): (&str, &Message)) -> Option<String> {
    let mut edits = Edits::of(text);
    match message {
        Message::Request { .. } => {
            mark(&mut edits, server, at(text, &["id"])?)?;
            if let Some(token) = at(text, &["params", "_meta", "progressToken"]) {
                mark(&mut edits, server, token)?;
            }
        }
        Message::Notification { method, .. } => match method.as_str() {
            "notifications/resources/updated" => {
                put_uri(&mut edits, server, at(text, &["params", "uri"]));
            }
            "notifications/cancelled" => {
                mark(&mut edits, server, at(text, &["params", "requestId"])?)?;
            }
            _ => {}
        },
        Message::Answer { answer: Answer::Result(_), .. } => {
            put_result(&mut edits, server, at(text, &["result"])?.get());
        }
        Message::Answer { answer: Answer::Error(_), .. } => {}
    }
    Some(edits.done())
}

/// An item of a list under a name that says whose it is; `None` if it has no name.
pub(super) fn listed(server: &str, member: &str, item: &str) -> Option<String> {
    let value = at(item, &[member])?;
    let own = json::string(value)?;
    let mut edits = Edits::of(item);
    match member {
        "name" => edits.put(value, &names::name(server, &own)),
        _ => edits.put(value, &names::uri(server, &own)),
    }
    Some(edits.done())
}

fn mark(edits: &mut Edits<'_>, server: &str, value: &RawValue) -> Option<()> {
    edits.put(value, &names::token(server, value.get())?);
    Some(())
}

fn put_result(edits: &mut Edits<'_>, server: &str, result: &str) {
    let Ok(members) = json::members(result) else { return };
    let items = |name| {
        let items = json::member(&members, name).and_then(|items| json::items(items.get()));
        items.into_iter().flatten()
    };
    // Of a tool.
    items("content").for_each(|item| put_content(edits, server, item.get()));
    // Of a prompt.
    for content in items("messages").filter_map(|item| at(item.get(), &["content"])) {
        put_content(edits, server, content.get());
    }
    // Of a resource.
    items("contents").for_each(|item| put_uri(edits, server, at(item.get(), &["uri"])));
}

/// A link to a resource, or a resource, in what a tool or prompt gives.
fn put_content(edits: &mut Edits<'_>, server: &str, item: &str) {
    let Ok(members) = json::members(item) else { return };
    put_uri(edits, server, json::member(&members, "uri"));
    let resource = json::member(&members, "resource");
    put_uri(edits, server, resource.and_then(|resource| at(resource.get(), &["uri"])));
}

fn put_uri(edits: &mut Edits<'_>, server: &str, value: Option<&RawValue>) {
    if let Some(value) = value
        && let Some(uri) = json::string(value)
    {
        edits.put(value, &names::uri(server, &uri));
    }
}

#[cfg(test)]
mod tests {
    use super::{Routed, listed, outward, routed};
    use crate::wire::jsonrpc::{read_asked, read_told};

    #[test]
    fn a_message_goes_to_the_server_it_names() {
        let request = |method: &str, params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
        };
        for (text, want) in [
            (
                request("tools/call", r#"{"arguments":{"name":"x__y"},"name":"a__b"}"#),
                Some(("a", r#"{"arguments":{"name":"x__y"},"name":"b"}"#, Some("b"))),
            ),
            (
                request("prompts/get", r#"{"name":"a__b__c"}"#),
                Some(("a", r#"{"name":"b__c"}"#, Some("b__c"))),
            ),
            (
                request("resources/read", r#"{"uri":"provost+a:file:\/\/\/x"}"#),
                Some(("a", r#"{"uri":"file:///x"}"#, Some("file:///x"))),
            ),
            (
                request(
                    "completion/complete",
                    r#"{"ref":{"type":"ref/resource","uri":"provost+a:x:{y}"}}"#,
                ),
                Some(("a", r#"{"ref":{"type":"ref/resource","uri":"x:{y}"}}"#, Some("x:{y}"))),
            ),
            (
                request(
                    "completion/complete",
                    r#"{"ref":{"type":"ref/prompt","name":"a__b"}}"#,
                ),
                Some(("a", r#"{"ref":{"type":"ref/prompt","name":"b"}}"#, Some("b"))),
            ),
            (request("tools/call", r#"{"name":"b"}"#), None),
            (request("tools/call", "{}"), None),
            (request("resources/read", r#"{"uri":"file:///x"}"#), None),
        ] {
            let message = read_asked(text.as_bytes()).unwrap();
            let got = routed(&text, &message).ok().map(Option::unwrap);
            let want = want.map(|(server, params, named)| {
                let (before, _) = text.split_once(r#""params":"#).unwrap();
                let body = format!(r#"{before}"params":{params}}}"#);
                Routed { server: server.to_owned(), body, named: named.map(str::to_owned) }
            });
            assert_eq!(got, want, "{text}");
        }
        let message = read_asked(request("tools/list", "{}").as_bytes()).unwrap();
        assert_eq!(routed(&request("tools/list", "{}"), &message), Ok(None));
    }

    #[test]
    fn answers_go_back_under_the_servers_own_id() {
        for (id, want) in [
            (r#""a:1""#, Some(("a", "1"))),
            (r#""a:\"x\"""#, Some(("a", r#""x""#))),
            ("1", None),
            (r#""x""#, None),
        ] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
            let message = read_asked(text.as_bytes()).unwrap();
            let got = routed(&text, &message).ok().map(Option::unwrap);
            let got = got.map(|routed| (routed.server, routed.body));
            let want = want.map(|(server, id)| {
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
                (server.to_owned(), body)
            });
            assert_eq!(got, want, "{id}");
        }
    }

    #[test]
    fn what_servers_say_is_told_under_names_of_all() {
        for (text, want) in [
            (
                r#"{"jsonrpc":"2.0","id":5,"method":"roots/list","params":{"_meta":{"progressToken":"t"}}}"#,
                r#"{"jsonrpc":"2.0","id":"a:5","method":"roots/list","params":{"_meta":{"progressToken":"a:\"t\""}}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:y"}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"provost+a:x:y"}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"x:y"},{"type":"resource","resource":{"uri":"x:z"}},{"type":"text","text":"x:y"}]}}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"resource_link","uri":"provost+a:x:y"},{"type":"resource","resource":{"uri":"provost+a:x:z"}},{"type":"text","text":"x:y"}]}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"messages":[{"content":{"resource":{"uri":"x:z"}}}]}}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{"messages":[{"content":{"resource":{"uri":"provost+a:x:z"}}}]}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"x:z","text":"q"}]}}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[{"uri":"provost+a:x:z","text":"q"}]}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#,
            ),
        ] {
            let message = read_told(text.as_bytes()).unwrap();
            assert_eq!(outward("a", (text, &message)).as_deref(), Some(want));
        }
        let long =
            format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"roots/list"}}"#, "x".repeat(256));
        assert_eq!(outward("a", (&long, &read_told(long.as_bytes()).unwrap())), None);
    }

    #[test]
    fn items_of_lists_say_whose_they_are() {
        for (member, item, want) in [
            ("name", r#"{"name":"b","title":"B"}"#, Some(r#"{"name":"a__b","title":"B"}"#)),
            (
                "uri",
                r#"{"name":"b","uri":"x:y"}"#,
                Some(r#"{"name":"b","uri":"provost+a:x:y"}"#),
            ),
            (
                "uriTemplate",
                r#"{"uriTemplate":"x:{y}"}"#,
                Some(r#"{"uriTemplate":"provost+a:x:{y}"}"#),
            ),
            ("name", r#"{"name":1}"#, None),
            ("name", "7", None),
        ] {
            assert_eq!(listed("a", member, item).as_deref(), want, "{item}");
        }
    }
}
