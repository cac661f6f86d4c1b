//! A change of a file as lines that say what goes and what comes. Pure but for its time limit.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Longest search for the shortest difference; after that any difference will do. Ours: an
/// agent could make it take hours.
const SEARCH_MAX: Duration = Duration::from_millis(500);

/// Lines shown around a change that stay as they are. Ours: as `diff -u` does.
const AROUND: usize = 3;

/// Lines that begin with `-`, `+` or a space, with `@@` between places that are apart.
pub(crate) fn changed(old: &str, new: &str) -> Vec<String> {
    // A line ends at a line feed and nowhere else: other ends are visible characters here.
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.split('\n').collect(), new.split('\n').collect());
    let difference = TextDiff::configure().timeout(SEARCH_MAX).diff_slices(&old, &new);
    let mut lines = Vec::new();
    for group in difference.grouped_ops(AROUND) {
        if !lines.is_empty() {
            lines.push("@@".to_owned());
        }
        for change in group.iter().flat_map(|one| difference.iter_changes(one)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("{sign}{}", change.value()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::changed;

    #[test]
    fn a_change_is_told_line_by_line() {
        for (old, new, want) in [
            ("a\nb\nc", "a\nB\nc", vec![" a", "-b", "+B", " c"]),
            ("a", "a\n", vec![" a", "+"]),
            ("a", "a", vec![]),
            ("a\rb", "a\rc", vec!["-a\rb", "+a\rc"]), // a carriage return ends no line
        ] {
            assert_eq!(changed(old, new), want, "{old:?} {new:?}");
        }
        let long: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let (mut first, last) = (long.clone(), long.join("\n"));
        first[0] = "x".to_owned();
        first[19] = "y".to_owned();
        let told = changed(&last, &first.join("\n"));
        assert_eq!(
            told,
            ["-0", "+x", " 1", " 2", " 3", "@@", " 16", " 17", " 18", "-19", "+y"]
        );
    }
}
