//! One simple command: which program it is, and what its rule says of its words.
//!
//! Wrappers, shells and the like hand on to what they run.

use crate::{
    Risk,
    files::{Scan, scan},
    path::{Folder, resolve},
    rules::{Kind, Program},
    shell::Shell,
    word::{Piece, Word},
};

/// Words that are part of the grammar where the parser has taken them for a program.
const RESERVED: &[&str] = &[
    "!", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
    "select", "then", "until", "while", "{", "}", "[[", "]]", "((", "))",
];

/// Builtins whose words can be names of variables, which they evaluate.
const SETTING: &[&str] =
    &["[", "getopts", "mapfile", "printf", "read", "readarray", "test", "unset", "wait"];

impl Shell<'_> {
    /// Reads one command: its words, and what it is given to read if that is known.
    pub(crate) fn call(&mut self, words: &[Word], stdin: Option<&Word>) {
        let Some((name, words)) = words.split_first() else { return };
        let Some(name) = program_name(name) else { return self.out.fail() };
        self.nested(|shell| shell.named(&name, words, stdin));
    }

    fn named(&mut self, name: &str, words: &[Word], stdin: Option<&Word>) {
        let (folder, base) = match name.rsplit_once('/') {
            Some((folder, base)) => (Some(folder), base),
            None => (None, name),
        };
        if base.is_empty() || RESERVED.contains(&base) {
            return self.out.fail();
        }
        if let Some(folder) = folder
            && !self.rules.system_folders.iter().any(|system| system == folder)
        {
            self.out.risks(&[Risk::Execute]);
        }
        let rules = self.rules;
        let Some(rule) = rules.program(base) else {
            self.out.program(base, base.to_owned());
            self.out.risks(&[Risk::Execute]);
            return self.urls(words);
        };
        self.out.risks(&rule.risks);
        if SETTING.contains(&base) {
            self.settings(words);
        }
        if rule.sub.is_empty() {
            self.out.program(base, base.to_owned());
        }
        match rule.kind {
            Kind::Plain => self.plain(base, rule, words),
            Kind::Wrapper => {
                if let Some(rest) = self.unwrapped(rule, words) {
                    self.call(&rest, stdin);
                }
            }
            Kind::Feeder => self.feeder(rule, words),
            Kind::Eval => {
                // Of `trap` only the first word is code; the others are signals.
                let words =
                    if base == "trap" { words.get(..1).unwrap_or(words) } else { words };
                if let Some(rest) = self.unwrapped(rule, words) {
                    self.joined(&rest);
                }
            }
            Kind::Shell => self.interpreter(rule, words, stdin),
            Kind::Cd => self.change_folder(base, words),
            Kind::Find => self.find(words),
            Kind::Assign => self.key_values(words),
        }
    }

    /// Words that may name variables: `read HOME`, and `test -v 'a[$(rm x)]'`.
    pub(crate) fn settings(&mut self, words: &[Word]) {
        let named = words.iter().any(|word| word.shown().starts_with("-v"));
        for word in words {
            match word.text() {
                Some(text) if text.contains('[') && text.contains(['$', '`']) => {
                    self.out.fail()
                }
                Some(text) => self.assigns(text.trim_start_matches("-v")),
                None if named => self.out.risks(&[Risk::Execute]),
                None => {}
            }
        }
    }

    fn plain(&mut self, base: &str, rule: &Program, words: &[Word]) {
        let scan = scan(rule, words);
        self.out.risks(&scan.risks);
        if words.is_empty() {
            self.out.risks(&rule.alone);
        }
        let mut online = rule.risks.clone();
        online.extend(&scan.risks);
        if !rule.sub.is_empty() {
            let risks = self.subcommand(base, rule, &scan);
            self.out.risks(&risks);
            online.extend(risks);
        }
        self.files(rule, &scan);
        if online.contains(&Risk::Network) || online.contains(&Risk::Execute) {
            self.urls(words);
        }
        for operand in scan.operands.iter().take(rule.hosts) {
            if !rule.remote || is_remote(operand) {
                self.out.host(operand);
            }
        }
    }

    /// The risks of a subcommand; what comes before it must be certain.
    fn subcommand(&mut self, base: &str, rule: &Program, scan: &Scan) -> Vec<Risk> {
        // `cargo +nightly build` names a toolchain first.
        let toolchain = |word: &&Word| word.0.first() == Some(&Piece::Char('+'));
        let skip = scan.operands.iter().take_while(toolchain).count();
        let operands = scan.operands.get(skip..).unwrap_or_default();
        let Some((first, later)) = operands.split_first() else {
            self.out.program(base, base.to_owned());
            return Vec::new();
        };
        let first = first.text().filter(|_| !scan.unsure);
        let Some(first) = first else {
            self.out.program(base, base.to_owned());
            self.out.fail();
            return Vec::new();
        };
        self.out.program(base, format!("{base} {first}"));
        let mut risks = Vec::new();
        let mut found = false;
        for (key, its) in &rule.sub {
            let Some((one, two)) = key.split_once(' ') else { continue };
            let meant = |word: &Word| word.text().is_none_or(|text| text == two);
            if one == first && later.iter().any(meant) {
                found = true;
                risks.extend(its);
            }
        }
        match rule.sub.get(&first) {
            Some(its) if !found => risks.extend(its),
            None if !found => risks.push(Risk::Execute),
            Some(_) | None => {}
        }
        risks
    }

    /// Hosts in words that look like URLs, or like `user@host:path`.
    pub(crate) fn urls(&mut self, words: &[Word]) {
        for word in words {
            let shown = word.shown();
            let copied = shown
                .split_once(':')
                .is_some_and(|(place, _)| place.contains('@') && !place.contains(['/', ' ']));
            if let Some((before, _)) = shown.split_once("://") {
                let scheme = before.rsplit(|char: char| !char.is_ascii_alphanumeric()).next();
                if matches!(scheme, Some("file" | "gs" | "s3")) {
                    continue;
                }
                let skip = before.len().saturating_sub(scheme.unwrap_or_default().len());
                let chars = before.get(..skip).map_or(0, |text| text.chars().count());
                self.out.host(&word.after(chars));
            } else if copied {
                self.out.host(word);
            }
        }
    }

    /// The command inside a wrapper, or nothing if there is none or it is not certain.
    fn unwrapped(&mut self, rule: &Program, words: &[Word]) -> Option<Vec<Word>> {
        let mut rest = words.iter();
        let mut left = rule.skip;
        let mut command: Vec<Word> = Vec::new();
        while let Some(word) = rest.next() {
            let text = word.text();
            let flag = text.as_deref().filter(|text| text.starts_with('-') && *text != "-");
            match flag {
                Some("--") => {}
                None if text.as_deref() == Some("-") => {
                    if !rule.bare.contains(&"-".to_owned()) {
                        self.out.fail();
                        return None;
                    }
                }
                Some(flag) => match self.wrapper_flag(rule, flag)? {
                    Takes::Nothing => {}
                    Takes::Next => drop(rest.next()),
                },
                None if word.may_be_flag() => {
                    self.out.fail();
                    return None;
                }
                None if left > 0 => left = left.saturating_sub(1),
                None => match word.behind('=') {
                    Some((name, _)) if is_name(&name) => self.assigns(&name),
                    _ => {
                        command.push(word.clone());
                        command.extend(rest.cloned());
                        break;
                    }
                },
            }
        }
        if command.is_empty() {
            self.out.risks(&rule.alone);
            return None;
        }
        Some(command)
    }

    /// Reads a flag of a wrapper; nothing if no command follows, or none that is certain.
    fn wrapper_flag(&mut self, rule: &Program, flag: &str) -> Option<Takes> {
        let name = flag.split_once('=').map_or(flag, |(name, _)| name);
        let has = |list: &[String], name: &str| list.iter().any(|one| one == name);
        if let Some(risks) = rule.flags.get(name) {
            self.out.risks(risks);
        }
        if has(&rule.asks, flag) {
            return None;
        }
        if has(&rule.bare, name) {
            return Some(Takes::Nothing);
        }
        if has(&rule.values, name) {
            return Some(if name == flag { Takes::Next } else { Takes::Nothing });
        }
        // `-n5`, `-0r`: letters that are each known, the last perhaps with its value.
        if !flag.starts_with("--") {
            let letters: Vec<char> = flag.chars().skip(1).collect();
            for (at, letter) in letters.iter().enumerate() {
                let one = format!("-{letter}");
                if let Some(risks) = rule.flags.get(&one) {
                    self.out.risks(risks);
                }
                let last = at.saturating_add(1) == letters.len();
                match () {
                    () if has(&rule.values, &one) && last => return Some(Takes::Next),
                    () if has(&rule.values, &one) => return Some(Takes::Nothing),
                    () if has(&rule.bare, &one) && last => return Some(Takes::Nothing),
                    () if has(&rule.bare, &one) => {}
                    () => break,
                }
            }
        }
        self.out.fail();
        None
    }

    /// `xargs`: the command gets words that are not known, at the end or in some place.
    fn feeder(&mut self, rule: &Program, words: &[Word]) {
        let Some(command) = self.unwrapped(rule, words) else { return };
        let flags = words.iter().take(words.len().saturating_sub(command.len()));
        let placed = flags.filter_map(Word::text).any(|text| {
            ["-I", "-i", "-J", "--replace"].iter().any(|flag| text.starts_with(flag))
        });
        let mut command = command;
        if placed {
            // Any word may hold the placeholder, the program's name too.
            let holds = |word: &Word| word.shown().contains(['{', '%', '@', '_', '+', '#']);
            for word in command.iter_mut().filter(|word| holds(word)) {
                *word = Word::any();
            }
        }
        command.push(Word::any());
        self.call(&command, None);
    }

    fn joined(&mut self, words: &[Word]) {
        let texts: Option<Vec<String>> = words.iter().map(Word::text).collect();
        match texts {
            Some(texts) => self.script(&texts.join(" ")),
            None => self.out.fail(),
        }
    }

    /// `sh`: a script among the words, in a file, or in what it reads.
    fn interpreter(&mut self, rule: &Program, words: &[Word], stdin: Option<&Word>) {
        let mut rest = words.iter();
        let mut inline = false;
        let mut operand = None;
        while let Some(word) = rest.next() {
            let Some(text) = word.text() else {
                if word.may_be_flag() {
                    return self.out.fail();
                }
                operand = Some(word);
                break;
            };
            let is_flag = text.len() > 1 && text.starts_with(['-', '+']);
            if text == "--" || text == "-" {
                operand = rest.next();
                break;
            } else if !is_flag {
                operand = Some(word);
                break;
            } else if rule.values.contains(&text) {
                // The value is a file of commands, or an option.
                self.out.risks(&[Risk::Execute]);
                rest.next();
            } else if text.starts_with("--") {
                if !rule.bare.contains(&text) {
                    return self.out.fail();
                }
            } else if text.chars().skip(1).all(|char| "abcefhiklmnprtuvxBCEHPT".contains(char))
            {
                inline |= text.starts_with('-') && text.contains('c');
            } else if text != "-s" {
                return self.out.fail();
            }
        }
        match (inline, operand) {
            (true, Some(script)) => self.text_script(script),
            (true, None) => self.out.fail(),
            (false, Some(file)) => {
                self.out.risks(&[Risk::Execute, Risk::Read]);
                let at = self.folders.clone();
                self.out.file(self.rules, file, crate::gather::Access::Read, &at);
            }
            (false, None) => match stdin {
                Some(script) => self.text_script(script),
                None => self.out.risks(&[Risk::Execute]),
            },
        }
    }

    fn text_script(&mut self, script: &Word) {
        let Some(text) = script.text() else { return self.out.fail() };
        let before = self.folders.clone();
        self.script(&text);
        self.folders = before;
    }

    fn change_folder(&mut self, base: &str, words: &[Word]) {
        self.moves = true;
        let flag = |word: &&Word| !matches!(word.text().as_deref(), Some("-P" | "-L" | "--"));
        let target = match words.iter().find(flag) {
            None if base == "cd" => Word(vec![Piece::Home]),
            None => Word::any(),
            Some(word) if base != "cd" && word.shown().starts_with('+') => Word::any(),
            Some(word) => word.clone(),
        };
        let open = |piece: &Piece| matches!(piece, Piece::Any | Piece::Many | Piece::One);
        let unsure = target.may_be_flag() || target.0.iter().any(open);
        let rooted = matches!(target.0.first(), Some(Piece::Char('/') | Piece::Home));
        let mut folders = Vec::new();
        for folder in &self.folders {
            let next = match folder {
                _ if unsure => Folder::Lost,
                Folder::Lost if !rooted => Folder::Lost,
                Folder::Lost | Folder::Known(_) => Folder::Known(resolve(&target, folder)),
            };
            if !folders.contains(&next) {
                folders.push(next);
            }
        }
        self.folders = folders;
    }
}

/// Whether a flag takes the word behind it.
enum Takes {
    Nothing,
    Next,
}

/// The name of a program, if it is certain.
fn program_name(word: &Word) -> Option<String> {
    let home = word.0.first() == Some(&Piece::Home);
    let text = if home { word.after(1).text()? } else { word.text()? };
    let odd = |char: char| char.is_whitespace() || char.is_control();
    (!text.is_empty() && !text.contains(odd)).then(|| match home {
        true => format!("~{text}"),
        false => text,
    })
}

/// Whether a word names a file of another machine: `host:path`, or could.
pub(crate) fn is_remote(word: &Word) -> bool {
    let shown = word.shown();
    let before = shown.split_once(':').map(|(before, _)| before);
    word.is_open() || before.is_some_and(|before| !before.contains('/'))
}

fn is_name(text: &str) -> bool {
    let first = text.chars().next();
    first.is_some_and(|char| char.is_ascii_alphabetic() || char == '_')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}
