//! Policy files as text: where each statement begins, and which line an offset is on.

use std::{iter::Peekable, ops::Range, str::CharIndices};

/// One policy file, read by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name in the policy directory, such as `base.cedar`.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// Finds lines and columns in one text, without reading it again for each.
pub(crate) struct Places<'a> {
    text: &'a str,
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
}

impl<'a> Places<'a> {
    /// Reads `text` once.
    pub(crate) fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The line and column (in characters) of a byte offset, both from 1.
    pub(crate) fn at(&self, offset: usize) -> (u32, u32) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied();
        let before = self.text.get(start.unwrap_or(0)..offset).unwrap_or("");
        let column = before.chars().count().saturating_add(1);
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// Splits a policy file into its statements: from the first character that is neither space
/// nor comment to the `;` that ends it.
///
/// Each statement is then parsed by Cedar alone, so one bad policy hides no other's errors. A
/// tail without `;` is a statement too: Cedar says what it lacks.
pub(crate) fn statements(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '/' if matches!(characters.peek(), Some((_, '/'))) => skip_comment(&mut characters),
            ';' => found.push(start.take().unwrap_or(at)..at.saturating_add(1)),
            character if character.is_whitespace() => {}
            '"' => {
                start.get_or_insert(at);
                skip_string(&mut characters);
            }
            _ => {
                start.get_or_insert(at);
            }
        }
    }
    found.extend(start.map(|start| start..text.len()));
    found
}

fn skip_comment(characters: &mut Peekable<CharIndices<'_>>) {
    while characters.next_if(|(_, character)| !matches!(character, '\n' | '\r')).is_some() {}
}

fn skip_string(characters: &mut Peekable<CharIndices<'_>>) {
    while let Some((_, character)) = characters.next() {
        match character {
            '"' => return,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, statements};

    #[test]
    fn statements_end_at_semicolons_outside_strings_and_comments() {
        for (text, want) in [
            ("", vec![]),
            (" // permit();\n", vec![]),
            ("a;b;", vec!["a;", "b;"]),
            ("// one\n a ;\r// two\rb;", vec!["a ;", "b;"]),
            (r#"a";"b;c;"#, vec![r#"a";"b;"#, "c;"]), // a semicolon in a string
            (r#"a"\";"b;c;"#, vec![r#"a"\";"b;"#, "c;"]), // an escaped quote before it
            (r#"a"//"b;c;"#, vec![r#"a"//"b;"#, "c;"]), // no comment in a string
            ("a // ;\n b;", vec!["a // ;\n b;"]),
            ("a; b", vec!["a;", "b"]), // an unfinished tail is kept
            (r#"a"b;c"#, vec![r#"a"b;c"#]), // an unfinished string takes the rest
            (";", vec![";"]),
        ] {
            let got = statements(text).into_iter().map(|range| text.get(range).unwrap());
            let got: Vec<_> = got.collect();
            assert_eq!(got, want, "text = {text:?}");
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        let text = "ab\nö-x\n";
        let places = Places::new(text);
        for (offset, want) in [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (5, (2, 2)), (8, (3, 1))]
        {
            assert_eq!(places.at(offset), want, "offset = {offset}");
        }
    }
}
