//! Foreign text in our sentences: bounded, on one line, unable to look like something else.

use std::fmt::Display;

/// Most of a name that a sentence quotes. Unit: characters.
const QUOTED_CHARS_MAX: usize = 100;

/// Most of an explanation (an `@reason`, Cedar's message) in a sentence. Unit: characters.
const CLAUSE_CHARS_MAX: usize = 400;

/// Most things that a sentence lists by name.
const LISTED_MAX: usize = 3;

/// `text` in double quotes, escaped, cut if long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

/// `text` with each run of white space made one space, control characters dropped, cut if long.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut line: String =
        words.join(" ").chars().filter(|c| !c.is_control()).take(CLAUSE_CHARS_MAX).collect();
    if line.chars().count() == CLAUSE_CHARS_MAX {
        line.push('…');
    }
    line
}

/// "a", "a and b", "a, b and c", "a, b, c and 4 more".
pub(crate) fn listed<T: Display>(items: &[T]) -> String {
    let (named, more) = items.split_at(items.len().min(LISTED_MAX));
    let mut named: Vec<_> = named.iter().map(T::to_string).collect();
    let last = match more.len() {
        0 => named.pop().unwrap_or_default(),
        more => format!("{more} more"),
    };
    if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::{CLAUSE_CHARS_MAX, QUOTED_CHARS_MAX, listed, one_line, quoted};

    #[test]
    fn foreign_text_is_bounded_and_cannot_break_out() {
        assert_eq!(quoted("a\"b\n\u{202e}"), r#""a\"b\n\u{202e}""#);
        let long = "ö".repeat(10_000);
        assert_eq!(quoted(&long).chars().count(), QUOTED_CHARS_MAX + 3);
        assert_eq!(one_line(" a\n\tb\u{1b}[0m "), "a b[0m");
        assert_eq!(one_line(&long).chars().count(), CLAUSE_CHARS_MAX + 1);
    }

    #[test]
    fn lists_name_a_few() {
        let names: Vec<_> = ["a", "b", "c", "d", "e"].map(String::from).to_vec();
        for (count, want) in
            [(0, ""), (1, "a"), (2, "a and b"), (3, "a, b and c"), (5, "a, b, c and 2 more")]
        {
            assert_eq!(listed(&names[..count]), want, "count = {count}");
        }
    }
}
