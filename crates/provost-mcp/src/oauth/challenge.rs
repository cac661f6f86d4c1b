//! `WWW-Authenticate: Bearer`: what a server says is missing. Source: RFC 9110, §11.6.1.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// Longest value that is read. Unit: bytes. Ours: a challenge has a URL and some scopes.
const VALUE_BYTES_MAX: usize = 4096;

/// What a server asks a bearer for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Where its metadata is. Source: RFC 9728, §5.1.
    pub(crate) resource_metadata: Option<String>,
    /// The scopes it wants.
    pub(crate) scope: Option<String>,
    /// What is wrong with the token that was sent. Source: RFC 6750, §3.1.
    pub(crate) error: Option<String>,
}

impl Challenge {
    /// The first challenge to a bearer; one without anything in it is one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter(|value| value.len() <= VALUE_BYTES_MAX)
            .find_map(read)
    }

    /// Whether the token is good, and is for less than was asked.
    pub(crate) fn wants_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

fn read(value: &str) -> Option<Challenge> {
    let mut found: Option<Challenge> = None;
    for item in items(value) {
        let (scheme, parameter) = scheme(item);
        if let Some(scheme) = scheme {
            if found.is_some() {
                break;
            }
            if !scheme.eq_ignore_ascii_case("bearer") {
                continue;
            }
            found = Some(Challenge::default());
        }
        if let (Some(challenge), Some((name, value))) =
            (found.as_mut(), parameter.split_once('='))
        {
            let value = Some(unquoted(value.trim()));
            match name.trim().to_ascii_lowercase().as_str() {
                "resource_metadata" => challenge.resource_metadata = value,
                "scope" => challenge.scope = value,
                "error" => challenge.error = value,
                _ => {}
            }
        }
    }
    found
}

/// What stands between commas that are not within quotes.
fn items(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |one| {
            let divides = one == ',' && !quoted;
            quoted ^= one == '"' && !escaped;
            escaped = one == '\\' && !escaped;
            divides
        })
        .map(str::trim)
}

/// The scheme that an item begins, if it does, and its parameter.
fn scheme(item: &str) -> (Option<&str>, &str) {
    let is_token = |text: &str| !text.is_empty() && !text.contains(['=', '"']);
    match item.split_once(' ') {
        Some((scheme, parameter)) if is_token(scheme) && !parameter.trim().starts_with('=') => {
            (Some(scheme), parameter)
        }
        None if is_token(item) => (Some(item), ""),
        _ => (None, item),
    }
}

fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    quoted
        .chars()
        .filter(|one| {
            escaped = *one == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::WWW_AUTHENTICATE};

    use super::Challenge;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    #[test]
    fn the_bearers_challenge_is_found_among_others() {
        let some = |metadata: &str, scope: &str, error: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Some(Challenge {
                resource_metadata: text(metadata),
                scope: text(scope),
                error: text(error),
            })
        };
        for (values, want) in [
            (&["Bearer"][..], some("", "", "")),
            (&[r#"bearer resource_metadata="https://h/m""#], some("https://h/m", "", "")),
            (&["Bearer scope=\"a b\", error=invalid_token"], some("", "a b", "invalid_token")),
            (&["Bearer scope = \"a\""], some("", "a", "")),
            (&[r#"Basic realm="x, Bearer scope=y", Bearer scope="z""#], some("", "z", "")),
            (&[r#"Bearer scope="a", Basic scope="b""#], some("", "a", "")),
            (
                &["Negotiate", r#"Bearer error="insufficient_scope""#],
                some("", "", "insufficient_scope"),
            ),
            (&[r#"Bearer scope="a \"b\" c, d""#], some("", r#"a "b" c, d"#, "")),
            (&["DPoP algs=\"ES256\""], None),
            (&[], None),
        ] {
            assert_eq!(read(values), want, "{values:?}");
        }
        let long = format!("Bearer scope=\"{}\"", "a".repeat(5000));
        assert_eq!(read(&[&long]), None);
    }
}
