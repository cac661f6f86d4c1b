//! What clients are told of OAuth: where an access token for a server is had.
//!
//! Nothing here looks at a token; the pipeline's directory does. Source: RFC 9728, RFC 6750.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};
use serde_json::json;

use crate::{PATH, ServerName, wire::head::bare};

/// What the path of every server's metadata begins with. Source: RFC 9728, §3.1.
pub const METADATA: &str = "/.well-known/oauth-protected-resource/mcp/";

/// How the metadata may be kept. Ours: an operator who changes it restarts the server.
const KEEP: &str = "public, max-age=300";

/// The plane's servers as resources that access tokens are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The address of the gateway as clients know it, without a path.
    pub public_url: String,
    /// Who issues access tokens.
    pub issuer: String,
    /// What clients should ask for; perhaps nothing.
    pub scopes: Vec<String>,
}

impl Protected {
    /// What a client is told in a 401: where to look, and whether what it sent was no good.
    pub(crate) fn challenge(&self, parts: &Parts) -> HeaderValue {
        let server = parts.uri.path().strip_prefix(PATH);
        let server = server.and_then(|name| name.parse::<ServerName>().ok());
        let Some(server) = server else { return HeaderValue::from_static("Bearer") };
        let mut challenge =
            format!("Bearer resource_metadata=\"{}{METADATA}{server}\"", self.public_url);
        if !self.scopes.is_empty() {
            challenge.push_str(&format!(", scope=\"{}\"", self.scopes.join(" ")));
        }
        if parts.headers.contains_key(AUTHORIZATION) {
            challenge.push_str(", error=\"invalid_token\"");
        }
        challenge.try_into().unwrap_or(HeaderValue::from_static("Bearer"))
    }

    /// The metadata that a request asks for. The same for servers that there are and servers
    /// that there are not: who has no token learns no names.
    pub fn metadata(&self, parts: &Parts) -> Response<Bytes> {
        let server = parts.uri.path().strip_prefix(METADATA);
        let server = server.and_then(|name| name.parse::<ServerName>().ok());
        let Some(server) = server else { return bare(StatusCode::NOT_FOUND) };
        if parts.method != Method::GET {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        let mut metadata = json!({
            "resource": format!("{}{PATH}{server}", self.public_url),
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "Provost",
        });
        if let (false, Some(metadata)) = (self.scopes.is_empty(), metadata.as_object_mut()) {
            metadata.insert("scopes_supported".to_owned(), json!(self.scopes));
        }
        let mut response = Response::new(Bytes::from(metadata.to_string()));
        for (name, value) in [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, KEEP),
            // Clients that are web pages read it, too; there is nothing in it to hide.
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode, request::Parts};
    use serde_json::{Value, json};

    use super::Protected;

    fn protected(scopes: &[&str]) -> Protected {
        Protected {
            public_url: "https://provost.example".to_owned(),
            issuer: "https://as.example".to_owned(),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    fn parts(method: &str, path: &str, authorization: Option<&str>) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_client_without_a_token_is_told_where_to_get_one() {
        let metadata =
            "https://provost.example/.well-known/oauth-protected-resource/mcp/github";
        for (scopes, path, authorization, want) in [
            (&[][..], "/mcp/github", None, format!("Bearer resource_metadata=\"{metadata}\"")),
            (
                &["a", "b"],
                "/mcp/github",
                Some("Bearer x"),
                format!(
                    "Bearer resource_metadata=\"{metadata}\", scope=\"a b\", \
                     error=\"invalid_token\""
                ),
            ),
            (&[], "/mcp/A\"b", None, "Bearer".to_owned()),
            (&[], "/mcp", None, "Bearer".to_owned()),
        ] {
            let path = path.replace('"', "%22");
            let challenge = protected(scopes).challenge(&parts("POST", &path, authorization));
            assert_eq!(challenge.to_str().unwrap(), want);
        }
    }

    #[test]
    fn metadata_names_the_resource_and_who_issues_tokens_for_it() {
        let path = "/.well-known/oauth-protected-resource/mcp/github";
        let response = protected(&["a"]).metadata(&parts("GET", path, None));
        let told: Value = serde_json::from_slice(response.body()).unwrap();
        let want = json!({"resource": "https://provost.example/mcp/github",
            "authorization_servers": ["https://as.example"], "resource_name": "Provost",
            "bearer_methods_supported": ["header"], "scopes_supported": ["a"]});
        assert_eq!(told, want);
        for (method, path, want) in [
            ("POST", path.to_owned(), StatusCode::METHOD_NOT_ALLOWED),
            ("GET", format!("{path}/x"), StatusCode::NOT_FOUND),
            (
                "GET",
                "/.well-known/oauth-protected-resource/mcp/".to_owned(),
                StatusCode::NOT_FOUND,
            ),
        ] {
            let response = protected(&[]).metadata(&parts(method, &path, None));
            assert_eq!(response.status(), want, "{method} {path}");
        }
    }
}
