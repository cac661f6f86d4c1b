//! The words for what can go wrong: the vocabulary that policies and `risks.toml` share.

use serde::Deserialize;

/// One kind of harm that a tool call could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
// In alphabetical order, so that the derived order is that of the words.
pub enum Risk {
    /// Sends something to people or outside services: mail, chat, a posting.
    Communication,
    /// Reads or changes secrets, keys or tokens.
    Credentials,
    /// Removes something.
    Delete,
    /// Runs code that the arguments do not show.
    Execute,
    /// Spends or moves money.
    Money,
    /// Talks to another machine.
    Network,
    /// Acts as another user, or changes what users may do.
    Privilege,
    /// Publishes code or packages.
    Push,
    /// Reads files.
    Read,
    /// Creates or changes files or other state.
    Write,
}

impl Risk {
    /// Every risk, in the order of their words.
    pub const ALL: [Self; 10] = [
        Self::Communication,
        Self::Credentials,
        Self::Delete,
        Self::Execute,
        Self::Money,
        Self::Network,
        Self::Privilege,
        Self::Push,
        Self::Read,
        Self::Write,
    ];

    /// The word that policies use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Communication => "communication",
            Self::Credentials => "credentials",
            Self::Delete => "delete",
            Self::Execute => "execute",
            Self::Money => "money",
            Self::Network => "network",
            Self::Privilege => "privilege",
            Self::Push => "push",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Risk;

    #[test]
    fn the_order_of_risks_is_that_of_their_words() {
        assert!(Risk::ALL.is_sorted());
        assert!(Risk::ALL.map(Risk::as_str).is_sorted());
    }
}
