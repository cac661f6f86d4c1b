//! Policies as their users meet them: texts in, decisions, findings and explanations out.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where it fails"
)]

mod approving;
mod arguments;
mod ask;
mod compiling;
mod deciding;
mod explaining;
mod holding;
mod lifting;
mod linting;
mod slicing;
mod starting;
