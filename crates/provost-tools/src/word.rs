//! A word of a command line, as far as it is known before the command runs.

/// One piece of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    /// This character.
    Char(char),
    /// The home folder, whose place is not known.
    Home,
    /// One character other than a slash: `?` as a glob.
    One,
    /// Characters other than a slash: `*` as a glob.
    Many,
    /// Anything at all: a variable, or what another command prints.
    Any,
}

/// A word: its pieces in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) Vec<Piece>);

impl Word {
    /// A word all of whose characters are known.
    pub(crate) fn known(text: &str) -> Self {
        Self(text.chars().map(Piece::Char).collect())
    }

    /// A word that could be anything.
    pub(crate) fn any() -> Self {
        Self(vec![Piece::Any])
    }

    /// The text, if every character is known.
    pub(crate) fn text(&self) -> Option<String> {
        let chars = self.0.iter().map(|piece| match piece {
            Piece::Char(char) => Some(*char),
            Piece::Home | Piece::One | Piece::Many | Piece::Any => None,
        });
        chars.collect()
    }

    /// The text with `~`, `?` and `*` for what is not known.
    pub(crate) fn shown(&self) -> String {
        let chars = self.0.iter().map(|piece| match piece {
            Piece::Char(char) => *char,
            Piece::Home => '~',
            Piece::One => '?',
            Piece::Many | Piece::Any => '*',
        });
        chars.collect()
    }

    /// True if some piece could be anything, slashes too.
    pub(crate) fn is_open(&self) -> bool {
        self.0.contains(&Piece::Any)
    }

    /// True if the word could turn out to begin with a dash.
    pub(crate) fn may_be_flag(&self) -> bool {
        match self.0.first() {
            Some(Piece::Char(first)) => *first == '-',
            Some(Piece::One | Piece::Many | Piece::Any) => true,
            Some(Piece::Home) | None => false,
        }
    }

    /// The word without its first `count` pieces.
    pub(crate) fn after(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).copied().collect())
    }

    /// The part behind `separator`, if that is there and all before it is known.
    pub(crate) fn behind(&self, separator: char) -> Option<(String, Self)> {
        let at = self.0.iter().position(|piece| *piece == Piece::Char(separator))?;
        let before = Self(self.0.iter().take(at).copied().collect()).text()?;
        Some((before, self.after(at.saturating_add(1))))
    }
}
