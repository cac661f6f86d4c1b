//! `provost env`: a session's variables, for those who start agents otherwise.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::{
    Invocation,
    run::{Whose, open},
    variable,
};
use crate::{
    exit::Exit,
    printer::Output,
    supervise::environment::{CONFLICTING_NAMES, granted},
};

/// Opens a session and prints the variables an agent needs for it
///
/// Nobody ends this session but its limits, or `provost session end`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  eval \"$(provost env --agent invoice-bot)\"
  provost env --agent invoice-bot --format dotenv > agent.env")]
pub(crate) struct Env {
    #[command(flatten)]
    whose: Whose,
    /// The form they are printed in
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines for a shell, which also unset what would get in the way
    #[default]
    Sh,
    /// One JSON object
    Json,
    /// NAME="value" lines, as Docker and others read them
    Dotenv,
}

/// Prints them.
pub(crate) async fn run(asked: &Env, invocation: &Invocation) -> Result<Exit> {
    let opened = open(&asked.whose, invocation).await?;
    let variables = granted(&opened.grant, variable);
    let format =
        if invocation.printer.output() == Output::Json { Format::Json } else { asked.format };
    invocation.printer.raw(&written(&variables, format))?;
    Ok(Exit::Done)
}

fn written(variables: &[(&str, String)], format: Format) -> String {
    match format {
        Format::Sh => {
            let unset = format!("unset {}\n", CONFLICTING_NAMES.join(" "));
            let lines = variables.iter().map(|(name, value)| {
                format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
            });
            std::iter::once(unset).chain(lines).collect()
        }
        Format::Json => {
            let object: serde_json::Map<_, _> = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
                .collect();
            serde_json::Value::Object(object).to_string()
        }
        Format::Dotenv => {
            let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"");
            let lines =
                variables.iter().map(|(name, value)| format!("{name}=\"{}\"\n", quoted(value)));
            lines.collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, written};

    #[test]
    fn values_cannot_break_out_of_their_quotes() {
        let variables = [("NO_PROXY", r#"it's "a\b""#.to_owned())];
        for (format, want) in [
            (Format::Sh, "export NO_PROXY='it'\\''s \"a\\b\"'\n"),
            (Format::Json, r#"{"NO_PROXY":"it's \"a\\b\""}"#),
            (Format::Dotenv, "NO_PROXY=\"it's \\\"a\\\\b\\\"\"\n"),
        ] {
            let text = written(&variables, format);
            let text =
                text.strip_prefix("unset ANTHROPIC_API_KEY").map_or(text.as_str(), |rest| {
                    rest.split_once('\n').map_or("", |(_, rest)| rest)
                });
            assert_eq!(text, want);
        }
    }
}
