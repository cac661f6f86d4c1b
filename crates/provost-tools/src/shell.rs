//! Shell scripts: parses them, and walks statements in the order they would run.
//!
//! Built on the tree-sitter grammar of bash. That parser guesses where it does not
//! understand, so only node kinds named here are accepted, gaps between words are checked,
//! and anything else makes the script not understood.

mod redirect;
mod statement;
mod wording;

use std::{cell::Cell, ops::ControlFlow};

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use crate::{gather::Gather, path::Folder, rules::Rules};

/// Longest script. Unit: bytes.
const SCRIPT_BYTES_MAX: usize = 64 << 10;
/// Most `|` in a script, wherever they stand. Measured with tree-sitter 0.27.1 in 11/2026:
/// if a script is broken at its end, memory grows with their square, 600 MB at 8,000.
const PIPES_MAX: usize = 2_048;
/// How much of a script the parser is handed at a time. Unit: bytes.
const PIECE_BYTES: usize = 256;
/// Most pieces that the parser may take, and most of its hundreds of steps. It takes a piece
/// again for each look ahead from before it, and at times looks from each word to the end.
/// Measured in November 2026: a plain script of 64 KiB takes 3,000 steps.
const EFFORT_MAX: usize = 8_192;
/// Deepest nesting of a script's tree.
const TREE_DEPTH_MAX: usize = 64;
/// Deepest nesting of scripts and wrapped commands in each other.
const CALL_DEPTH_MAX: usize = 12;
/// Most commands in a script, those of inner scripts included.
const CALLS_MAX: usize = 4_096;
/// Most folders that a script may be in at one time, by what is known.
const FOLDERS_MAX: usize = 4;

/// The reader of one script and of those within it.
#[derive(Debug)]
pub(crate) struct Shell<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) out: Gather,
    /// Where the script may be by now: more than one after a `cd` that may have failed.
    pub(crate) folders: Vec<Folder>,
    depth: usize,
    calls: usize,
    /// True once the script has changed its folder.
    pub(crate) moves: bool,
    /// Where functions are called from, as far as the first walk found.
    functions: Functions,
}

/// What is known of the functions of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Functions {
    /// None yet.
    None,
    /// There are some; they run where they stand unless the script changes its folder.
    Here,
    /// They can run anywhere.
    Anywhere,
}

impl<'r> Shell<'r> {
    /// A reader that starts in `folder`.
    pub(crate) fn new(rules: &'r Rules, folder: Folder) -> Self {
        let (out, folders) = (Gather::default(), vec![folder]);
        let functions = Functions::None;
        Self { rules, out, folders, depth: 0, calls: 0, moves: false, functions }
    }

    /// Reads a whole script.
    pub(crate) fn run(mut self, script: &str) -> Gather {
        let start = self.folders.clone();
        self.script(script);
        if self.moves && self.functions == Functions::Here {
            // What the first walk found stays: the second one only adds to it.
            self.folders = start;
            self.functions = Functions::Anywhere;
            self.script(script);
        }
        self.out
    }

    /// Reads a script in the place it stands, which may be within another.
    pub(crate) fn script(&mut self, script: &str) {
        let Some(tree) = parsed(script) else { return self.out.fail() };
        self.nested(|shell| shell.sequence(Source { script }, tree.root_node()));
    }

    /// Does something one level deeper, or fails if that is too deep or too much.
    pub(crate) fn nested(&mut self, inner: impl FnOnce(&mut Self)) {
        self.calls = self.calls.saturating_add(1);
        if self.depth >= CALL_DEPTH_MAX || self.calls > CALLS_MAX {
            return self.out.fail();
        }
        self.depth = self.depth.saturating_add(1);
        inner(self);
        self.depth = self.depth.saturating_sub(1);
    }

    /// Does something whose change of folder nobody else sees.
    fn apart(&mut self, inner: impl FnOnce(&mut Self)) {
        let before = self.folders.clone();
        inner(self);
        self.folders = before;
    }

    /// Adds folders that the script may be in as well.
    fn also_in(&mut self, folders: &[Folder]) {
        for folder in folders {
            if !self.folders.contains(folder) {
                self.folders.push(folder.clone());
            }
        }
        if self.folders.len() > FOLDERS_MAX {
            self.folders.truncate(FOLDERS_MAX);
            self.folders.push(Folder::Lost);
        }
    }
}

/// The text that nodes point into.
#[derive(Clone, Copy, Debug)]
struct Source<'s> {
    script: &'s str,
}

impl<'s> Source<'s> {
    fn text(self, node: Node<'_>) -> &'s str {
        self.between(node.start_byte(), node.end_byte())
    }

    fn between(self, start: usize, end: usize) -> &'s str {
        self.script.get(start..end).unwrap_or_default()
    }
}

/// The tree of a script that has no error and is not too large.
fn parsed(script: &str) -> Option<Tree> {
    // A carriage return is part of a word for bash, and white space for the parser.
    let odd = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    let marks = |char: char| wording::MARKS.contains(&char);
    let odd = |char: char| odd(char) || marks(char);
    if script.len() > SCRIPT_BYTES_MAX || script.contains(odd) || joins_words(script) {
        return None;
    }
    if script.bytes().filter(|&byte| byte == b'|').count() > PIPES_MAX {
        return None;
    }
    let tree = tree(masked(script).as_bytes())?;
    (!tree.root_node().has_error() && is_sound(&tree, script)).then_some(tree)
}

/// The tree of a text, unless it is broken beyond doubt or takes too much effort.
fn tree(text: &[u8]) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    let effort = Cell::new(0_usize);
    let is_too_much = || {
        effort.set(effort.get().saturating_add(1));
        effort.get() > EFFORT_MAX
    };
    let mut piece = |start: usize, _| {
        let end = start.saturating_add(PIECE_BYTES).min(text.len());
        // At its end, the parser soon comes to where it asks whether to go on.
        if is_too_much() { &[] } else { text.get(start..end).unwrap_or_default() }
    };
    let mut go_on = |state: &ParseState| match state.has_error() || is_too_much() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let options = ParseOptions::new().progress_callback(&mut go_on);
    let tree = parser.parse_with_options(&mut piece, None, Some(options))?;
    // It may have ended before it asked.
    (effort.get() <= EFFORT_MAX).then_some(tree)
}

/// Whether a line is continued in the middle of a word, which the parser takes for two.
fn joins_words(script: &str) -> bool {
    let mut before: Option<&str> = None;
    for line in script.split("\\\n") {
        let tight = |text: &str| !text.is_empty() && !text.ends_with([' ', '\t', '\n']);
        if before.is_some_and(tight) && !line.starts_with([' ', '\t', '\n']) {
            return true;
        }
        before = Some(line);
    }
    false
}

/// The script with each byte beyond ASCII as a dot: part of a word, and never of a name.
///
/// The scanner of tree-sitter-bash 0.25 looks up such characters in a table that ends before
/// them, and crashes. Nodes keep their places, so their texts come from the script itself.
fn masked(script: &str) -> String {
    script.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { '.' }).collect()
}

/// Whether a tree is not too deep, has nothing missing, and divides no character.
///
/// Walks without recursion, since depth is what is in question.
fn is_sound(tree: &Tree, script: &str) -> bool {
    let mut cursor = tree.walk();
    let mut depth = 0_usize;
    loop {
        let node = cursor.node();
        if script.get(node.byte_range()).is_none()
            || node.is_missing()
            || depth > TREE_DEPTH_MAX
        {
            return false;
        }
        if cursor.goto_first_child() {
            depth = depth.saturating_add(1);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return true;
            }
            depth = depth.saturating_sub(1);
        }
    }
}

/// All children of a node, with the names of their fields.
fn children<'t>(node: Node<'t>) -> Vec<(Option<&'t str>, Node<'t>)> {
    let mut cursor = node.walk();
    let mut found = Vec::new();
    if cursor.goto_first_child() {
        loop {
            found.push((cursor.field_name(), cursor.node()));
            if !cursor.goto_next_sibling() {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{PIPES_MAX, SCRIPT_BYTES_MAX, parsed, tree};

    #[test]
    fn scripts_that_take_too_much_effort_are_given_up() {
        for (script, want) in [
            ("a; ".repeat(20_000), true),
            (format!("cat <<E > f\n{}E\n", "if x | y { \"z\" }\n".repeat(2_000)), true),
            (format!("echo '{}'", "[1,{\"a\":2}] ".repeat(4_000)), true),
            ("git add f && cargo test --all 2>&1 | tail -n 5\n".repeat(1_200), true),
            ("x=(".repeat(5_000), false),
            ("declare -a x=(".repeat(4_000), false),
            ("<<E\n".repeat(15_000), false),
            ("<<E <<F ".repeat(7_000), false),
            ("|&".repeat(5_000), false), // broken beyond doubt at once
        ] {
            let start: String = script.chars().take(20).collect();
            assert!(script.len() < SCRIPT_BYTES_MAX, "{start}");
            assert_eq!(tree(script.as_bytes()).is_some(), want, "{start}");
        }
    }

    #[test]
    fn scripts_with_too_many_pipes_are_not_understood() {
        for (pipes, want) in [(PIPES_MAX, true), (PIPES_MAX + 1, false)] {
            let script = format!("a{}", "|a".repeat(pipes));
            let flat = format!("echo '{}'", "|".repeat(pipes));
            assert_eq!(parsed(&flat).is_some(), want, "{pipes}");
            assert_eq!(parsed(&script).is_some(), want, "{pipes}");
        }
    }
}
