//! Tools: lists without those that may not be used, and calls of tools that are as accepted.

use std::{collections::HashSet, time::Duration};

use http::StatusCode;
use provost_gateway::{Form, sse::Events};
use provost_pipeline::{Pin, PinnedTool};
use serde_json::Value;

use super::{
    ANSWER_BYTES_MAX, Answered, Exchange, NoAnswer,
    body::Body,
    settle::{Unsettled, unread},
};
use crate::{
    classify::any_call,
    refuse::{DENIED, HEADER_MISMATCH, INVALID_PARAMS, NO_ANSWER, Told},
    wire::{
        head,
        jsonrpc::{self, Answer, Id, Message, Params},
        tools::ToolList,
    },
};

/// Most pages of a list that are asked for. Ours: a page has some dozen tools.
pub(crate) const PAGES_MAX: usize = 64;

/// How long a server may take to list its tools when Provost asks it to. Ours.
const LIST_MAX: Duration = Duration::from_secs(30);

/// The keys of `_meta` that a request of our own repeats from the client's.
/// Source: MCP 2026-07-28, "_meta".
const META_PREFIX: &str = "io.modelcontextprotocol/";

impl Exchange<'_> {
    /// A list of tools without those that could not be called in any way, and those that are
    /// held.
    pub(super) async fn filter(&self, text: String) -> Result<String, Unsettled> {
        let Some(list) = ToolList::read(text.clone()).map_err(unread)? else { return Ok(text) };
        let accepted = self.pin(&list).await.map_err(Unsettled::Told)?;
        let allows = |name: &str| self.permit.would_allow(&any_call(self.server, name));
        Ok(list.keeping(|name| accepted.contains(name) && allows(name)))
    }

    /// Pins what is listed; the names of those that may be used.
    async fn pin(&self, list: &ToolList) -> Result<HashSet<String>, Told> {
        let tools: Vec<(String, Vec<u8>)> =
            list.tools().map(|tool| (tool.name.clone(), tool.definition.clone())).collect();
        let pins = self.permit.pin_tools(self.server.name.as_str(), &tools).await;
        let pins = pins.map_err(|refusal| Told::no(DENIED, refusal.message))?;
        let accepted = tools.into_iter().zip(pins).filter(|(_, pin)| *pin == Pin::Accepted);
        Ok(accepted.map(|((name, _), _)| name).collect())
    }

    /// Whether a tool is what was accepted, and its arguments are what it takes.
    pub(super) async fn check_call(
        &self,
        name: String,
        params: &Params,
    ) -> Result<(), Box<NoAnswer>> {
        let server = self.server.name.as_str();
        let mut pinned = self.permit.pinned_tool(server, &name);
        if pinned.is_none() {
            let listed = tokio::time::timeout(LIST_MAX, self.list_tools(params)).await;
            listed.map_err(|_| {
                NoAnswer::broken(&format_args!(
                    "the MCP server did not list its tools within {LIST_MAX:?}"
                ))
            })??;
            pinned = self.permit.pinned_tool(server, &name);
        }
        let Some(PinnedTool { pin, definition }) = pinned else {
            let message = format!("MCP server `{server}` lists no tool {name:?}.");
            return Err(self.not_called(INVALID_PARAMS, message));
        };
        if let Pin::Held { since } = pin {
            let message = format!(
                "The tool {name:?} of MCP server `{server}` may not be called: its definition \
                 changed on {since}; a person must look: `provost mcp tools {server}`."
            );
            return Err(self.not_called(DENIED, message));
        }
        let arguments = params.raw("arguments").unwrap_or_else(|| "{}".to_owned());
        let repeated = head::repeated(&self.headers).map_err(|error| error.to_string());
        repeated
            .and_then(|repeated| check_repeated(&definition, &arguments, &repeated))
            .map_err(|why| {
                let told = Told::no(HEADER_MISMATCH, why);
                NoAnswer::told(Told { status: StatusCode::BAD_REQUEST, ..told })
            })?;
        self.plane.schemas.check(&definition, &arguments).map_err(|why| {
            let message = format!("The tool {name:?} does not take these arguments: {why}.");
            self.not_called(INVALID_PARAMS, message)
        })
    }

    /// The call was not made, and the model hears why.
    fn not_called(&self, code: i32, message: String) -> Box<NoAnswer> {
        NoAnswer::told(Told::no(code, message).for_model(self.asked))
    }

    /// Asks the server for all its tools, in the client's session, and pins them.
    async fn list_tools(&self, params: &Params) -> Result<(), Box<NoAnswer>> {
        let meta = meta(params);
        let mut cursor = None;
        for page in 0..PAGES_MAX {
            let id = Id::Text(format!("provost-{}-{page}", self.permit.action()));
            let mut asked = serde_json::Map::new();
            asked.extend(meta.clone().map(|meta| ("_meta".to_owned(), meta)));
            asked.extend(
                cursor.take().map(|cursor| ("cursor".to_owned(), Value::String(cursor))),
            );
            let request =
                jsonrpc::request(&id, "tools/list", &Value::Object(asked).to_string());
            let answered = self.aside(request, Some("tools/list")).await?;
            let text = answer(answered, &id).await.map_err(|why| NoAnswer::broken(&why))?;
            let list = ToolList::read(text).map_err(|error| NoAnswer::broken(&error))?;
            let Some(list) = list else {
                return Err(NoAnswer::broken(&"the MCP server does not list its tools"));
            };
            self.pin(&list).await.map_err(NoAnswer::told)?;
            cursor.clone_from(&list.next_cursor);
            if cursor.is_none() {
                return Ok(());
            }
        }
        let message = format!("The MCP server lists its tools on more than {PAGES_MAX} pages.");
        Err(NoAnswer::told(Told::no(NO_ANSWER, message)))
    }
}

/// What of the client's `_meta` a request of our own needs.
fn meta(params: &Params) -> Option<Value> {
    let Value::Object(mut meta) = serde_json::from_str(&params.raw("_meta")?).ok()? else {
        return None;
    };
    meta.retain(|key, _| key.starts_with(META_PREFIX));
    (!meta.is_empty()).then_some(Value::Object(meta))
}

/// The message that answers a request of our own.
async fn answer((response, form): Answered, id: &Id) -> Result<String, String> {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(format!("the MCP server answered with status {}", head.status.as_u16()));
    }
    match form {
        Form::Json => {
            let bytes = whole(body).await?;
            found(&bytes, id).ok_or_else(|| "the MCP server answered something else".to_owned())
        }
        Form::Stream => streamed(body, id).await,
        Form::Other => Err("the MCP server answered with neither JSON nor a stream".to_owned()),
    }
}

/// All of an answer, within bounds.
pub(super) async fn whole(mut body: Body) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.piece().await {
        bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(format!(
                "the MCP server's answer is larger than {ANSWER_BYTES_MAX} bytes, which is the \
                 most that Provost passes: ask for less"
            ));
        }
    }
    Ok(bytes)
}

async fn streamed(mut body: Body, id: &Id) -> Result<String, String> {
    let mut events = Events::new(ANSWER_BYTES_MAX);
    while let Some(piece) = body.piece().await {
        let piece = piece.map_err(|error| error.to_string())?;
        events.push(&piece).map_err(|error| error.to_string())?;
        while let Some(event) = events.next() {
            if let Some(text) = event.data.and_then(|data| found(&data, id)) {
                return Ok(text);
            }
        }
    }
    Err("the MCP server ended its stream before its answer".to_owned())
}

/// The message, if it is a result for `id`.
fn found(bytes: &[u8], id: &Id) -> Option<String> {
    match jsonrpc::read_told(bytes).ok()? {
        Message::Answer { id: Some(of), answer: Answer::Result(_) } if of == *id => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        Message::Answer { .. } | Message::Request { .. } | Message::Notification { .. } => None,
    }
}

/// Whether headers say what the arguments say that they repeat: a server may act on either.
/// Source: MCP 2026-07-28, "Custom headers from tool parameters".
fn check_repeated(
    definition: &[u8],
    arguments: &str,
    repeated: &[(String, String)],
) -> Result<(), String> {
    if repeated.is_empty() {
        return Ok(());
    }
    let definition: Value = serde_json::from_slice(definition).unwrap_or_default();
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let properties = definition.pointer("/inputSchema/properties").and_then(Value::as_object);
    for (header, value) in repeated {
        let is_named = |property: &Value| {
            let name = property.get("x-mcp-header").and_then(Value::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case(header))
        };
        let argument = properties
            .and_then(|properties| properties.iter().find(|(_, property)| is_named(property)))
            .and_then(|(key, _)| arguments.get(key));
        let said = match argument {
            Some(Value::String(text)) => Some(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => None,
        };
        if said.as_ref() != Some(value) {
            return Err(format!("`mcp-param-{header}` does not say what the arguments say"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_repeated, meta};
    use crate::wire::jsonrpc::{Message, read_asked};

    #[test]
    fn headers_say_what_the_arguments_say() {
        let definition = br#"{"inputSchema":{"properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "n":{"type":"integer","x-mcp-header":"Count"},"other":{"type":"string"}}}}"#;
        let arguments = r#"{"region":"eu","n":5,"other":"x"}"#;
        for (header, value, want) in [
            ("region", "eu", true),
            ("count", "5", true),
            ("region", "us", false),
            ("region", "EU", false),
            ("other", "x", false), // nobody said that it is repeated
        ] {
            let repeated = [(header.to_owned(), value.to_owned())];
            let got = check_repeated(definition, arguments, &repeated).is_ok();
            assert_eq!(got, want, "{header}: {value}");
        }
        assert_eq!(check_repeated(definition, "{}", &[]), Ok(()));
        let absent = [("region".to_owned(), "eu".to_owned())];
        assert!(check_repeated(definition, "{}", &absent).is_err());
    }

    #[test]
    fn our_own_request_repeats_who_the_client_is_and_no_more() {
        let read = |meta: &str| {
            let text =
                format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"_meta":{meta}}}}}"#);
            match read_asked(text.as_bytes()).unwrap() {
                Message::Notification { params, .. } => super::meta(&params),
                other @ (Message::Request { .. } | Message::Answer { .. }) => {
                    panic!("{other:?}")
                }
            }
        };
        let client = r#"{"io.modelcontextprotocol/clientInfo":{"name":"c"},"progressToken":1}"#;
        let want = serde_json::json!({"io.modelcontextprotocol/clientInfo": {"name": "c"}});
        assert_eq!(read(client), Some(want));
        assert_eq!(read(r#"{"claudecode/toolUseId":"x"}"#), None);
        assert_eq!(meta(&crate::wire::jsonrpc::Params::default()), None);
    }
}
