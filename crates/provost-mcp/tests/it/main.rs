//! The mcp plane against a scripted server, through a whole pipeline.

mod asks;
mod fake;
mod faults;
mod lists;
mod passing;
mod sessions;
mod world;
