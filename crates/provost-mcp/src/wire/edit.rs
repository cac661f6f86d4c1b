//! JSON with some values replaced; every other byte stays as it came.

use std::ops::Range;

use serde_json::value::RawValue;

use super::json;

/// Replacements in one text.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    text: &'a str,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Edits<'a> {
    /// None yet.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, changes: Vec::new() }
    }

    /// Puts the string `with` in the place of `value`, which is a part of the text.
    pub(crate) fn put(&mut self, value: &RawValue, with: &str) {
        self.put_raw(value, serde_json::Value::from(with).to_string());
    }

    /// Puts the JSON `with` in the place of `value`, which is a part of the text.
    pub(crate) fn put_raw(&mut self, value: &RawValue, with: String) {
        self.changes.push((place(self.text, value.get()), with));
    }

    /// The text with all replacements. Those that overlap one before them are left out.
    pub(crate) fn done(mut self) -> String {
        self.changes.sort_by_key(|(range, _)| range.start);
        let (mut edited, mut from) = (String::with_capacity(self.text.len()), 0);
        for (Range { start, end }, with) in self.changes {
            if let Some(kept) = self.text.get(from..start) {
                edited.push_str(kept);
                edited.push_str(&with);
                from = end;
            }
        }
        edited.push_str(self.text.get(from..).unwrap_or_default());
        edited
    }
}

/// The value at the end of a path of members.
pub(crate) fn at<'a>(text: &'a str, path: &[&str]) -> Option<&'a RawValue> {
    let (first, rest) = path.split_first()?;
    let value = json::member(&json::members(text).ok()?, first)?;
    if rest.is_empty() { Some(value) } else { at(value.get(), rest) }
}

/// Where `part`, which is a part of `text`, is in it.
pub(crate) fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(part.len())
}

#[cfg(test)]
mod tests {
    use super::{Edits, at};

    #[test]
    fn only_what_is_named_changes() {
        let text = r#"{ "a" : {"b":"x" , "c":[1]}, "d":"x" }"#;
        let mut edits = Edits::of(text);
        edits.put(at(text, &["d"]).unwrap(), "q\"");
        edits.put_raw(at(text, &["a", "b"]).unwrap(), "7".to_owned());
        assert_eq!(edits.done(), r#"{ "a" : {"b":7 , "c":[1]}, "d":"q\"" }"#);
        assert_eq!(Edits::of(text).done(), text);
        assert!(at(text, &["a", "z"]).is_none());
        assert!(at(text, &["d", "b"]).is_none());
    }
}
