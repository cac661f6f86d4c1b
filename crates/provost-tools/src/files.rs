//! The words of a command by its rule: flags, their values, and which operands are files.
//!
//! In doubt a word is a flag and a file both: too much is listed rather than too little.

use crate::{
    Risk,
    call::is_remote,
    gather::Access,
    rules::{Operands, Program},
    sed,
    shell::Shell,
    word::{Piece, Word},
};

/// What a rule makes of the words of a command.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Words that are no flags and no values of flags.
    pub(crate) operands: Vec<Word>,
    /// Values of flags, with the flags.
    values: Vec<(String, Word)>,
    /// Risks of the flags.
    pub(crate) risks: Vec<Risk>,
    /// True if the first operand may be the value of a flag that the rule does not know.
    pub(crate) unsure: bool,
    /// True if a flag makes the operands files that are written.
    writing: bool,
    /// True if a flag stands in for the first operands.
    instead: bool,
}

/// Reads the words of a command.
pub(crate) fn scan(rule: &Program, words: &[Word]) -> Scan {
    let mut scan = Scan::default();
    let mut rest = words.iter();
    let mut ended = false;
    while let Some(word) = rest.next() {
        let dash = word.0.first() == Some(&Piece::Char('-')) && word.0.len() > 1;
        if ended || !(dash || word.may_be_flag()) || word.text().as_deref() == Some("-") {
            scan.operands.push(word.clone());
        } else if !dash {
            scan.any_flag(rule);
            scan.unsure |= scan.operands.is_empty();
            scan.operands.push(word.clone());
        } else if word.text().as_deref() == Some("--") {
            ended = true;
        } else if let Some(flag) = scan.flag(rule, word) {
            let value = rest.next().cloned().unwrap_or_default();
            scan.values.push((flag, value));
        }
    }
    if rule.scripted && !scan.is_harmless() {
        scan.risks.extend([Risk::Execute, Risk::Read, Risk::Write]);
    }
    let told = |word: &Word| rule.telltale.iter().any(|part| word.shown().contains(part));
    let tells = |word: &Word| word.is_open() || told(word);
    if !rule.telltale.is_empty() && words.iter().any(tells) {
        scan.risks.extend([Risk::Execute, Risk::Read, Risk::Write]);
    }
    scan
}

impl Scan {
    /// Whether each `sed` script among the words only prints and edits.
    fn is_harmless(&self) -> bool {
        let is_script = |flag: &str| flag == "-e" || is_short_for(flag, "--expression");
        let own =
            self.operands.iter().find(|word| !word.0.is_empty()).filter(|_| !self.instead);
        let given = self.values.iter().filter(|(flag, _)| is_script(flag));
        let mut scripts = given.map(|(_, value)| value).chain(own);
        scripts.all(|script| script.text().is_some_and(|text| sed::is_harmless(&text)))
    }

    /// Notes one flag; returns it if its value is the next word.
    fn flag(&mut self, rule: &Program, word: &Word) -> Option<String> {
        let lead: String = word
            .0
            .iter()
            .map_while(|piece| match piece {
                Piece::Char(char) => Some(*char),
                Piece::Home | Piece::One | Piece::Many | Piece::Any => None,
            })
            .collect();
        let whole = word.text().is_some();
        let name = lead.split_once('=').map_or(lead.as_str(), |(name, _)| name);
        let valued = lead.contains('=');
        if lead.starts_with("--") || knows(rule, name) {
            if !whole && !valued {
                self.any_flag(rule);
            }
            self.one(rule, name);
            if valued {
                if let Some((_, value)) = word.behind('=') {
                    self.values.push((name.to_owned(), value));
                }
                return None;
            }
            if takes_value(rule, name) {
                return Some(name.to_owned());
            }
            self.unsure |= self.operands.is_empty() && !has(&rule.bare, name);
            return None;
        }
        self.letters(rule, word, &lead)
    }

    /// `-xvf file`: letters up to the first that takes a value.
    fn letters(&mut self, rule: &Program, word: &Word, lead: &str) -> Option<String> {
        for (at, letter) in lead.chars().enumerate().skip(1) {
            let flag = format!("-{letter}");
            self.one(rule, &flag);
            if takes_value(rule, &flag) {
                let value = word.after(at.saturating_add(1));
                if value.0.is_empty() {
                    return Some(flag);
                }
                self.values.push((flag, value));
                return None;
            }
            self.unsure |= self.operands.is_empty() && !has(&rule.bare, &flag);
        }
        if word.text().is_none() {
            self.any_flag(rule);
        }
        None
    }

    fn one(&mut self, rule: &Program, flag: &str) {
        for (_, risks) in rule.flags.iter().filter(|(one, _)| is_short_for(flag, one)) {
            self.risks.extend(risks);
        }
        self.writing |= has(&rule.writing, flag);
        self.instead |= has(&rule.instead, flag);
    }

    /// A word that may turn out to be any flag.
    fn any_flag(&mut self, rule: &Program) {
        self.risks.extend(rule.flags.values().flatten());
        self.writing |= !rule.writing.is_empty();
    }
}

impl Shell<'_> {
    /// Lists the files among the words of a command.
    pub(crate) fn files(&mut self, rule: &Program, scan: &Scan) {
        for (flag, value) in &scan.values {
            // `curl -d @file`: where such a flag can read, its value can name what.
            let may_read = rule.flags.get(flag).is_some_and(|its| its.contains(&Risk::Read));
            if let Some((_, file)) = value.behind('@').filter(|_| may_read) {
                self.note(&file, Access::Read);
            }
            if has(&rule.reads, flag) {
                self.note(value, Access::Read);
            }
            if has(&rule.writes, flag) {
                self.out.risks(&[Risk::Write]);
                self.note(value, Access::Write);
            }
        }
        let skip = if scan.instead { 0 } else { rule.skip };
        let files: Vec<&Word> = scan.operands.iter().skip(skip).collect();
        if scan.writing && !files.is_empty() {
            self.out.risks(&[Risk::Write]);
        }
        let targeted = scan.values.iter().any(|(flag, _)| has(&rule.writes, flag));
        let last = files.len().saturating_sub(1);
        for (at, file) in files.iter().enumerate() {
            if rule.remote && is_remote(file) && !file.is_open() {
                continue;
            }
            let (read, write) = match rule.operands {
                Operands::None => (false, false),
                Operands::Read => (true, scan.writing),
                Operands::Write => (false, true),
                Operands::Both => (true, true),
                Operands::Copy => {
                    let ends = at == last && !targeted;
                    (!ends, ends || scan.writing)
                }
            };
            if read {
                self.note(file, Access::Read);
            }
            if write {
                self.note(file, Access::Write);
            }
        }
    }

    /// `dd`: files behind `if=` and `of=`.
    pub(crate) fn key_values(&mut self, words: &[Word]) {
        for word in words {
            match word.behind('=') {
                Some((key, file)) if key == "if" => self.note(&file, Access::Read),
                Some((key, file)) if key == "of" => self.note(&file, Access::Write),
                Some(_) => {}
                None => {
                    self.note(word, Access::Read);
                    self.note(word, Access::Write);
                }
            }
        }
    }

    /// `find`: where it looks, and what it does there.
    pub(crate) fn find(&mut self, words: &[Word]) {
        let plain = |word: &&Word| {
            !word.may_be_flag() && !matches!(word.text().as_deref(), Some("(" | "!" | ","))
        };
        let leading = ["-H", "-L", "-P"];
        let is_leading =
            |word: &&Word| word.text().is_some_and(|text| leading.contains(&&*text));
        let rest: Vec<Word> = words.iter().skip_while(is_leading).cloned().collect();
        let mut starts: Vec<Word> = rest.iter().take_while(plain).cloned().collect();
        let mut rest = rest.into_iter().skip(starts.len());
        if starts.is_empty() {
            starts.push(Word::known("."));
        }
        for start in &starts {
            self.note(start, Access::Read);
        }
        let mut deletes = false;
        while let Some(word) = rest.next() {
            let text = word.text();
            match text.as_deref() {
                Some("-exec" | "-execdir" | "-ok" | "-okdir") => {
                    let ends = |word: &Word| matches!(word.text().as_deref(), Some(";" | "+"));
                    let inner = rest.by_ref().take_while(|word| !ends(word));
                    let placed = inner.map(|word| match word.shown().contains("{}") {
                        true => Word::any(),
                        false => word,
                    });
                    let command: Vec<Word> = placed.collect();
                    self.call(&command, None);
                }
                Some("-delete") => deletes = true,
                Some("-fprint" | "-fprint0" | "-fprintf" | "-fls") => {
                    self.out.risks(&[Risk::Write]);
                    if let Some(file) = rest.next() {
                        self.note(&file, Access::Write);
                    }
                }
                Some("-files0-from") => self.out.fail(),
                None if word.may_be_flag() && word.0.first() != Some(&Piece::Char('-')) => {
                    self.out.risks(&[Risk::Delete, Risk::Execute, Risk::Write]);
                    deletes = true;
                    starts.push(word);
                }
                Some(_) | None => {}
            }
        }
        if deletes {
            self.out.risks(&[Risk::Delete]);
            for start in &starts {
                self.note(start, Access::Write);
            }
        }
    }

    fn note(&mut self, word: &Word, access: Access) {
        self.out.file(self.rules, word, access, &self.folders);
    }
}

/// Whether `flag` is `whole`, or one of the beginnings of it that programs accept.
fn is_short_for(flag: &str, whole: &str) -> bool {
    flag == whole || (flag.starts_with("--") && flag.len() > 3 && whole.starts_with(flag))
}

fn has(list: &[String], flag: &str) -> bool {
    list.iter().any(|one| is_short_for(flag, one))
}

fn takes_value(rule: &Program, flag: &str) -> bool {
    [&rule.values, &rule.reads, &rule.writes].iter().any(|list| has(list, flag))
}

fn knows(rule: &Program, flag: &str) -> bool {
    takes_value(rule, flag)
        || has(&rule.bare, flag)
        || has(&rule.writing, flag)
        || rule.flags.contains_key(flag)
}
