//! The `provost` program: parse, dispatch, exit code.
//!
//! From here to an upstream in five files: this one, `serve.rs`, then the drivers in
//! `provost-gateway`, `Pipeline::run` in `provost-pipeline`, and the gateway of the plane.

mod app;
mod bridge;
mod claude;
mod cli;
mod client;
mod config;
mod data_dir;
mod demo;
mod exit;
mod hook;
mod init;
mod printer;
mod run_file;
mod serve;
mod supervise;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse()).into()
}
