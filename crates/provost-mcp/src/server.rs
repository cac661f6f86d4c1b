//! The servers behind the plane: their names, where they are, and with what they are asked.

use std::{fmt, path::Path, str::FromStr};

use http::{Uri, uri::PathAndQuery};
use provost_gateway::{BaseUrlError, EgressLimits, EgressSetupError, Upstream, child::Program};
use provost_secrets::SecretName;

use crate::oauth::Account;

/// Longest name of a server. Unit: bytes. Ours: it is a part of tool names, which are short.
const NAME_BYTES_MAX: usize = 64;

/// A server's name: 1 to 64 lower-case letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// INVARIANT: as its documentation says. No `/`, which ends it in the ids of resources.
pub struct ServerName(String);

/// A text that is no server's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of an MCP server is 1 to 64 lower-case letters, digits and `-`")]
pub struct ServerNameError;

impl ServerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(ServerNameError) }
    }
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) name: ServerName,
    pub(crate) way: Way,
    /// The arguments of calls that policy may see, by name.
    pub(crate) arguments: Vec<String>,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Over HTTP.
    Http {
        upstream: Box<Upstream>,
        /// Its path.
        target: PathAndQuery,
        /// The credential it is asked with, if it wants one.
        secret: Option<SecretName>,
        /// The account it is asked with, if it wants OAuth.
        account: Option<Account>,
    },
    /// It is a program, and is started.
    Program {
        program: Box<Program>,
        /// Variables of its environment whose values are credentials.
        secrets: Vec<(String, SecretName)>,
    },
}

/// A server that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its address is none.
    #[error(transparent)]
    Address(#[from] BaseUrlError),
    /// What it is reached through cannot be set up.
    #[error(transparent)]
    Egress(#[from] EgressSetupError),
}

impl Server {
    /// A server that is reached over HTTP at exactly `url`, with the credential stored as
    /// `secret`. Trusts the authorities in the PEM
    /// file `authorities` besides the public ones.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub fn over_http(
        name: ServerName,
        url: &str,
        secret: Option<SecretName>,
        (authorities, limits): (Option<&Path>, EgressLimits),
    ) -> Result<Self, ServerError> {
        let target = url.parse::<Uri>().ok().and_then(|uri| uri.path_and_query().cloned());
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let origin = url.strip_suffix(target.as_str()).unwrap_or(url);
        let upstream = Upstream::new(origin.parse()?, authorities, limits)?;
        let way = Way::Http { upstream: Box::new(upstream), target, secret, account: None };
        Ok(Self { name, way, arguments: Vec::new() })
    }

    /// A server that is a program: each of a client's sessions starts one. `secrets` are
    /// variables of its environment, and the credentials that are their values.
    pub fn as_program(
        name: ServerName,
        program: Program,
        secrets: Vec<(String, SecretName)>,
    ) -> Self {
        let way = Way::Program { program: Box::new(program), secrets };
        Self { name, way, arguments: Vec::new() }
    }

    /// Asks a server over HTTP with an account's access tokens.
    #[must_use]
    pub fn with_account(mut self, with: Account) -> Self {
        if let Way::Http { account, .. } = &mut self.way {
            *account = Some(with);
        }
        self
    }

    /// Lets policy see these arguments of calls.
    #[must_use]
    pub fn with_arguments(self, arguments: Vec<String>) -> Self {
        Self { arguments, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &ServerName {
        &self.name
    }
}

#[cfg(test)]
impl Server {
    /// A server that nobody reaches.
    pub(crate) fn named(name: &str, arguments: &[&str]) -> Self {
        let name = name.parse().unwrap();
        Self::over_http(name, "http://127.0.0.1:9/mcp", None, (None, EgressLimits::default()))
            .unwrap()
            .with_arguments(arguments.iter().map(|&argument| argument.to_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use provost_gateway::EgressLimits;

    use super::{Server, ServerName, Way};

    #[test]
    fn names_are_plain() {
        for (text, want) in [
            ("github", true),
            ("a-1", true),
            ("", false),
            ("GitHub", false),
            ("a/b", false),
            ("a_b", false),
            ("ä", false),
        ] {
            assert_eq!(text.parse::<ServerName>().is_ok(), want, "{text}");
        }
        assert!("a".repeat(65).parse::<ServerName>().is_err());
    }

    #[test]
    fn a_server_is_asked_at_exactly_its_address() {
        for (url, want) in [
            ("https://h/mcp", Some(("https://h", "/mcp"))),
            ("https://h/mcp/", Some(("https://h", "/mcp/"))),
            ("http://127.0.0.1:9/a/b", Some(("http://127.0.0.1:9", "/a/b"))),
            ("https://h", Some(("https://h", "/"))),
            ("https://user:pw@h/mcp", None),
            ("ftp://h/mcp", None),
            ("", None),
        ] {
            let name = "s".parse().unwrap();
            let got = Server::over_http(name, url, None, (None, EgressLimits::default())).ok();
            let got = got.map(|server| match server.way {
                Way::Http { upstream, target, .. } => (upstream.base().to_string(), target),
                Way::Program { .. } => panic!("it is reached over HTTP"),
            });
            let got = got.as_ref().map(|(base, target)| (base.as_str(), target.as_str()));
            assert_eq!(got, want, "{url}");
        }
    }
}
