//! The control API as its callers see it.

mod access;
mod approvals;
mod harness;
mod identities;
mod ledger;
mod logins;
mod mcp;
mod policies;
mod requests;
mod run_state;
mod secrets;
mod serve;
mod sessions;
