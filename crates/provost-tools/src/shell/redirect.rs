//! Simple commands with their redirections: which words they get, and from where they read.

use tree_sitter::Node;

use super::{Shell, Source, children};
use crate::{Risk, gather::Access, word::Word};

/// What redirections leave for the command that they belong to.
#[derive(Debug, Default)]
struct Streams<'t> {
    /// What the command reads, if the script shows it.
    stdin: Option<Word>,
    /// Words that the parser took for part of a redirection: `> out a b`.
    words: Vec<Word>,
    /// Statements that the parser put inside a heredoc: `<<EOF && b`.
    after: Vec<Node<'t>>,
}

impl Shell<'_> {
    /// A simple command, with redirections that stand outside of its node.
    pub(super) fn command(&mut self, source: Source<'_>, node: Node<'_>, outer: Vec<Node<'_>>) {
        let mut streams = Streams::default();
        let mut words = Vec::new();
        let mut word_end = None;
        for (_, child) in children(node) {
            if child.kind() == "variable_assignment" {
                self.inner(source, child);
                continue;
            }
            if child.kind().ends_with("_redirect") {
                self.redirect(source, child, &mut streams);
                words.append(&mut streams.words);
                word_end = None;
                continue;
            }
            if word_end.is_some_and(|end| are_joined(source.between(end, child.start_byte()))) {
                self.out.fail();
            }
            word_end = Some(child.end_byte());
            if child.kind() == "command_name" {
                // A name made by braces is not a name that can be told.
                let name = self.word(source, child);
                words.push(name);
            } else {
                words.extend(self.words(source, child));
            }
        }
        for redirect in outer {
            self.redirect(source, redirect, &mut streams);
        }
        words.append(&mut streams.words);
        self.call(&words, streams.stdin.as_ref());
        self.later(source, streams.after);
    }

    /// A statement with redirections behind it.
    pub(super) fn redirected(&mut self, source: Source<'_>, node: Node<'_>) {
        let (redirects, bodies): (Vec<_>, Vec<_>) = children(node)
            .into_iter()
            .map(|(_, child)| child)
            .filter(|child| child.is_named())
            .partition(|child| child.kind().ends_with("_redirect"));
        match bodies.as_slice() {
            [] => self.bodiless(source, redirects),
            [body] => self.with_redirects(source, *body, redirects),
            _ => self.out.fail(),
        }
    }

    /// A statement, with redirections that the parser put around it.
    pub(super) fn with_redirects(
        &mut self,
        source: Source<'_>,
        body: Node<'_>,
        to: Vec<Node<'_>>,
    ) {
        if to.is_empty() {
            return self.statement(source, body);
        }
        match body.kind() {
            "command" => return self.command(source, body, to),
            // The grammar hangs the redirections of the last command on the whole chain.
            "list" | "pipeline" => return self.chain(source, body, to),
            _ => {}
        }
        let mut streams = Streams::default();
        for redirect in to {
            self.redirect(source, redirect, &mut streams);
        }
        if !streams.words.is_empty() {
            self.out.fail();
        }
        self.statement(source, body);
        self.later(source, streams.after);
    }

    /// Redirections, and a command that the parser took for part of them.
    fn bodiless(&mut self, source: Source<'_>, redirects: Vec<Node<'_>>) {
        let mut streams = Streams::default();
        for redirect in redirects {
            self.redirect(source, redirect, &mut streams);
        }
        if !streams.words.is_empty() {
            self.call(&streams.words, streams.stdin.as_ref());
        }
        self.later(source, streams.after);
    }

    /// A redirection with no command of its own.
    pub(super) fn lone_redirect(&mut self, source: Source<'_>, node: Node<'_>) {
        let mut streams = Streams::default();
        self.redirect(source, node, &mut streams);
        if !streams.words.is_empty() {
            self.out.fail();
        }
        self.later(source, streams.after);
    }

    fn later(&mut self, source: Source<'_>, statements: Vec<Node<'_>>) {
        for statement in statements {
            self.statement(source, statement);
        }
    }

    fn redirect<'t>(&mut self, source: Source<'_>, node: Node<'t>, to: &mut Streams<'t>) {
        match node.kind() {
            "file_redirect" => self.file_redirect(source, node, to),
            "herestring_redirect" => {
                for (_, child) in children(node) {
                    if child.is_named() && child.kind() != "file_descriptor" {
                        to.stdin = Some(self.word(source, child));
                    }
                }
            }
            "heredoc_redirect" => self.heredoc(source, node, to),
            _ => self.out.fail(),
        }
    }

    fn file_redirect(&mut self, source: Source<'_>, node: Node<'_>, to: &mut Streams<'_>) {
        let mut operator = "";
        let mut target = None;
        let mut word_end = None;
        for (field, child) in children(node) {
            if !child.is_named() {
                operator = source.text(child);
                continue;
            }
            if field != Some("destination") {
                continue;
            }
            if word_end.is_some_and(|end| are_joined(source.between(end, child.start_byte()))) {
                self.out.fail();
            }
            word_end = Some(child.end_byte());
            let word = self.word(source, child);
            match target {
                None => target = Some((child.kind(), word)),
                Some(_) => to.words.push(word),
            }
        }
        let Some((kind, word)) = target else {
            if !matches!(operator, ">&-" | "<&-") {
                self.out.fail();
            }
            return;
        };
        let access = match operator {
            _ if kind == "process_substitution" => return,
            ">&" | "<&" if is_descriptor(&word) => return,
            ">" | ">>" | "&>" | "&>>" | ">|" | ">&" => Access::Write,
            "<" | "<&" => Access::Read,
            _ => return self.out.fail(),
        };
        self.touch(&word, access);
    }

    /// A file that the shell itself opens.
    fn touch(&mut self, word: &Word, access: Access) {
        if crate::gather::is_device(&word.shown()) {
            return;
        }
        let (risk, shown) = match access {
            Access::Read => (Risk::Read, word.shown()),
            Access::Write => (Risk::Write, word.shown()),
        };
        self.out.risks(&[risk]);
        self.out.file(self.rules, word, access, &self.folders);
        // Bash makes connections of these names; a word that can be anything can be one.
        let sockets = ["/dev/tcp/", "/dev/udp/"];
        let host = sockets.iter().find_map(|prefix| shown.strip_prefix(prefix));
        if host.is_some() || word.is_open() {
            self.out.risks(&[Risk::Network]);
        }
        if let Some(host) = host {
            self.out.host(&Word::known(host));
        }
    }

    fn heredoc<'t>(&mut self, source: Source<'_>, node: Node<'t>, to: &mut Streams<'t>) {
        let parts = children(node);
        let start = parts.iter().find(|(_, part)| part.kind() == "heredoc_start");
        let raw = start.is_some_and(|(_, part)| source.text(*part).contains(['\'', '"', '\\']));
        if start.is_none_or(|(_, part)| !source.text(*part).is_ascii()) {
            // The parser saw dots, and may have ended the text at another word.
            self.out.fail();
        }
        let tabs = parts.iter().any(|(_, part)| source.text(*part) == "<<-");
        to.stdin = Some(Word::default());
        for (field, part) in parts {
            match (field, part.kind()) {
                (_, "heredoc_start" | "heredoc_end" | "file_descriptor") => {}
                (_, "heredoc_body") => {
                    if !raw {
                        self.inner(source, part);
                    }
                    let text = source.text(part);
                    to.stdin = Some(match raw || !text.contains(['$', '`', '\\']) {
                        true if tabs => Word::known(&untabbed(text)),
                        true => Word::known(text),
                        false => Word::any(),
                    });
                }
                (Some("argument"), _) => to.words.push(self.word(source, part)),
                (_, kind) if kind.ends_with("_redirect") => self.redirect(source, part, to),
                _ if part.is_named() => to.after.push(part),
                _ => {}
            }
        }
    }
}

fn untabbed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches('\t')).collect();
    lines.join("\n")
}

fn is_descriptor(word: &Word) -> bool {
    let text = word.text().unwrap_or_default();
    let digits = text.strip_suffix('-').unwrap_or(&text);
    !text.is_empty() && digits.chars().all(|char| char.is_ascii_digit())
}

/// True if nothing but line continuations lies between two words, which makes them one.
fn are_joined(gap: &str) -> bool {
    gap.replace("\\\n", "").is_empty()
}
