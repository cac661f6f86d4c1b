//! How a client begins with all servers: what they can do, put together.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{ToAll, lists::Caching, sessions::Member, subs::Said};
use crate::{
    header::{SESSION, STATELESS},
    refuse::METHOD_NOT_FOUND,
    wire::{edit::at, json},
};

/// Under which key of `_meta` a server says who it is. Source: MCP 2026-07-28, "_meta".
const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";

/// What can be had of all servers at once, and what of each. Whatever else a server can do,
/// such as tasks, is to be had of it alone.
const CAPABILITIES: [(&str, &[&str]); 5] = [
    ("tools", &["listChanged"]),
    ("prompts", &["listChanged"]),
    ("resources", &["subscribe", "listChanged"]),
    ("logging", &[]),
    ("completions", &[]),
];

/// `initialize`: begins a session with each server that policy lets the agent open.
pub(super) async fn open(request: &ToAll<'_>) -> Response<Bytes> {
    let said = request.ask_each(request.open_to(request.members.clone())).await;
    let (begun, others): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|(_, said)| matches!(said, Said::Result(..)));
    let (mut members, mut told) = (Vec::new(), Told::default());
    for (member, said) in begun {
        let Said::Result(result, headers) = said else { continue };
        let Some((member, version)) = begun_with(&member.server, (&result, &headers)) else {
            continue;
        };
        told.version = told.version.take().filter(|least| *least < version).or(Some(version));
        told.hear(&member.server, &serde_json::from_str(&result).unwrap_or_default());
        members.push(member);
    }
    let Some(version) = told.version.take() else { return request.none(others) };
    let begun = (members, request.ask.body.clone());
    let session = request.service.sessions.begin(request.owner, begun);
    let mut result = json!({
        "protocolVersion": version,
        "capabilities": told.capabilities,
        "serverInfo": server_info(),
    });
    told.instruct(&mut result);
    let mut response = request.answer(&result.to_string());
    if let Ok(session) = HeaderValue::try_from(session) {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

/// What was agreed upon with a server, and the revision that it speaks.
pub(super) fn begun_with(
    server: &str,
    (result, headers): (&str, &HeaderMap),
) -> Option<(Member, String)> {
    let version = at(result, &["protocolVersion"]).and_then(json::string)?;
    let can = at(result, &["capabilities"]).and_then(|can| json::members(can.get()).ok());
    let member = Member {
        server: server.to_owned(),
        session: headers.get(SESSION).cloned(),
        version: HeaderValue::try_from(&version).ok(),
        can: Some(can.into_iter().flatten().map(|(name, _)| name).collect()),
    };
    Some((member, version))
}

/// `server/discover`: what servers of the revisions without sessions can do.
///
/// A server of the earlier revisions answers with an error, from which clients learn that they
/// have to begin sessions; so that is the answer if there is one such, since in sessions most
/// servers can be had.
pub(super) async fn discover(request: &ToAll<'_>) -> Response<Bytes> {
    let said = request.ask_each(request.open_to(request.members.clone())).await;
    let (mut told, mut caching, mut others) = (Told::default(), Caching::default(), Vec::new());
    let mut versions: Option<Vec<String>> = None;
    for (member, said) in said {
        let result = match said {
            Said::Result(result, _) => result,
            Said::No(response) if is_of_earlier(&response) => return response,
            said @ (Said::No(_) | Said::Nothing) => {
                others.push((member, said));
                continue;
            }
        };
        caching.heed(&result);
        let result: Value = serde_json::from_str(&result).unwrap_or_default();
        let own = result.get("supportedVersions").cloned().unwrap_or_default();
        let own: Vec<String> = serde_json::from_value(own).unwrap_or_default();
        versions = Some(match versions {
            Some(versions) => versions.into_iter().filter(|one| own.contains(one)).collect(),
            None => own.into_iter().filter(|one| one.as_str() >= STATELESS).collect(),
        });
        told.hear(&member.server, &result);
    }
    let Some(versions) = versions else { return request.none(others) };
    told.forget_changes();
    let mut result = json!({
        "supportedVersions": versions,
        "capabilities": told.capabilities,
        "_meta": {META_SERVER: server_info()},
    });
    told.instruct(&mut result);
    let result = result.to_string();
    let members = result.strip_suffix('}').unwrap_or(&result);
    request.answer(&format!("{members},{}}}", caching.members()))
}

/// Whether a server knows nothing of revisions without sessions.
fn is_of_earlier(response: &Response<Bytes>) -> bool {
    let code = std::str::from_utf8(response.body()).ok();
    let code = code.and_then(|text| at(text, &["error", "code"])).map(|code| code.get());
    match response.status() {
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            true
        }
        _ => code == Some(METHOD_NOT_FOUND.to_string().as_str()),
    }
}

fn server_info() -> Value {
    json!({"name": "provost", "version": env!("CARGO_PKG_VERSION")})
}

/// What servers told of themselves.
#[derive(Debug, Default)]
struct Told {
    /// The earliest revision that one of them speaks.
    version: Option<String>,
    capabilities: Map<String, Value>,
    instructions: Vec<String>,
}

impl Told {
    fn hear(&mut self, server: &str, result: &Value) {
        let can = result.get("capabilities");
        for (name, flags) in CAPABILITIES {
            let Some(has) = can.and_then(|can| can.get(name)) else { continue };
            let all = self.capabilities.entry(name).or_insert_with(|| json!({}));
            let set = flags.iter().filter(|flag| has.get(**flag) == Some(&Value::Bool(true)));
            if let Some(all) = all.as_object_mut() {
                all.extend(set.map(|flag| ((*flag).to_owned(), Value::Bool(true))));
            }
        }
        let text = result.get("instructions").and_then(Value::as_str);
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let all = "Tools and prompts that begin with";
            self.instructions.push(format!("{all} `{server}__`:\n{text}"));
        }
    }

    /// Without sessions nobody is told of changes here.
    fn forget_changes(&mut self) {
        for (name, flags) in CAPABILITIES {
            let all = self.capabilities.get_mut(name).and_then(Value::as_object_mut);
            all.into_iter()
                .for_each(|all| all.retain(|flag, _| !flags.contains(&flag.as_str())));
        }
    }

    fn instruct(self, result: &mut Value) {
        if !self.instructions.is_empty() {
            let told = Value::String(self.instructions.join("\n\n"));
            result.as_object_mut().map(|result| result.insert("instructions".to_owned(), told));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Told;

    #[test]
    fn what_servers_can_do_is_put_together() {
        let mut told = Told::default();
        told.hear(
            "a",
            &json!({"capabilities": {"tools": {}, "tasks": {}}, "instructions": "x"}),
        );
        told.hear(
            "b",
            &json!({"capabilities": {"tools": {"listChanged": true},
            "resources": {"subscribe": true, "listChanged": false}}, "instructions": ""}),
        );
        let capabilities =
            json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}});
        assert_eq!(json!(told.capabilities), capabilities);
        assert_eq!(told.instructions, ["Tools and prompts that begin with `a__`:\nx"]);
        told.forget_changes();
        assert_eq!(json!(told.capabilities), json!({"tools": {}, "resources": {}}));
    }
}
