//! Which arguments a standing approval covers: globs for some, every other as it was. Pure.

use std::collections::BTreeMap;

use provost_tools::{canonical_json, json_value_once};
use serde_json::Value;

/// Most globs of one pattern. Ours.
const GLOBS_MAX: usize = 16;

/// Longest glob. Unit: bytes. Ours.
const GLOB_BYTES_MAX: usize = 1_024;

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is none, or too many, or one is too long.
    #[error("give 1 to 16 patterns of at most 1024 bytes, as NAME=GLOB")]
    Size,
    /// The held action's own arguments do not fit it.
    #[error("the held action's own argument `{name}` does not fit its pattern")]
    Misfit {
        /// The argument.
        name: String,
    },
    /// The arguments are no JSON object.
    #[error("these arguments have no names to put patterns on: approve them once")]
    Nameless,
}

/// JSON with sorted keys and no white space; the bytes, if they are no JSON or have a second
/// reading.
pub(super) fn canonical(arguments: &[u8]) -> Vec<u8> {
    match json_value_once(arguments) {
        Ok(value) => canonical_json(value),
        Err(_no_json) => arguments.to_vec(),
    }
}

/// Checks a pattern against the arguments it begins with; gives the canonical rest.
///
/// # Errors
///
/// [`PatternError`]
pub(super) fn check(
    arguments: &[u8],
    globs: &BTreeMap<String, String>,
) -> Result<Vec<u8>, PatternError> {
    let is_long = |glob: &String| glob.len() > GLOB_BYTES_MAX;
    if globs.is_empty() || globs.len() > GLOBS_MAX || globs.values().any(is_long) {
        return Err(PatternError::Size);
    }
    let Ok(Value::Object(mut rest)) = json_value_once(arguments) else {
        return Err(PatternError::Nameless);
    };
    for (name, glob) in globs {
        match rest.remove(name) {
            Some(Value::String(text)) if matches(glob, &text) => {}
            Some(_) | None => return Err(PatternError::Misfit { name: name.clone() }),
        }
    }
    Ok(canonical_json(Value::Object(rest)))
}

/// Whether `text` fits `glob`, in which `*` is a piece of one word: letters of any script,
/// digits and `._/@:+-=,`. So no `*` covers a space, a quote, or anything a shell reads.
fn matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    // The ends, counted in bytes of `rest`, that the pieces so far can have.
    let mut ends = vec![0];
    for piece in pieces {
        ends = after(rest, &ends, piece);
        if ends.is_empty() {
            return false;
        }
    }
    ends.contains(&rest.len())
}

/// Where `piece` can end if a run of one word's letters comes between it and one of `ends`.
fn after(text: &str, ends: &[usize], piece: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for end in ends {
        let tail = text.get(*end..).unwrap_or_default();
        let run = tail.find(|letter| !is_wordy(letter)).unwrap_or(tail.len());
        for (skipped, _) in tail.char_indices().chain([(tail.len(), ' ')]) {
            if skipped > run {
                break;
            }
            if tail.get(skipped..).is_some_and(|rest| rest.starts_with(piece)) {
                found.push(end.saturating_add(skipped).saturating_add(piece.len()));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn is_wordy(letter: char) -> bool {
    letter.is_alphanumeric() || "._/@:+-=,".contains(letter)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{PatternError, canonical, check, matches};

    #[test]
    fn what_can_be_read_in_two_ways_is_bound_as_it_is_written() {
        let (once, twice) = (r#"{"a": 2}"#, r#"{"a": 1, "a": 2}"#);
        assert_eq!(canonical(once.as_bytes()), br#"{"a":2}"#);
        assert_eq!(canonical(twice.as_bytes()), twice.as_bytes());
    }

    #[test]
    fn a_star_is_a_piece_of_one_word() {
        for (glob, text, want) in [
            ("git push origin *", "git push origin main", true),
            ("git push origin *", "git push origin ", true),
            ("git push origin *", "git push origin main; rm -rf /", false),
            ("git push origin *", "git push origin $(id)", false),
            ("git push origin *", "git push origin a b", false),
            ("git push * *", "git push origin feature/x", true),
            ("git push * *", "git push origin --force x", false),
            ("*", "a\nb", false),
            ("*.rs", "src/lib.rs", true),
            ("*.rs", "src/lib.rs.sh", false),
            ("a*b*c", "abbc", true),
            ("a*b*c", "abb", false),
            ("", "", true),
            ("", "x", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("ö*", "ö日本", true),
        ] {
            assert_eq!(matches(glob, text), want, "{glob:?} {text:?}");
        }
    }

    #[test]
    fn what_has_no_glob_has_to_stay_as_it_was() {
        let globs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, glob)| ((*name).into(), (*glob).into())).collect()
        };
        let (a, b) = (globs(&[("command", "git push *")]), globs(&[("n", "*")]));
        for (arguments, globs, want) in [
            (r#"{"command":"git push x","t":1}"#, &a, Ok(br#"{"t":1}"#.to_vec())),
            (r#"{"t":1}"#, &a, Err(PatternError::Misfit { name: "command".into() })),
            (r#"{"n":7}"#, &b, Err(PatternError::Misfit { name: "n".into() })),
            ("[1]", &a, Err(PatternError::Nameless)),
            (r#"{"command":"id","command":"git push x"}"#, &a, Err(PatternError::Nameless)),
            ("no JSON", &a, Err(PatternError::Nameless)),
            ("{}", &BTreeMap::new(), Err(PatternError::Size)),
        ] {
            assert_eq!(check(arguments.as_bytes(), globs), want, "{arguments}");
        }
    }
}
