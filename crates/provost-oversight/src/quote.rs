//! Quoting hostile text: every line marked, everything visible, nothing endless. Pure.

/// Begins a line of quoted text.
pub(crate) const MARK: &str = "│ ";

/// Begins what did not fit onto the quoted line above.
pub(crate) const MARK_GOES_ON: &str = "┊ ";

/// Longest quoted line without its mark. Unit: columns. Ours: with it, 80 hold it, so that no
/// terminal breaks it and shows a part without a mark.
pub(crate) const COLUMNS_MAX: usize = 76;

/// The text with everything written out that could not be seen, or not be told apart from
/// nothing: controls, zero-width and reordering characters, tags, variation selectors.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for one in text.chars() {
        if is_visible(one) {
            seen.push(one);
        } else {
            seen.extend(one.escape_unicode());
        }
    }
    seen
}

/// Whether a character can be seen, and told apart from nothing and from a space.
#[must_use]
pub fn is_visible(one: char) -> bool {
    match one {
        ' '..='~' => true,
        // Letters that are blank: the Hangul fillers and the empty Braille cell.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' => false,
        // The standard library knows what prints; it shows quotes and `\` escaped as well.
        _ => one.escape_debug().len() == 1,
    }
}

/// One line of hostile text as marked lines.
pub(crate) fn quoted(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut current, mut columns) = (MARK.to_owned(), 0_usize);
    for one in visible(line).chars() {
        let width = width(one);
        if columns.saturating_add(width) > COLUMNS_MAX {
            lines.push(std::mem::replace(&mut current, MARK_GOES_ON.to_owned()));
            columns = 0;
        }
        current.push(one);
        columns = columns.saturating_add(width);
    }
    lines.push(current);
    lines
}

/// The columns a visible character may take at most.
pub(crate) const fn width(one: char) -> usize {
    if one.is_ascii() { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::{quoted, visible};

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        for (text, want) in [
            (r#"plain "quoted" \ text"#, r#"plain "quoted" \ text"#),
            ("naïve € 日本語 🦀", "naïve € 日本語 🦀"),
            ("\u{1b}[2J\r\n\t", r"\u{1b}[2J\u{d}\u{a}\u{9}"),
            ("a\u{202e}b\u{2028}", r"a\u{202e}b\u{2028}"), // reverses, breaks the line
            ("a\u{200b}b\u{2060}", r"a\u{200b}b\u{2060}"), // zero width
            ("a\u{a0}b\u{3000}", r"a\u{a0}b\u{3000}"),     // not the space it looks like
            ("\u{e0068}\u{e0069}", r"\u{e0068}\u{e0069}"), // tags: "hi" that models can read
            ("x\u{fe0f}\u{e0100}", r"x\u{fe0f}\u{e0100}"), // variation selectors
            ("e\u{301}", r"e\u{301}"),
            ("\u{ad}\u{feff}\u{115f}\u{3164}", r"\u{ad}\u{feff}\u{115f}\u{3164}"),
        ] {
            assert_eq!(visible(text), want, "text = {text:?}");
        }
    }

    #[test]
    fn a_long_line_is_broken_here_and_marked_again() {
        let ascii = quoted(&"a".repeat(77));
        assert_eq!(ascii, [format!("│ {}", "a".repeat(76)), "┊ a".to_owned()]);
        let wide = quoted(&"日".repeat(39));
        assert_eq!(wide, [format!("│ {}", "日".repeat(38)), "┊ 日".to_owned()]);
        assert_eq!(quoted(""), ["│ "]);
    }
}
