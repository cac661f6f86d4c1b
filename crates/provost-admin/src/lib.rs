//! The control API: what the CLI and the console talk to.
//!
//! Handlers parse, make one call, and convert what it gives. They hold no rules: who may call
//! which route is one table, `routes`, and everything else is the pipeline's, the vault's
//! or the ledger's to say.

mod agents;
mod app;
mod approvals;
mod convert;
mod error;
mod events;
mod extract;
mod humans;
mod ledger;
mod logins;
mod mcp;
mod operations;
mod policies;
mod projects;
mod routes;
mod run_state;
mod search;
mod secrets;
mod serve;
mod sessions;
mod socket;
#[cfg(test)]
mod tests;
mod who;

pub use app::App;
pub use axum::Router;
pub use axum::serve::Listener;
pub use ledger::LedgerReader;
pub use logins::{LoginAnswer, LoginFailed, LoginFailure, LoginTaken, Logins};
pub use routes::router;
pub use serve::serve_tcp;
pub use socket::{ControlSocket, SocketError, serve_unix};
pub use who::LocalPeer;
