//! `provost policy`: the rules, checked before they are in force and explained after.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use provost_api::{ExplainAction, Explanation, PolicySet};
use provost_decide::{Finding, Policies, Severity};
use provost_pipeline::read_policy_files;
use provost_types::ActionId;
use serde::Serialize;

use super::Invocation;
use crate::{exit::Exit, printer::fields};

/// Policies: what agents may do
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    Check(Check),
    Explain(Explain),
    /// Shows the set in force, and the newest one if that was refused
    Show,
}

/// Checks policy files: errors, and what probably does not do what its author meant
///
/// Asks no server and changes nothing. Fails on errors, not on warnings.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The folder with `.cedar` files [default: policies in the data directory]
    folder: Option<PathBuf>,
}

/// Says why an action was decided as it was, and what would change that
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The action, as in `provost audit tail`
    action: ActionId,
}

/// Does one of them.
pub(crate) async fn run(asked: Policy, invocation: &Invocation) -> Result<Exit> {
    match asked {
        Policy::Check(asked) => check(&asked, invocation),
        Policy::Explain(Explain { action }) => {
            let client = invocation.client().await?;
            let explain = ExplainAction { action: action.to_string() };
            let why: Explanation = client.post("/v1/policies/explain", &explain).await?;
            invocation.printer.answer(&why, explained)?;
            Ok(Exit::Done)
        }
        Policy::Show => show(invocation).await,
    }
}

/// What was found in a set of policy files.
#[derive(Serialize)]
struct Checked {
    /// The set's digest, if it can be loaded.
    version: Option<String>,
    policies: usize,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    file: String,
    line: u32,
    column: u32,
    severity: &'static str,
    code: &'static str,
    message: String,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        let Finding { file, line, column, severity, code, message } = finding;
        Self { file, line, column, severity: severity.as_str(), code, message }
    }
}

fn check(asked: &Check, invocation: &Invocation) -> Result<Exit> {
    let folder = asked.folder.clone().unwrap_or_else(|| invocation.data.policies());
    let files = read_policy_files(&folder).context("the policies cannot be read")?;
    let (version, policies, findings) = match Policies::compile(&files) {
        Ok(set) => (Some(set.version().to_string()), set.len(), set.lint()),
        Err(findings) => (None, 0, findings),
    };
    let loads =
        version.is_some() && !findings.iter().any(|one| one.severity == Severity::Error);
    let mut told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let checked = Checked {
        version,
        policies,
        findings: findings.into_iter().map(Found::from).collect(),
    };
    invocation.printer.answer(&checked, |checked| {
        told.push_str(&match &checked.version {
            Some(version) => {
                format!("{} policies in {} files: {version}\n", checked.policies, files.len())
            }
            None => "this set would be refused\n".to_owned(),
        });
        told
    })?;
    Ok(if loads { Exit::Done } else { Exit::Failed })
}

async fn show(invocation: &Invocation) -> Result<Exit> {
    let client = invocation.client().await?;
    let set: PolicySet = client.get("/v1/policies").await?;
    invocation.printer.answer(&set, |set| {
        let count = set.count.to_string();
        let files: Vec<&str> = set.files.iter().map(|file| file.name.as_str()).collect();
        let mut text = fields([
            ("version", Some(set.version.as_str())),
            ("policies", Some(&count)),
            ("files", Some(&files.join(", "))),
            ("in force since", Some(&set.loaded_at)),
        ]);
        if let Some(refused) = &set.refused {
            text.push_str(&format!("\na newer set was refused at {}:\n", refused.at));
            text.extend(refused.findings.iter().map(|finding| format!("  {finding}\n")));
        }
        text
    })?;
    Ok(Exit::Done)
}

/// What was decided then, and how the policies in force now take it.
fn explained(why: &Explanation) -> String {
    let (then, now) = (&why.recorded, &why.now);
    let by = match then.policies.is_empty() {
        true => "no policy permitted it".to_owned(),
        false => then.policies.join(", "),
    };
    let since = if then.version == now.version { "the same" } else { "other" };
    format!(
        "recorded: {} ({by}), under policies {}\nnow, under {since} policies:\n\n{}",
        then.verdict, then.version, why.text
    )
}
