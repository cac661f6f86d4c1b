//! Upstream credentials: sealed at rest, leased one at a time against a `&Permit`.
//!
//! A value goes in once and is never shown again: no route, log or `Debug` form gives it back.
//! The only way to read one is a [`Lease`], and only an admitted action can get that.

mod error;
mod grant;
mod name;
mod vault;

pub use error::{LeaseError, SetError, VaultError};
pub use grant::{GrantError, GrantName, GrantNameError};
pub use name::{SecretName, SecretNameError};
pub use vault::{Lease, StoredSecret, VALUE_BYTES_MAX, Vault};
