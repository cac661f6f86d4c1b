//! End to end: the real binary, driven by real clients, against scripted upstreams.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::string_slice,
    reason = "a test stops where it fails, dials whom it likes, and owns its environment"
)]

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod claude_code;
#[cfg(test)]
mod client;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod conformance_oauth;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hook_command;
#[cfg(test)]
mod hook_holds;
#[cfg(test)]
mod hooks;
#[cfg(test)]
mod job_control;
#[cfg(test)]
mod mcp;
#[cfg(test)]
mod mcp_access_tokens;
#[cfg(test)]
mod mcp_all;
#[cfg(test)]
mod mcp_bridge;
#[cfg(test)]
mod mcp_holds;
#[cfg(test)]
mod mcp_oauth;
#[cfg(test)]
mod mcp_programs;
#[cfg(test)]
mod mcp_servers;
#[cfg(test)]
mod mcp_tools;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod python_sdk;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod tool_calls;
#[cfg(test)]
mod turn;
#[cfg(test)]
mod world;
