//! Text that must not be printed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key, token or secret on its way over the wire.
///
/// Serialises as a plain string, because carrying it is its purpose; `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive(pub String);

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use crate::{PutSecret, Sensitive};

    #[test]
    fn debug_hides_what_json_carries() {
        let put = PutSecret { value: Sensitive("sk-real".to_owned()) };
        assert_eq!(format!("{put:?}"), "PutSecret { value: [hidden] }");
        assert_eq!(serde_json::to_string(&put).unwrap(), r#"{"value":"sk-real"}"#);
    }
}
