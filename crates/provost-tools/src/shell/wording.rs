//! From nodes of the tree to words: quotes and escapes undone, the unknown marked as such.
//!
//! Also finds the commands that run while a word is made: substitutions.

use tree_sitter::Node;

use super::{Shell, Source, children};
use crate::{
    Risk,
    word::{Piece, Word},
};

/// Variables whose change would make words mean something else than is assumed here.
const FIXED: &[&str] = &["HOME", "PWD", "OLDPWD", "CDPATH"];
/// Comparisons of `[[` that evaluate their operands as arithmetic, and so run substitutions.
const EVALUATING: &[&str] = &["-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"];

impl Shell<'_> {
    /// The word that a node stands for; finds what runs on the way.
    pub(super) fn word(&mut self, source: Source<'_>, node: Node<'_>) -> Word {
        match self.words(source, node).as_slice() {
            [word] => word.clone(),
            _ => Word::any(),
        }
    }

    /// The words that a node stands for: more than one if it has braces.
    pub(super) fn words(&mut self, source: Source<'_>, node: Node<'_>) -> Vec<Word> {
        self.inner(source, node);
        let mut word = Word::default();
        if spell(source, node, &mut word).is_none() {
            self.out.fail();
            return vec![Word::any()];
        }
        expanded(word)
    }

    /// Finds the commands that run inside an expression, and what else it does.
    pub(super) fn inner(&mut self, source: Source<'_>, node: Node<'_>) {
        match node.kind() {
            "command_substitution" | "process_substitution" => {
                let text = source.text(node);
                if text.starts_with('`') && text.contains('\\') {
                    // Backslashes are undone before the inside is read.
                    return self.out.fail();
                }
                return self.apart(|shell| shell.sequence(source, node));
            }
            "arithmetic_expansion" => self.arithmetic(node),
            "expansion" => self.expansion(source, node),
            "subscript" => {
                let index = node.child_by_field_name("index");
                if index.is_some_and(|index| !is_plain_index(source.text(index))) {
                    self.out.risks(&[Risk::Execute]);
                }
            }
            "binary_expression" | "unary_expression" => self.comparison(source, node),
            "variable_assignment" => {
                let name = node.child_by_field_name("name");
                self.assigned(source, name);
            }
            "variable_name" if self.rules.is_secret(source.text(node)) => {
                self.out.risks(&[Risk::Credentials]);
            }
            kind if node.is_named() && node.child_count() == 0 && !is_raw(kind) => {
                if hides_code(source.text(node)) || !ACCEPTED.contains(&kind) {
                    self.out.fail();
                }
            }
            kind if !node.is_named() || ACCEPTED.contains(&kind) => {}
            _ => return self.out.fail(),
        }
        for (_, child) in children(node) {
            self.inner(source, child);
        }
    }

    /// Arithmetic with a variable evaluates that variable's text, which can run commands.
    pub(super) fn arithmetic(&mut self, node: Node<'_>) {
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if matches!(
                node.kind(),
                "variable_name" | "word" | "simple_expansion" | "expansion"
            ) {
                self.out.risks(&[Risk::Execute]);
            }
            open.extend(children(node).into_iter().map(|(_, child)| child));
        }
    }

    /// `${…}`: most of it is only text, some of it runs or sets.
    fn expansion(&mut self, source: Source<'_>, node: Node<'_>) {
        let parts = children(node);
        let mut operator = "";
        for (field, part) in &parts {
            match (*field, source.text(*part)) {
                // `${x@P}` runs the substitutions in the text of `x`.
                (Some("operator"), text @ ("P" | "@P")) if operator == "@" || text == "@P" => {
                    self.out.fail();
                }
                (Some("operator"), text) => operator = text,
                _ if operator == ":" && part.is_named() && part.kind() != "number" => {
                    self.out.risks(&[Risk::Execute]);
                }
                _ => {}
            }
        }
        if operator.ends_with('=') {
            let name = parts.iter().find(|(_, part)| part.kind() == "variable_name");
            self.assigned(source, name.map(|(_, part)| *part));
        }
    }

    fn comparison(&mut self, source: Source<'_>, node: Node<'_>) {
        let parts = children(node);
        let evaluates = parts.iter().any(|(_, part)| EVALUATING.contains(&source.text(*part)));
        let number = |part: Node<'_>| matches!(part.kind(), "number" | "test_operator");
        if evaluates && parts.iter().any(|(_, part)| part.is_named() && !number(*part)) {
            self.out.risks(&[Risk::Execute]);
        }
    }

    /// Notes that a variable is set.
    pub(super) fn assigned(&mut self, source: Source<'_>, name: Option<Node<'_>>) {
        let Some(name) = name else { return self.out.fail() };
        let text = source.text(name);
        self.assigns(text.split(['[', '+', '=']).next().unwrap_or(text));
    }

    /// Notes that the variable `name` is set.
    pub(crate) fn assigns(&mut self, name: &str) {
        if FIXED.contains(&name) {
            self.out.fail();
        }
        if self.rules.is_loaded(name) {
            self.out.risks(&[Risk::Execute]);
        }
    }
}

/// Kinds that may stand inside words and expressions and do nothing by themselves.
const ACCEPTED: &[&str] = &[
    "ansi_c_string",
    "array",
    "brace_expression",
    "command_name",
    "comment",
    "concatenation",
    "extglob_pattern",
    "file_descriptor",
    "heredoc_body",
    "heredoc_content",
    "number",
    "parenthesized_expression",
    "postfix_expression",
    "raw_string",
    "regex",
    "simple_expansion",
    "special_variable_name",
    "string",
    "string_content",
    "ternary_expression",
    "test_operator",
    "translated_string",
    "variable_name",
    "word",
];

fn is_raw(kind: &str) -> bool {
    matches!(kind, "raw_string" | "ansi_c_string" | "comment")
}

/// Whether a leaf of the tree has code that the parser did not take apart.
fn hides_code(text: &str) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => drop(chars.next()),
            '`' => return true,
            '$' if chars.peek().is_some_and(|next| "({[".contains(*next)) => return true,
            _ => {}
        }
    }
    false
}

fn is_plain_index(text: &str) -> bool {
    matches!(text, "@" | "*") || text.chars().all(|char| char.is_ascii_digit())
}

/// Adds the pieces of a node to a word; nothing if in doubt about them.
fn spell(source: Source<'_>, node: Node<'_>, word: &mut Word) -> Option<()> {
    let text = source.text(node);
    match node.kind() {
        "word" | "number" | "variable_name" if node.child_count() == 0 => bare(text, word),
        "raw_string" => {
            let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
            word.0.extend(inner.chars().map(Piece::Char));
            Some(())
        }
        "ansi_c_string" => ansi(text.strip_prefix("$'")?.strip_suffix('\'')?, word),
        "string" => quoted(source, node, word),
        "concatenation" | "command_name" => {
            let mut at = node.start_byte();
            for (_, child) in children(node) {
                if child.start_byte() != at {
                    return None;
                }
                at = child.end_byte();
                spell(source, child, word)?;
            }
            (at == node.end_byte()).then_some(())
        }
        "simple_expansion" | "expansion" => {
            let lead = text.len().checked_sub(text.trim_start().len())?;
            word.0.extend(text.get(..lead)?.chars().map(Piece::Char));
            word.0.push(match text.trim_start() {
                "$HOME" | "${HOME}" if word.0.is_empty() => Piece::Home,
                "$PWD" | "${PWD}" if word.0.is_empty() => Piece::Char('.'),
                _ => Piece::Any,
            });
            Some(())
        }
        "command_substitution"
        | "arithmetic_expansion"
        | "brace_expression"
        | "translated_string" => {
            word.0.push(Piece::Any);
            Some(())
        }
        // The command gets the name of a pipe.
        "process_substitution" => {
            word.0.extend("/dev/fd/63".chars().map(Piece::Char));
            Some(())
        }
        _ => None,
    }
}

/// The inside of `"…"`: what lies between the child nodes is text, too.
fn quoted(source: Source<'_>, node: Node<'_>, word: &mut Word) -> Option<()> {
    let mut at = node.start_byte().checked_add(1)?;
    let end = node.end_byte().checked_sub(1)?;
    if !source.text(node).starts_with('"') || source.between(end, node.end_byte()) != "\"" {
        return None;
    }
    for (_, child) in children(node).into_iter().filter(|(_, child)| child.is_named()) {
        if child.kind() == "string_content" {
            continue;
        }
        double(source.between(at, child.start_byte()), word)?;
        spell(source, child, word)?;
        at = child.end_byte();
    }
    double(source.between(at, end), word)
}

/// Text in double quotes, which undo only some escapes.
fn double(text: &str, word: &mut Word) -> Option<()> {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            // Any expansion should have been a node of its own.
            if char == '`' {
                return None;
            }
            word.0.push(Piece::Char(char));
            continue;
        }
        match chars.next()? {
            '\n' => {}
            escaped @ ('$' | '`' | '"' | '\\') => word.0.push(Piece::Char(escaped)),
            other => word.0.extend([Piece::Char('\\'), Piece::Char(other)]),
        }
    }
    Some(())
}

/// Text without quotes: escapes, globs and a tilde. Braces are marked by what nobody types.
fn bare(text: &str, word: &mut Word) -> Option<()> {
    let first = word.0.is_empty();
    let mut chars = text.chars().enumerate();
    while let Some((at, char)) = chars.next() {
        let piece = match char {
            '\\' => match chars.next()?.1 {
                '\n' => continue,
                escaped => Piece::Char(escaped),
            },
            '*' => Piece::Many,
            '?' => Piece::One,
            '[' => BRACKET,
            '{' => BRACE,
            ',' => COMMA,
            '}' => CLOSE,
            '~' if at == 0 && first => match text.chars().nth(1) {
                None | Some('/') => Piece::Home,
                Some(_) => Piece::Any,
            },
            '\'' | '"' | '`' | '$' if text != "$" => return None,
            '(' | ')' | '<' | '>' | '|' | '&' | ';' | ' ' | '\n' | '\t' => return None,
            other => Piece::Char(other),
        };
        word.0.push(piece);
    }
    Some(())
}

/// Characters that mean more without quotes stand as noncharacters of Unicode until the whole
/// word is known; scripts that hold such themselves are refused.
pub(super) const MARKS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';
const BRACKET: Piece = Piece::Char('\u{fdd0}');
const BRACE: Piece = Piece::Char('\u{fdd1}');
const COMMA: Piece = Piece::Char('\u{fdd2}');
const CLOSE: Piece = Piece::Char('\u{fdd3}');
/// Most words that braces make of one.
const WORDS_MAX: usize = 64;

/// The words that braces make of one, with every mark settled.
fn expanded(word: Word) -> Vec<Word> {
    let mut open = vec![word];
    let mut done = Vec::new();
    while let Some(word) = open.pop() {
        if open.len().saturating_add(done.len()) > WORDS_MAX {
            return vec![Word::any()];
        }
        match alternatives(&word) {
            Some(words) => open.extend(words.into_iter().rev()),
            None => done.push(settled(word)),
        }
    }
    done
}

/// The words that the first pair of braces makes, or nothing if there is no such pair.
fn alternatives(word: &Word) -> Option<Vec<Word>> {
    for (start, _) in word.0.iter().enumerate().filter(|(_, piece)| **piece == BRACE) {
        let mut depth = 0_usize;
        let mut parts: Vec<Vec<Piece>> = vec![Vec::new()];
        for (at, piece) in word.0.iter().enumerate().skip(start.saturating_add(1)) {
            match *piece {
                CLOSE if depth == 0 && parts.len() > 1 => {
                    let before = word.0.get(..start)?;
                    let after = word.0.get(at.saturating_add(1)..)?;
                    let whole = |part: &Vec<Piece>| Word([before, part, after].concat());
                    return Some(parts.iter().map(whole).collect());
                }
                CLOSE if depth == 0 => break,
                COMMA if depth == 0 => {
                    parts.push(Vec::new());
                    continue;
                }
                CLOSE => depth = depth.saturating_sub(1),
                BRACE => depth = depth.saturating_add(1),
                Piece::Char(_) | Piece::Home | Piece::One | Piece::Many | Piece::Any => {}
            }
            parts.last_mut()?.push(*piece);
        }
    }
    None
}

/// Settles what braces have left: brackets in pairs can be any character, dots count.
fn settled(mut word: Word) -> Word {
    let dots = word.shown().contains("..");
    let brackets = word.0.contains(&Piece::Char(']'));
    let ranged = dots && word.0.contains(&BRACE) && word.0.contains(&CLOSE);
    for piece in &mut word.0 {
        *piece = match *piece {
            BRACKET if brackets => Piece::Any,
            BRACKET => Piece::Char('['),
            BRACE if ranged => Piece::Any,
            BRACE => Piece::Char('{'),
            COMMA => Piece::Char(','),
            CLOSE => Piece::Char('}'),
            Piece::Char(_) | Piece::Home | Piece::One | Piece::Many | Piece::Any => *piece,
        };
    }
    word
}

/// Text in `$'…'`; nothing for the escapes that are rarely seen.
fn ansi(text: &str, word: &mut Word) -> Option<()> {
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char != '\\' {
            word.0.push(Piece::Char(char));
            continue;
        }
        let escaped = chars.next()?;
        let plain = match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'e' | 'E' => '\u{1b}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' | '?' => escaped,
            'x' | 'u' | 'U' | '0'..='7' => {
                let (radix, most) = match escaped {
                    'x' => (16, 2),
                    'u' => (16, 4),
                    'U' => (16, 8),
                    _ => (8, 2),
                };
                let mut value = escaped.to_digit(8).filter(|_| radix == 8).unwrap_or(0);
                for _ in 0..most {
                    let Some(digit) = chars.peek().and_then(|char| char.to_digit(radix)) else {
                        break;
                    };
                    value = value.checked_mul(radix)?.checked_add(digit)?;
                    chars.next();
                }
                // Zero ends the text, and bytes above ASCII may join to other characters.
                let ascii = value > 0 && (value < 128 || matches!(escaped, 'u' | 'U'));
                ascii.then(|| char::from_u32(value)).flatten()?
            }
            _ => return None,
        };
        word.0.push(Piece::Char(plain));
    }
    Some(())
}
