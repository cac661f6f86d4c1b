//! Which processes descend from this one, as `/proc` tells.

use std::{collections::HashMap, fs};

use nix::unistd::Pid;

/// Every living process below this one: children, their children, and so on.
///
/// Because this process adopts orphans below it, none escapes by leaving its group, its session
/// or its parent. Processes that ended and wait to be collected are left out.
pub(crate) fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in living() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut parents = vec![Pid::this().as_raw()];
    while let Some(parent) = parents.pop() {
        // Removed, so that each is visited once even if ids were used again meanwhile.
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push(Pid::from_raw(pid));
            parents.push(pid);
        }
    }
    found
}

/// Id and parent of every living process.
fn living() -> impl Iterator<Item = (i32, i32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (state, parent) = state_and_parent(&stat)?;
        (!matches!(state, "Z" | "X")).then_some((pid, parent))
    })
}

/// The third and fourth field of `/proc/PID/stat`.
///
/// The second field is the program's name in parentheses and may itself hold parentheses, so
/// what counts begins behind the last one. Source: proc(5).
fn state_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, parent))
}

#[cfg(test)]
mod tests {
    use super::state_and_parent;

    #[test]
    fn a_program_cannot_hide_behind_its_name() {
        for (stat, want) in [
            ("7 (sh) S 1 7 7 0", Some(("S", 1))),
            ("7 (a b) R 3 7", Some(("R", 3))),
            ("7 (x) S 1 (y) Z 9 7", Some(("Z", 9))), // named `x) S 1 (y`
            ("7 (sh) S", None),
            ("", None),
        ] {
            assert_eq!(state_and_parent(stat), want, "stat = {stat:?}");
        }
    }
}
