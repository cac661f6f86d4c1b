//! Resources, prompts and completions: the same for every client.

use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResult, ReadResourceResult},
};
use serde_json::{Value, json};

use crate::server::result;

/// One red pixel. Unit: base64 of a PNG file.
pub(crate) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ\
                                /pLvAAAAAElFTkSuQmCC";
/// A quarter of a millisecond of silence. Unit: base64 of a WAV file.
pub(crate) const SILENCE: &str =
    "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA==";

/// The answer to `resources/list`.
pub(crate) fn resources() -> Value {
    let one = |name: &str, media: &str, description: &str| {
        json!({
            "uri": format!("test://{name}"),
            "name": name,
            "description": description,
            "mimeType": media,
        })
    };
    json!({"resources": [
        one("static-text", "text/plain", "A text that never changes"),
        one("static-binary", "image/png", "A picture that never changes"),
        one("watched-resource", "text/plain", "A text that can be subscribed to"),
    ]})
}

/// The answer to `resources/templates/list`.
pub(crate) fn templates() -> Value {
    json!({"resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "A record for every id",
        "mimeType": "application/json",
    }]})
}

/// The answer to `resources/read`.
pub(crate) fn resource(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        "test://static-text" => text(uri, "This is the content of the static text resource."),
        "test://static-binary" => json!({"uri": uri, "mimeType": "image/png", "blob": PIXEL}),
        "test://watched-resource" => text(uri, "This is the content of a watched resource."),
        _ => {
            let missing =
                || ErrorData::resource_not_found("no such resource", Some(json!({"uri": uri})));
            let id = uri
                .strip_prefix("test://template/")
                .and_then(|rest| rest.strip_suffix("/data"))
                .ok_or_else(missing)?;
            let record = json!({
                "id": id,
                "templateTest": true,
                "data": format!("Data for ID: {id}"),
            });
            json!({"uri": uri, "mimeType": "application/json", "text": record.to_string()})
        }
    };
    result(json!({"contents": [content]}))
}

/// A resource that is plain text.
pub(crate) fn text(uri: &str, text: &str) -> Value {
    json!({"uri": uri, "mimeType": "text/plain", "text": text})
}

/// The answer to `prompts/list`.
pub(crate) fn prompts() -> Value {
    let argument = |name: &str, description: &str| json!({"name": name, "description": description, "required": true});
    json!({"prompts": [
        {"name": "test_simple_prompt", "description": "A prompt without arguments"},
        {
            "name": "test_prompt_with_arguments",
            "description": "A prompt with two arguments",
            "arguments": [argument("arg1", "The first"), argument("arg2", "The second")],
        },
        {
            "name": "test_prompt_with_embedded_resource",
            "description": "A prompt that brings a resource with it",
            "arguments": [argument("resourceUri", "Which resource")],
        },
        {"name": "test_prompt_with_image", "description": "A prompt with a picture"},
        {
            "name": "test_input_required_result_prompt",
            "description": "A prompt that asks its user something first",
        },
    ]})
}

/// The answer to `prompts/get`.
pub(crate) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    let argument = |name: &str| -> Result<&str, ErrorData> {
        let arguments = request.arguments.as_ref();
        let value = arguments.and_then(|all| all.get(name)).and_then(Value::as_str);
        value.ok_or_else(|| ErrorData::invalid_params(format!("{name} is missing"), None))
    };
    let contents = match request.name.as_str() {
        "test_simple_prompt" => vec![words("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (argument("arg1")?, argument("arg2")?);
            vec![words(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => {
            let uri = argument("resourceUri")?;
            let resource = text(uri, "Embedded resource content for testing.");
            vec![
                json!({"type": "resource", "resource": resource}),
                words("Please process the embedded resource above."),
            ]
        }
        "test_prompt_with_image" => vec![
            json!({"type": "image", "data": PIXEL, "mimeType": "image/png"}),
            words("Please analyze the image above."),
        ],
        unknown => {
            let reason = format!("no such prompt: {unknown}");
            return Err(ErrorData::invalid_params(reason, None));
        }
    };
    let message = |content: &Value| json!({"role": "user", "content": content});
    result(json!({"messages": contents.iter().map(message).collect::<Vec<_>>()}))
}

/// A prompt that says one thing.
pub(crate) fn said(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": words(text)}]})
}

/// A block of text.
pub(crate) fn words(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The answer to `completion/complete`.
pub(crate) fn completion(begun: &str) -> Value {
    let known = ["paris", "park", "party"];
    let values: Vec<_> = known.into_iter().filter(|value| value.starts_with(begun)).collect();
    json!({"completion": {"values": values, "total": values.len(), "hasMore": false}})
}
