//! Tools the gates need: found where they are, installed where they are missing.
//!
//! Nothing is installed that is there already. Cargo's tools go to `target/tools`; only
//! PostgreSQL goes to the system, through its package manager and only as root.

use std::{env, fs, path::PathBuf};

use anyhow::Result;

use crate::step;

/// How `cargo-deny` is started.
pub(crate) struct Deny(PathBuf);

impl Deny {
    /// Finds `cargo-deny`, or builds it into `target/tools`; nothing when that fails.
    ///
    /// Built without optimisation: its release profile takes longer to build than all its
    /// runs here together.
    pub(crate) fn find_or_install() -> Result<Option<Self>> {
        let own = env::current_dir()?.join("target/tools/bin/cargo-deny");
        for place in [PathBuf::from("cargo-deny"), own.clone()] {
            if step::works(&mut step::program(&place, &["--version"])) {
                return Ok(Some(Self(place)));
            }
        }
        let install =
            ["install", "cargo-deny", "--locked", "--profile", "dev", "--root", "target/tools"];
        let installed = step::passes(&mut step::cargo(&install))?;
        Ok(installed.then_some(Self(own)))
    }

    /// Licences, bans and sources always; known vulnerabilities when their list is reachable.
    pub(crate) fn passes(&self) -> Result<bool> {
        let fetched = step::works(&mut step::program(&self.0, &["fetch", "db"]));
        if !fetched {
            step::shout("known vulnerabilities NOT checked: the advisory list is out of reach");
        }
        let mut checks = vec!["check", "bans", "licenses", "sources"];
        if fetched {
            checks.push("advisories");
        }
        step::passes(&mut step::program(&self.0, &checks))
    }
}

/// True when tests can start a PostgreSQL server of their own; installs it when they cannot.
pub(crate) fn postgres() -> Result<bool> {
    if has_postgres() {
        return Ok(true);
    }
    let update = step::passes(&mut step::program("apt-get", &["update", "--quiet=2"]));
    if update.is_ok_and(|updated| updated) {
        let install =
            ["install", "--yes", "--quiet=2", "--no-install-recommends", "postgresql"];
        let mut command = step::program("apt-get", &install);
        step::passes(command.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(has_postgres())
}

/// Looks for `initdb` on the path and where Debian keeps it, which is not on the path.
fn has_postgres() -> bool {
    let on_path = step::works(&mut step::program("initdb", &["--version"]));
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .any(|version| version.path().join("bin/initdb").exists());
    on_path || debian
}
