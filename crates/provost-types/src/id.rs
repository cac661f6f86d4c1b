//! Typed identifiers: a `SessionId` can never be passed where an `ActionId` is meant.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// A text that is not the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an id of the form `{prefix}_<32 hexadecimal digits>`")]
pub struct IdError {
    /// What was given, cut to 64 characters.
    pub given: String,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every text form starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID that the caller generated (version 7: sorts by creation time).
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A fresh version 7 id: sorts by creation time.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The bare UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(self.0.simple().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32 && !hex.bytes().any(|b| b.is_ascii_uppercase()))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| IdError {
                        given: text.chars().take(64).collect(),
                        prefix: $prefix,
                    })
            }
        }
    };
}

id!(
    /// One action and its answer: the unit of decision and record.
    ActionId, "act"
);
id!(
    /// One bounded run of one agent.
    SessionId, "ses"
);
id!(
    /// One credential of an agent, a session or a human; never the credential itself.
    CredentialId, "crd"
);
id!(
    /// One held action's way to an answer.
    ApprovalId, "apr"
);
id!(
    /// One person who may use the control API.
    HumanId, "hum"
);
id!(
    /// One run of a server process; monotonic times compare only within one.
    BootId, "bot"
);

#[cfg(test)]
mod tests {
    use super::{ActionId, SessionId};

    #[test]
    fn ids_survive_their_text_form_and_refuse_others() {
        let id = SessionId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<ActionId>().is_err(), "another type's id");
        for text in ["", "ses_", "ses_0", "ses_0193AAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(text.parse::<SessionId>().is_err(), "text = {text:?}");
        }
    }
}
