//! The policies a new installation and a new project begin with: least privilege, commented.

use provost_types::ProjectName;

use crate::{SourceFile, approvers};

/// What stands for the project's name in the template. No name looks like it.
const PLACEHOLDER: &str = "PROJECT";

/// What `init` writes: guard rails for every agent, and a commented file of those who may lift
/// them. It permits nothing; see [`project_policy`].
pub fn starter_policies() -> Vec<SourceFile> {
    let files = [
        (approvers::FILE_NAME, include_str!("../starter/approvers.toml")),
        ("base.cedar", include_str!("../starter/base.cedar")),
    ];
    files.map(|(name, text)| SourceFile { name: name.into(), text: text.into() }).into()
}

/// What creating a project writes: its agents may use the current Claude model families, which
/// is what a stock Claude Code needs.
///
/// The file is `project-NAME.cedar`, so that no project's name makes it the guard rails'.
pub fn project_policy(project: &ProjectName) -> SourceFile {
    // A project's name is lower-case letters, digits and hyphens: it needs no escaping.
    let text = include_str!("../starter/project.cedar").replace(PLACEHOLDER, project.as_str());
    SourceFile { name: format!("project-{project}.cedar"), text }
}
