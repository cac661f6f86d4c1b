//! Statements, in the order in which they would run.
//!
//! Both branches of everything are walked. What a branch does to the folder may or may not
//! have happened afterwards, so both folders stand.

use tree_sitter::Node;

use super::{Functions, Shell, Source, children};
use crate::{Risk, path::Folder};

impl Shell<'_> {
    /// Walks the children of a node as statements, one after the other.
    pub(super) fn sequence(&mut self, source: Source<'_>, node: Node<'_>) {
        for (_, child) in children(node).into_iter().filter(|(_, child)| child.is_named()) {
            let before = self.folders.clone();
            self.statement(source, child);
            if self.folders != before {
                self.also_in(&before);
            }
        }
    }

    /// Walks one statement, or an expression that stands in one.
    pub(super) fn statement(&mut self, source: Source<'_>, node: Node<'_>) {
        match node.kind() {
            // Nothing can be worse than it is, and a hostile script may be slow to walk.
            _ if self.out.is_opaque() => {}
            "comment" => {}
            "compound_statement" if source.text(node).starts_with("((") => {
                self.arithmetic(node);
                self.inner_of(source, node);
            }
            "program" | "compound_statement" | "do_group" | "if_statement" | "elif_clause"
            | "else_clause" | "case_statement" | "case_item" | "negated_command" => {
                self.sequence(source, node);
            }
            "subshell" => self.apart(|shell| shell.sequence(source, node)),
            "pipeline" | "list" => self.chain(source, node, Vec::new()),
            "while_statement" | "for_statement" | "c_style_for_statement" => {
                self.repeated(source, node);
            }
            "function_definition" => self.function(source, node),
            "command" => self.command(source, node, Vec::new()),
            "redirected_statement" => self.redirected(source, node),
            "file_redirect" => self.lone_redirect(source, node),
            "declaration_command" => self.declaration(source, node),
            "unset_command" => {
                self.inner_of(source, node);
                let names: Vec<_> = children(node)
                    .into_iter()
                    .filter(|(_, child)| child.is_named() && child.kind() != "comment")
                    .flat_map(|(_, child)| self.words(source, child))
                    .collect();
                self.settings(&names);
            }
            "test_command" | "variable_assignments" => {
                self.inner_of(source, node);
            }
            _ => self.inner(source, node),
        }
    }

    fn inner_of(&mut self, source: Source<'_>, node: Node<'_>) {
        for (_, child) in children(node) {
            self.inner(source, child);
        }
    }

    /// `a && b`, `a || b`, `a | b`; the redirections are those of the last command.
    pub(super) fn chain(&mut self, source: Source<'_>, node: Node<'_>, last: Vec<Node<'_>>) {
        let parts = children(node);
        // Only after `&&` is it certain that a change of folder worked.
        let certain = parts.iter().all(|(_, part)| part.kind() != "||");
        let apart = node.kind() == "pipeline";
        let parts: Vec<_> = parts.into_iter().filter(|(_, part)| part.is_named()).collect();
        let end = parts.len().saturating_sub(1);
        for (at, (_, part)) in parts.into_iter().enumerate() {
            let before = self.folders.clone();
            match at == end {
                true => self.with_redirects(source, part, last.clone()),
                false => self.statement(source, part),
            }
            if apart {
                self.folders = before;
            } else if !certain {
                self.also_in(&before);
            }
        }
    }

    fn repeated(&mut self, source: Source<'_>, node: Node<'_>) {
        if let Some(variable) = node.child_by_field_name("variable") {
            self.assigned(source, Some(variable));
        }
        if node.kind() == "c_style_for_statement" {
            for (_, part) in children(node) {
                if part.kind() != "do_group" && part.kind() != "compound_statement" {
                    self.arithmetic(part);
                }
            }
        }
        let before = self.folders.clone();
        self.sequence(source, node);
        if self.folders != before && !before.contains(&Folder::Lost) {
            // The second round starts where the first one ended.
            self.also_in(&[Folder::Lost]);
            self.sequence(source, node);
        }
    }

    /// A function is walked where it is defined; where it will be called is not known.
    fn function(&mut self, source: Source<'_>, node: Node<'_>) {
        let name = node.child_by_field_name("name").map(|name| source.text(name));
        if name.is_none_or(|name| self.rules.program(name).is_some()) {
            // The rules speak of the program that the function now stands in for.
            self.out.risks(&[Risk::Execute]);
        }
        let before = self.folders.clone();
        if self.functions == Functions::Anywhere {
            self.also_in(&[Folder::Lost]);
        } else {
            self.functions = Functions::Here;
        }
        let entered = self.folders.clone();
        for (field, child) in children(node) {
            match field {
                Some("body") => self.statement(source, child),
                Some("redirect") => self.lone_redirect(source, child),
                _ => {}
            }
        }
        if self.folders == entered {
            self.folders = before;
        }
    }

    fn declaration(&mut self, source: Source<'_>, node: Node<'_>) {
        let parts = children(node);
        let keyword = parts.first().map(|(_, part)| source.text(*part)).unwrap_or_default();
        self.out.program(keyword, keyword.to_owned());
        let mut names = false;
        for (_, part) in parts.iter().skip(1) {
            match part.kind() {
                "variable_assignment" => names = true,
                "variable_name" => {
                    names = true;
                    self.assigned(source, Some(*part));
                }
                "word" if source.text(*part).starts_with(['-', '+']) => {
                    // `-i` evaluates what is assigned, `-n` assigns to something else.
                    if source.text(*part).contains(['i', 'n']) {
                        self.out.risks(&[Risk::Execute]);
                    }
                }
                _ => {
                    names = true;
                    let word = self.word(source, *part);
                    match word.text() {
                        Some(text) if text.contains(['$', '`']) => self.out.fail(),
                        Some(text) => self.assigns(text.split('=').next().unwrap_or_default()),
                        None => self.out.risks(&[Risk::Execute]),
                    }
                }
            }
            self.inner(source, *part);
        }
        if !names {
            // By itself it prints every variable, and tokens are kept in variables.
            self.out.risks(&[Risk::Credentials]);
        }
    }
}
