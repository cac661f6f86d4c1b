//! `cargo xtask tidy`: rules about the code that the compiler cannot check.
//!
//! Which crate may depend on which, and what every source file has to look like. The rules are
//! functions from values to faults, so that tests show each of them refusing something.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::step;

/// Outside crates that only some of ours may name, and whose they are.
const OWNERS: &[(&str, &[&str])] = &[
    ("age", &["provost-secrets", "provost-store"]),
    ("axum", &["provost-admin"]),
    ("cedar-policy", &["provost-decide"]),
    ("tree-sitter", &["provost-tools"]),
    ("clap", &["provost"]),
    ("ed25519-dalek", &["provost-ledger"]),
    ("hyper", &["provost", "provost-gateway", "provost-scripted"]),
    ("hyper-rustls", &["provost", "provost-gateway"]),
    ("nix", &["provost"]),
    ("rmcp", &["provost-mcp-fixture"]),
    ("rustls", &["provost", "provost-gateway"]),
    ("sqlx", &["provost-store"]),
    ("tokio-rustls", &["provost-gateway"]),
    ("tracing-subscriber", &["provost"]),
];

/// Longest source file, its tests not counted. Unit: lines.
const FILE_LINES_MAX: usize = 600;
/// Longest line of a comment. Unit: characters. Source: `max_width` in rustfmt.toml, which
/// settles code and leaves comments as they are.
const COMMENT_CHARS_MAX: usize = 96;
/// Files that may be longer than [`FILE_LINES_MAX`], each with its reason. Only ever shrinks.
const LONG_FILES: &[(&str, &str)] = &[];
/// Module names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["common", "data", "helper", "helpers", "manager", "misc", "util", "utils"];

/// Prints every fault, and fails if there is one.
pub(crate) fn run() -> Result<ExitCode> {
    Ok(if passes()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints every fault; true if there is none.
pub(crate) fn passes() -> Result<bool> {
    step::say("\n==> tidy");
    let metadata = MetadataCommand::new().exec().context("cargo metadata failed")?;
    let packages = metadata.workspace_packages();
    let mut faults = edge_faults(&edges(&packages));
    let mut files = 0_usize;
    for package in &packages {
        faults.extend(manifest_faults(package)?);
        let folder = package.manifest_path.parent().context("a manifest without a folder")?;
        for path in sources(folder.as_std_path())? {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
            let shown = path.strip_prefix(metadata.workspace_root.as_str()).unwrap_or(&path);
            faults.extend(file_faults(shown.trim_start_matches('/'), &text));
            files = files.saturating_add(1);
        }
    }
    for fault in &faults {
        step::say(fault);
    }
    step::say(&format!(
        "{} crates, {files} files, {} tidy faults",
        packages.len(),
        faults.len()
    ));
    Ok(faults.is_empty())
}

/// One crate of ours with what it depends on.
struct Crate<'a> {
    name: &'a str,
    layer: Option<u64>,
    needs: Vec<&'a str>,
}

fn edges<'a>(packages: &[&'a Package]) -> Vec<Crate<'a>> {
    let normal = |package: &'a Package| {
        let dependencies = package.dependencies.iter();
        dependencies
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.as_str())
            .collect()
    };
    packages
        .iter()
        .map(|package| Crate {
            name: package.name.as_str(),
            layer: layer(package),
            needs: normal(package),
        })
        .collect()
}

fn layer(package: &Package) -> Option<u64> {
    package.metadata.get("provost")?.get("layer")?.as_u64()
}

/// A crate may need only crates of lower layers, and only outside crates it owns.
fn edge_faults(crates: &[Crate<'_>]) -> Vec<String> {
    let layers: BTreeMap<&str, u64> =
        crates.iter().filter_map(|one| Some((one.name, one.layer?))).collect();
    let mut faults = Vec::new();
    for Crate { name, layer, needs } in crates {
        if layer.is_none() && *name != "xtask" {
            faults.push(format!("{name}: no `[package.metadata.provost] layer`"));
        }
        for need in needs {
            if let (Some(own), Some(other)) = (layer, layers.get(need))
                && own <= other
            {
                faults.push(format!("{name} (layer {own}) needs {need} (layer {other})"));
            }
            if let Some((_, owners)) = OWNERS.iter().find(|(outside, _)| outside == need)
                && !owners.contains(name)
            {
                faults.push(format!("{name} needs {need}, which is for {owners:?} only"));
            }
        }
    }
    faults
}

/// Every crate takes the workspace's lints, and its folder bears its name.
fn manifest_faults(package: &Package) -> Result<Vec<String>> {
    let path = &package.manifest_path;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut faults = Vec::new();
    if !text.contains("[lints]\nworkspace = true") {
        faults.push(format!("{}: does not take the workspace's lints", package.name));
    }
    if path.parent().and_then(|folder| folder.file_name()) != Some(package.name.as_str()) {
        faults.push(format!("{}: its folder has another name", package.name));
    }
    Ok(faults)
}

/// Every Rust file below a folder, sorted.
fn sources(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is wrong with one source file, each as `path: fault` or `path:line: fault`.
fn file_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: does not begin with a `//!` charter"));
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        faults.push(format!("{path}: `{stem}` does not say what is inside"));
    }
    let length =
        text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text).lines().count();
    let excused = LONG_FILES.iter().any(|(long, _)| *long == path);
    if length > FILE_LINES_MAX && !excused {
        faults.push(format!("{path}: {length} lines without tests, at most {FILE_LINES_MAX}"));
    }
    for (number, line) in (1_usize..).zip(text.lines()) {
        let chars = line.chars().count();
        let is_comment = line.trim_start().starts_with("//");
        if is_comment && chars > COMMENT_CHARS_MAX && !line.contains("://") {
            faults.push(format!("{path}:{number}: a comment of {chars} characters"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{Crate, FILE_LINES_MAX, edge_faults, file_faults};

    #[test]
    fn edges() {
        for (name, layer, needs, want) in [
            ("provost-pipeline", Some(3), "provost-store", None),
            ("provost-pipeline", Some(3), "provost-llm", Some("(layer 3) needs provost-llm")),
            ("provost-git", Some(6), "provost-llm", Some("(layer 6) needs provost-llm")),
            ("provost-git", Some(6), "sqlx", Some("sqlx, which is for [\"provost-store\"]")),
            ("provost-git", None, "bytes", Some("no `[package.metadata.provost] layer`")),
            ("provost-git", Some(6), "bytes", None),
        ] {
            let crates = [
                Crate { name: "provost-store", layer: Some(2), needs: vec!["sqlx"] },
                Crate { name: "provost-llm", layer: Some(6), needs: vec![] },
                Crate { name, layer, needs: vec![needs] },
            ];
            let faults = edge_faults(&crates);
            match want {
                Some(want) => assert!(faults.concat().contains(want), "{faults:?}"),
                None => assert!(faults.is_empty(), "{faults:?}"),
            }
        }
    }

    #[test]
    fn files() {
        let lines = |count: usize| format!("//! Charter.\n{}", "x\n".repeat(count));
        let tests = format!("{}\n#[cfg(test)]\nmod tests {{\n", lines(9));
        for (path, text, want) in [
            ("src/wire.rs", lines(9), None),
            ("src/wire.rs", "use std::fmt;\n".to_owned(), Some("charter")),
            ("src/utils.rs", lines(9), Some("does not say what is inside")),
            ("src/wire.rs", lines(FILE_LINES_MAX), Some("lines without tests")),
            ("src/wire.rs", tests + &"x\n".repeat(FILE_LINES_MAX), None),
            (
                "src/wire.rs",
                lines(1) + "//" + &"x".repeat(95),
                Some("src/wire.rs:3: a comment of 97"),
            ),
            ("src/wire.rs", lines(1) + "// https://" + &"x".repeat(97), None),
            ("src/wire.rs", lines(1) + &"x".repeat(97), None),
        ] {
            let faults = file_faults(path, &text);
            match want {
                Some(want) => assert!(faults.concat().contains(want), "{path}: {faults:?}"),
                None => assert!(faults.is_empty(), "{path}: {faults:?}"),
            }
        }
    }
}
