//! What is wrong, or merely unwise, in a policy file, and exactly where.

use std::fmt;

/// How much a finding matters. Only errors keep a policy set from being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The set is refused.
    Error,
    /// It loads, and probably does not do what its author meant.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The severity's word in output and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One remark about one place in one policy file. Ordered by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1. Unit: characters.
    pub column: u32,
    /// How much it matters.
    pub severity: Severity,
    /// A stable word for the kind of finding, such as `wildcard-principal`.
    pub code: &'static str,
    /// One sentence: what is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, severity, code, message } = self;
        write!(f, "{file}:{line}:{column}: {severity}[{code}]: {message}")
    }
}
