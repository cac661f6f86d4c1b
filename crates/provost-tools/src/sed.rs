//! Scripts of `sed`: whether one only prints and edits what it reads.
//!
//! `e` runs commands, `w` writes files and `r` reads them. What is not surely without these
//! is not harmless; labels, blocks and inserted text are not taken apart.

/// Commands of one letter that stay within the text.
const PLAIN: &str = "pdqQnNDPGgHhx=lzF";
/// Flags of `s` that do, too.
const FLAGS: &str = "gpiIM0123456789";

/// Whether a script runs nothing and touches no other file.
pub(crate) fn is_harmless(script: &str) -> bool {
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', ';']);
        if rest.is_empty() {
            return true;
        }
        match command(rest) {
            Some(after) => rest = after,
            None => return false,
        }
    }
}

/// What follows the first command, if that is harmless.
fn command(text: &str) -> Option<&str> {
    let text = address(text)?;
    let text = match text.strip_prefix(',') {
        Some(second) => address(second.trim_start_matches(['+', '~']))?,
        None => text,
    };
    let text = text.trim_start_matches([' ', '\t', '!']);
    let mut chars = text.chars();
    let after = match chars.next()? {
        's' => {
            let mark = chars.next().filter(|mark| !mark.is_alphanumeric() && *mark != '\\')?;
            let pattern = until(chars.as_str(), mark)?;
            until(pattern, mark)?.trim_start_matches(|char| FLAGS.contains(char))
        }
        'y' => {
            let mark = chars.next().filter(|mark| !mark.is_alphanumeric() && *mark != '\\')?;
            until(until(chars.as_str(), mark)?, mark)?
        }
        letter if PLAIN.contains(letter) => {
            chars.as_str().trim_start_matches(|char: char| char.is_ascii_digit())
        }
        _ => return None,
    };
    let after = after.trim_start_matches([' ', '\t']);
    (after.is_empty() || after.starts_with([';', '\n'])).then_some(after)
}

/// What follows an address: a line number, `$`, or `/pattern/`; there may be none.
fn address(text: &str) -> Option<&str> {
    match text.chars().next()? {
        '$' => text.strip_prefix('$'),
        '/' => Some(until(text.strip_prefix('/')?, '/')?.trim_start_matches(['I', 'M'])),
        _ => Some(text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '~')),
    }
}

/// What follows the next `mark`. One in brackets would not count for `sed`, so none may be.
fn until(text: &str, mark: char) -> Option<&str> {
    let mut chars = text.chars();
    let mut bracket = false;
    loop {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            char if char == mark && bracket => return None,
            char if char == mark => return Some(chars.as_str()),
            '[' => bracket = true,
            ']' => bracket = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_harmless;

    #[test]
    fn only_what_prints_and_edits_is_harmless() {
        for (script, want) in [
            ("s/a/b/e", false),
            ("s/a/b/w f", false),
            ("s/a/b/;e", false),
            ("1e rm x", false),
            ("w f", false),
            ("r f", false),
            ("/x/{e}", false),
            ("s/[/]/b/e/", false),
            ("1!G;h;$!d", true),
            ("s/a/b/", true),
            ("s|a/b|c\\|d|gI; 5q", true),
            ("1,20p", true),
            ("$d", true),
            ("/a/,/b/d", true),
            ("y/abc/xyz/", true),
            ("", true),
        ] {
            assert_eq!(is_harmless(script), want, "script = {script}");
        }
    }
}
