//! From policy files to checked policies: all of them, or every reason why not.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

use cedar_policy::{Effect as CedarEffect, Policy, PolicyId as CedarId, PolicySet};
use cedar_policy::{ValidationError, ValidationWarning};
use miette::Diagnostic;
use provost_types::PolicyId;

use crate::approvers::{self, Approvers};
use crate::gate::Terms;
use crate::rule::{Effect, Rule, Scope};
use crate::schema::VOCABULARY;
use crate::sentence::{one_line, quoted};
use crate::source::{Places, SourceFile, statements};
use crate::{Finding, Severity};

/// Most findings of the schema at one place.
const AT_A_PLACE_MAX: usize = 4;

/// Longest `@id`. Unit: bytes.
const ID_LEN_MAX: usize = 128;

/// Policies that parsed, validated, and have distinct names.
pub(crate) struct Loaded {
    /// By file name, then position.
    pub(crate) rules: Vec<Rule>,
    pub(crate) set: PolicySet,
    pub(crate) approvers: Approvers,
    /// Cedar's own warnings.
    pub(crate) warnings: Vec<Finding>,
}

/// Loads `files`, in whichever order they come.
pub(crate) fn load(files: &[SourceFile]) -> Result<Loaded, Vec<Finding>> {
    let mut loader = Loader::default();
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by(|a, b| (&a.name, &a.text).cmp(&(&b.name, &b.text)));
    for file in files {
        loader.add_file(file);
    }
    loader.validate();
    loader.errors.sort();
    if !loader.errors.is_empty() {
        return Err(loader.errors);
    }
    let Loader { rules, set, approvers, warnings, .. } = loader;
    Ok(Loaded { rules, set, approvers, warnings })
}

#[derive(Default)]
struct Loader<'a> {
    places: BTreeMap<&'a str, Places<'a>>,
    rules: Vec<Rule>,
    numbers: HashMap<CedarId, usize>,
    set: PolicySet,
    approvers: Approvers,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

impl<'a> Loader<'a> {
    fn add_file(&mut self, file: &'a SourceFile) {
        let places = match self.places.entry(&file.name) {
            Entry::Vacant(entry) => entry.insert(Places::new(&file.text)),
            Entry::Occupied(_) => {
                let message = format!("two files are named {}", quoted(&file.name));
                return self.errors.push(error(&file.name, (1, 1), "duplicate-file", message));
            }
        };
        if file.name.ends_with(".toml") {
            return self.add_toml(file);
        }
        let name: Arc<str> = file.name.as_str().into();
        let mut found = Vec::new();
        for range in statements(&file.text) {
            let text = file.text.get(range.clone()).unwrap_or_default();
            match Policy::parse(None, text) {
                Ok(policy) => found.push((policy, range.start, text, places.at(range.start))),
                Err(faults) => self.errors.extend(faults.iter().map(|fault| {
                    let place = places.at(range.start.saturating_add(offset_in(fault)));
                    error(&file.name, place, "syntax", said(fault))
                })),
            }
        }
        for (policy, offset, text, (line, column)) in found {
            let id = match id_of(&policy, &name, (line, column), &self.numbers) {
                Ok(id) => id,
                Err(finding) => {
                    self.errors.push(finding);
                    continue;
                }
            };
            let terms = Terms::of(&policy).unwrap_or_else(|faults| {
                let faults = faults.into_iter();
                self.errors.extend(
                    faults.map(|(code, text)| error(&name, (line, column), code, text)),
                );
                None
            });
            let policy = policy.new_id(CedarId::new(&id));
            self.add(Rule {
                id: PolicyId(id.into()),
                effect: match policy.effect() {
                    CedarEffect::Permit => Effect::Permit,
                    CedarEffect::Forbid => Effect::Forbid,
                },
                file: Arc::clone(&name),
                line,
                column,
                offset,
                text: text.to_owned(),
                scope: Scope::of(&policy),
                terms,
                policy,
            });
        }
    }

    fn add_toml(&mut self, file: &SourceFile) {
        if file.name != approvers::FILE_NAME {
            let message = format!(
                "{} is read by nobody: call it {}, or take it out",
                quoted(&file.name),
                approvers::FILE_NAME
            );
            return self.errors.push(error(&file.name, (1, 1), "unknown-file", message));
        }
        match approvers::read(&file.text, &Places::new(&file.text)) {
            Ok(approvers) => self.approvers = approvers,
            Err(faults) => self.errors.extend(faults),
        }
    }

    fn add(&mut self, rule: Rule) {
        let id = rule.policy.id().clone();
        let first = self.numbers.get(&id).and_then(|number| self.rules.get(*number));
        if let Some(first) = first {
            let message = format!("the id is taken by {first}: give each policy its own @id");
            return self.errors.push(rule.finding(Severity::Error, "duplicate-id", message));
        }
        if let Err(fault) = self.set.add(rule.policy.clone()) {
            let message = one_line(&fault.to_string());
            return self.errors.push(rule.finding(Severity::Error, "duplicate-id", message));
        }
        self.numbers.insert(id, self.rules.len());
        self.rules.push(rule);
    }

    fn validate(&mut self) {
        let result = VOCABULARY.validate(&self.set);
        let errors: Vec<_> = result
            .validation_errors()
            .filter_map(|fault| {
                let finding = self.place(fault.policy_id(), fault, "schema")?;
                let message = known(fault).map_or_else(
                    || finding.message.clone(),
                    |known| one_line(&format!("{fault}; known are {}", known.join(", "))),
                );
                Some(Finding { message, ..finding })
            })
            .collect();
        let warnings: Vec<_> = result
            .validation_warnings()
            .filter_map(|fault| self.place(fault.policy_id(), fault, warning_code(fault)))
            .map(|finding| Finding { severity: Severity::Warning, ..finding })
            .collect();
        self.errors.extend(few_of_each_place(errors));
        self.warnings.extend(warnings);
    }

    /// An error at what `fault` points to inside the policy it is about.
    fn place(
        &self,
        policy: &CedarId,
        fault: &dyn Diagnostic,
        code: &'static str,
    ) -> Option<Finding> {
        let rule = self.rules.get(*self.numbers.get(policy)?)?;
        let places = self.places.get(&*rule.file)?;
        let place = places.at(rule.offset.saturating_add(offset_in(fault)));
        Some(error(&rule.file, place, code, said(fault)))
    }
}

/// A policy for every action fails once for each that it does not fit: some tell enough.
fn few_of_each_place(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    let is_same =
        |a: &Finding, b: &Finding| (&a.file, a.line, a.column) == (&b.file, b.line, b.column);
    let few = |findings: &[Finding]| {
        let (few, more) = findings.split_at(findings.len().min(AT_A_PLACE_MAX));
        let mut few = few.to_vec();
        if let (Some(last), false) = (few.last_mut(), more.is_empty()) {
            let also =
                format!("; and {} more of the kind: name the actions it is for", more.len());
            last.message.push_str(&also);
        }
        few
    };
    findings.chunk_by(is_same).flat_map(few).collect()
}

/// The policy's `@id`, or `file:line` (`file:line:column` for the second on a line).
fn id_of(
    policy: &Policy,
    file: &str,
    (line, column): (u32, u32),
    taken: &HashMap<CedarId, usize>,
) -> Result<String, Finding> {
    let Some(id) = policy.annotation("id") else {
        let id = format!("{file}:{line}");
        let is_taken = taken.contains_key(&CedarId::new(&id));
        return Ok(if is_taken { format!("{id}:{column}") } else { id });
    };
    // No colon: so an `@id` is never another policy's file and line.
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if !id.is_empty() && id.len() <= ID_LEN_MAX && id.bytes().all(is_id) {
        return Ok(id.to_owned());
    }
    let message = format!(
        "@id({}) is not an id: use 1 to {ID_LEN_MAX} letters, digits and `.`, `_`, `/`, `-`",
        quoted(id)
    );
    Err(error(file, (line, column), "bad-id", message))
}

fn error(
    file: &str,
    (line, column): (u32, u32),
    code: &'static str,
    message: String,
) -> Finding {
    let severity = Severity::Error;
    Finding { file: file.to_owned(), line, column, severity, code, message }
}

/// The offset of what a fault points to. Unit: bytes from the start of the policy.
fn offset_in(fault: &dyn Diagnostic) -> usize {
    fault.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

/// What a fault says, what it says about the place, and what it advises, as one sentence.
fn said(fault: &dyn Diagnostic) -> String {
    let label = fault.labels().and_then(|mut labels| labels.next());
    let label = label.and_then(|label| label.label().map(str::to_owned));
    let help = fault.help().map(|help| help.to_string());
    let parts = [Some(fault.to_string()), label, help];
    one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// The words to choose from where one is unknown. Cedar's own suggestion of one of them
/// differs from run to run.
fn known(fault: &ValidationError) -> Option<Vec<String>> {
    if matches!(fault, ValidationError::UnrecognizedActionId(_)) {
        Some(VOCABULARY.actions())
    } else if matches!(fault, ValidationError::UnrecognizedEntityType(_)) {
        Some(VOCABULARY.kinds())
    } else {
        None
    }
}

fn warning_code(warning: &ValidationWarning) -> &'static str {
    let never = matches!(
        warning,
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
    );
    if never { "never-applies" } else { "confusable-text" }
}
