//! Names of agents and projects: what people type, and what policies are written against.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest name. Unit: bytes. Source: the DNS label limit (RFC 1035 §2.3.4), so that a name
/// can always become a host label or a metric value.
const NAME_LEN_MAX: usize = 63;

/// A text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a name: use 1 to 63 lower-case letters, digits and inner hyphens, \
     starting with a letter"
)]
pub struct NameError {
    /// What was given, cut to 80 characters.
    pub given: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        // INVARIANT: matches `[a-z]([a-z0-9-]{0,61}[a-z0-9])?`.
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if is_name(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { given: text.chars().take(80).collect() })
                }
            }
        }
    };
}

name!(
    /// An agent's name: unique in the installation, never used again once taken.
    AgentName
);
name!(
    /// A project's name: unique in the installation.
    ProjectName
);

fn is_name(text: &str) -> bool {
    text.len() <= NAME_LEN_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::AgentName;

    #[test]
    fn names() {
        for (text, want) in [
            ("invoice-bot", true),
            ("a", true),
            ("a2", true),
            ("", false),
            ("2a", false),            // starts with a digit: reads as a number
            ("-a", false),            // reads as a command-line flag
            ("a-", false),            // not a host label
            ("Invoice", false),       // two spellings of one name
            ("a.b", false),           // a path or a host
            ("a/b", false),           // a path
            ("аgent", false),         // a Cyrillic first letter
            (&"a".repeat(64), false), // longer than a host label
        ] {
            assert_eq!(text.parse::<AgentName>().is_ok(), want, "text = {text:?}");
        }
    }
}
