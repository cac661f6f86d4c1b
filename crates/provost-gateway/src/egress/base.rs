//! Where an upstream is: scheme, host, port, and the path that all its paths follow.

use std::{fmt, str::FromStr};

use http::{
    Uri,
    uri::{self, Authority, PathAndQuery, Scheme},
};

use super::EgressError;

/// An upstream's address, such as `https://api.anthropic.com` or `http://127.0.0.1:9/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
// INVARIANT: http or https; no credentials in the authority; the prefix does not end in `/`.
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
}

/// A text that is not an upstream's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not the address of an upstream: expected `http://` or `https://`, a host, \
     perhaps a port and a path, and no user, query or fragment"
)]
pub struct BaseUrlError {
    /// What was given, cut to 200 characters; a password in it is not repeated.
    pub given: String,
}

impl BaseUrl {
    /// Whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host, without brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn join(&self, path: Option<&PathAndQuery>) -> Result<Uri, EgressError> {
        let path = match path {
            Some(path) if self.prefix.is_empty() => path.clone(),
            Some(path) => PathAndQuery::try_from(format!("{}{path}", self.prefix))
                .map_err(|error| EgressError::Target(error.into()))?,
            None => PathAndQuery::from_static("/"),
        };
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| EgressError::Target(error.into()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let bad = || BaseUrlError {
            given: match text.rsplit_once('@') {
                Some((_, after)) => {
                    format!("…@{}", after.chars().take(200).collect::<String>())
                }
                None => text.chars().take(200).collect(),
            },
        };
        if text.contains(['@', '?', '#']) {
            return Err(bad());
        }
        let uri::Parts { scheme, authority, path_and_query, .. } =
            text.parse::<Uri>().map_err(|_| bad())?.into_parts();
        let (Some(scheme), Some(authority)) = (scheme, authority) else { return Err(bad()) };
        if (scheme != Scheme::HTTP && scheme != Scheme::HTTPS) || authority.host().is_empty() {
            return Err(bad());
        }
        if authority.port_u16().is_none() && authority.as_str() != authority.host() {
            return Err(bad());
        }
        let prefix = path_and_query.as_ref().map_or("", PathAndQuery::path);
        Ok(Self { scheme, authority, prefix: prefix.trim_end_matches('/').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::BaseUrl;

    #[test]
    fn paths_follow_the_base() {
        for (base, path, want) in [
            ("https://api.anthropic.com", "/v1/a?b=c", "https://api.anthropic.com/v1/a?b=c"),
            ("http://127.0.0.1:9/", "/v1", "http://127.0.0.1:9/v1"),
            ("http://[::1]:9/x/y/", "/v1?q", "http://[::1]:9/x/y/v1?q"),
            ("https://h/x", "/", "https://h/x/"),
        ] {
            let base: BaseUrl = base.parse().unwrap();
            let joined = base.join(Some(&path.parse().unwrap())).unwrap();
            assert_eq!(joined.to_string(), want);
        }
    }

    #[test]
    fn addresses_are_read_strictly_and_passwords_not_repeated() {
        for text in [
            "",
            "api.anthropic.com",
            "/v1",
            "ftp://h",
            "https://",
            "https://h?key=1",
            "https://h#x",
            "https://user:secret@h",
            "https://h:99999",
            "https://h:",
        ] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
