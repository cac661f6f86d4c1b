//! Paths by their letters alone: where a word points, and which patterns it could match.
//!
//! Nothing here looks at a file system, so a symbolic link goes unnoticed.

use crate::word::{Piece, Word};

/// Where a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// This folder; empty if the caller did not say.
    Known(Word),
    /// The script went to a folder that cannot be told.
    Lost,
}

/// The path that `word` names in `folder`: dots resolved, anything if that cannot be told.
pub(crate) fn resolve(word: &Word, folder: &Folder) -> Word {
    if word.is_open() {
        // It can begin with a slash, and can hold `..` anywhere.
        return Word::any();
    }
    let rooted = matches!(word.0.first(), Some(Piece::Char('/') | Piece::Home));
    let mut whole = match folder {
        Folder::Known(base) if !rooted && !base.0.is_empty() => {
            let mut joined = base.clone();
            joined.0.push(Piece::Char('/'));
            joined
        }
        Folder::Known(_) | Folder::Lost => Word::default(),
    };
    whole.0.extend_from_slice(&word.0);
    tidy(&whole)
}

fn tidy(word: &Word) -> Word {
    let absolute = word.0.first() == Some(&Piece::Char('/'));
    let mut kept: Vec<&[Piece]> = Vec::new();
    for segment in word.0.split(|piece| *piece == Piece::Char('/')) {
        match segment {
            [] | [Piece::Char('.')] => {}
            [Piece::Char('.'), Piece::Char('.')] => match kept.last() {
                Some([Piece::Char('.'), Piece::Char('.')]) => kept.push(segment),
                // What is above a home folder can be anything.
                Some(last) if last.contains(&Piece::Home) => {
                    return Word::any();
                }
                Some(_) => {
                    kept.pop();
                }
                None if absolute => {}
                None => kept.push(segment),
            },
            _ => kept.push(segment),
        }
    }
    let joined = kept.join(&Piece::Char('/'));
    let mut tidied = Word::default();
    if absolute {
        tidied.0.push(Piece::Char('/'));
    }
    tidied.0.extend(joined);
    if tidied.0.is_empty() {
        tidied.0.push(Piece::Char('.'));
    }
    tidied
}

/// True if some path that `word` can stand for matches the glob `pattern`.
///
/// In a pattern `*` stops at slashes, `**` does not, and a final `/**` takes the folder
/// itself too. Case is ignored, as some file systems ignore it.
pub(crate) fn meets(pattern: &str, word: &Word) -> bool {
    let path = anchored(word);
    if let Some(folder) = pattern.strip_suffix("/**")
        && overlap(&compiled(folder), &path)
    {
        return true;
    }
    overlap(&compiled(pattern), &path)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    Star,
    Deep,
}

fn compiled(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    if pattern.starts_with('~') {
        parts.push(Part::Char('/'));
    }
    for char in pattern.chars() {
        match (char, parts.last()) {
            ('*', Some(Part::Star)) => {
                parts.pop();
                parts.push(Part::Deep);
            }
            ('*', _) => parts.push(Part::Star),
            (char, _) => parts.push(Part::Char(char.to_ascii_lowercase())),
        }
    }
    parts
}

/// A path with a slash before everything, so that `**/x` takes a bare `x`.
fn anchored(word: &Word) -> Vec<Piece> {
    let mut path = Vec::new();
    if word.0.first() != Some(&Piece::Char('/')) {
        path.push(Piece::Char('/'));
    }
    let leading = [Piece::Char('.'), Piece::Char('.')];
    if word.0.starts_with(&leading) {
        path.push(Piece::Any);
    }
    path.extend(word.0.iter().map(|piece| match piece {
        Piece::Char(char) => Piece::Char(char.to_ascii_lowercase()),
        Piece::Home => Piece::Char('~'),
        Piece::One | Piece::Many | Piece::Any => *piece,
    }));
    path
}

/// Whether two sets of texts share a text, by walking both at once.
fn overlap(pattern: &[Part], path: &[Piece]) -> bool {
    let width = path.len().saturating_add(1);
    let mut seen = vec![false; pattern.len().saturating_add(1).saturating_mul(width)];
    let mut open = vec![(0_usize, 0_usize)];
    while let Some((i, j)) = open.pop() {
        match seen.get_mut(i.saturating_mul(width).saturating_add(j)) {
            Some(mark) if !*mark => *mark = true,
            Some(_) | None => continue,
        }
        let (part, piece) = (pattern.get(i), path.get(j));
        if part.is_none() && piece.is_none() {
            return true;
        }
        let (next_i, next_j) = (i.saturating_add(1), j.saturating_add(1));
        if matches!(part, Some(Part::Star | Part::Deep)) {
            open.push((next_i, j));
        }
        if matches!(piece, Some(Piece::Many | Piece::Any)) {
            open.push((i, next_j));
        }
        let (Some(part), Some(piece)) = (part, piece) else { continue };
        if !share(*part, *piece) || hides(pattern, i, path, j) {
            continue;
        }
        match (part, piece) {
            (Part::Char(_), Piece::Many | Piece::Any) => open.push((next_i, j)),
            (Part::Char(_), _) => open.push((next_i, next_j)),
            (Part::Star | Part::Deep, Piece::Many | Piece::Any) => {}
            (Part::Star | Part::Deep, _) => open.push((i, next_j)),
        }
    }
    false
}

/// Whether a part and a piece can both take one same character.
fn share(part: Part, piece: Piece) -> bool {
    match (part, piece) {
        (Part::Char(want), Piece::Char(have)) => want == have,
        (Part::Char(want), Piece::One | Piece::Many) => want != '/',
        (Part::Star, Piece::Char(have)) => have != '/',
        (Part::Char(_) | Part::Star | Part::Deep, _) => true,
    }
}

/// Whether this would let a glob take the leading dot of a name, which shells do not do.
fn hides(pattern: &[Part], i: usize, path: &[Piece], j: usize) -> bool {
    let starts = |before: Option<usize>| before.and_then(|at| pattern.get(at));
    pattern.get(i) == Some(&Part::Char('.'))
        && matches!(path.get(j), Some(Piece::One | Piece::Many))
        && matches!(starts(i.checked_sub(1)), None | Some(Part::Char('/')))
}

#[cfg(test)]
mod tests {
    use super::{Folder, meets, resolve};
    use crate::word::{Piece, Word};

    #[test]
    fn dots_are_resolved_by_their_letters() {
        for (word, folder, want) in [
            ("a/../b/./c", "/w", "/w/b/c"),
            ("../../../x", "/w/a", "/x"),
            ("/a//b/", "/w", "/a/b"),
            (".", "/w", "/w"),
            ("../x", "", "../x"),
            ("a", "", "a"),
        ] {
            let folder = Folder::Known(Word::known(folder));
            assert_eq!(resolve(&Word::known(word), &folder).shown(), want, "word = {word}");
        }
        let above = Word([vec![Piece::Home], Word::known("/../x").0].concat());
        assert_eq!(resolve(&above, &Folder::Lost), Word::any());
    }

    #[test]
    fn a_pattern_meets_what_a_word_could_be() {
        let glob = |text: &str| {
            Word(
                text.chars()
                    .map(|char| match char {
                        '*' => Piece::Many,
                        '?' => Piece::One,
                        '$' => Piece::Any,
                        '~' => Piece::Home,
                        other => Piece::Char(other),
                    })
                    .collect(),
            )
        };
        for (pattern, word, want) in [
            ("/etc/**", "/etc/passwd", true),
            ("/etc/**", "/etc", true),
            ("/etc/**", "/etcetera", false),
            ("/etc/**", "/e*/passwd", true),
            ("/etc/**", "/*", true),
            ("/etc/**", "$", true),
            ("/etc/**", "../etc/x", true),
            ("**/.env*", ".env.local", true),
            ("**/.env*", "/w/.ENV", true),
            ("**/.env*", "/w/src/*", false), // a glob skips hidden files
            ("**/.env*", "/w/src/.*", true),
            ("~/.ssh/**", "~/.ssh/id", true),
            ("~/.ssh/**", "~/.s*/id", true),
            ("~/.ssh/**", "~/src/*.rs", false),
            ("~/.ssh/**", "/w/.ssh/id", false),
        ] {
            assert_eq!(meets(pattern, &glob(word)), want, "{pattern} and {word}");
        }
    }
}
