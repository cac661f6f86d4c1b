//! Reads `approvers.toml`: all of it, or every reason why not.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ADMINS, APPROVERS, Approvers, FILE_NAME, Group, NAME_FORM, Quiet, is_built_in,
    is_group_name,
};
use crate::period::{self, period};
use crate::sentence::{one_line, quoted};
use crate::source::Places;
use crate::{Finding, Severity};

/// Most groups in the file.
const GROUPS_MAX: usize = 1_000;

/// Most members of a group.
const MEMBERS_MAX: usize = 1_000;

type Fault = (Range<usize>, &'static str, String);
type Key<'a> = Spanned<Cow<'a, str>>;
type Field<'a> = (&'a Key<'a>, &'a Spanned<DeValue<'a>>);

/// Reads the file's text.
///
/// # Errors
///
/// A syntax error, or everything else that is wrong, unsorted.
pub(crate) fn read(text: &str, places: &Places<'_>) -> Result<Approvers, Vec<Finding>> {
    let finding = |(at, code, message): Fault| {
        let (line, column) = places.at(at.start);
        let (file, severity) = (FILE_NAME.to_owned(), Severity::Error);
        Finding { file, line, column, severity, code, message }
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().unwrap_or_default();
        vec![finding((at, "syntax", one_line(error.message())))]
    })?;
    let mut reader = Reader::default();
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("groups", DeValue::Table(groups)) => reader.groups(groups),
            (other, _) => {
                let message = format!("{} is not a key here: use [groups.NAME]", quoted(other));
                reader.fault(key.span(), "schema", message);
            }
        }
    }
    reader.check_order();
    if !reader.faults.is_empty() {
        return Err(reader.faults.into_iter().map(finding).collect());
    }
    Ok(Approvers { groups: reader.groups })
}

#[derive(Default)]
struct Reader {
    groups: BTreeMap<String, Group>,
    /// Where each group's `then` is.
    orders: BTreeMap<String, Range<usize>>,
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, at: Range<usize>, code: &'static str, message: String) {
        self.faults.push((at, code, message));
    }

    fn groups(&mut self, groups: &DeTable<'_>) {
        for (key, value) in groups.iter().take(GROUPS_MAX) {
            let name = key.get_ref().as_ref();
            if is_built_in(name) {
                let message = format!("{} is built in: use another name", quoted(name));
                self.fault(key.span(), "bad-group", message);
            } else if !is_group_name(name) {
                let message =
                    format!("{} is not a group's name: use {NAME_FORM}", quoted(name));
                self.fault(key.span(), "bad-group", message);
            } else if let DeValue::Table(fields) = value.get_ref() {
                let group = self.group(key, fields);
                self.groups.insert(name.to_owned(), group);
            } else {
                let message = format!("{} is not a table: use [groups.NAME]", quoted(name));
                self.fault(key.span(), "schema", message);
            }
        }
        if let Some((key, _)) = groups.iter().nth(GROUPS_MAX) {
            let message = format!("more than {GROUPS_MAX} groups");
            self.fault(key.span(), "bad-group", message);
        }
    }

    /// One group's table. What is wrong in it is left out, and told.
    fn group(&mut self, name: &Key<'_>, fields: &DeTable<'_>) -> Group {
        let mut group = Group {
            members: BTreeSet::new(),
            not_own: false,
            then: None,
            after: None,
            quiet: None,
        };
        for field @ (key, value) in fields {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("members", _) => group.members = self.members(field),
                ("not_own", DeValue::Boolean(not_own)) => group.not_own = *not_own,
                ("then", DeValue::String(then)) => {
                    self.orders.insert(name.get_ref().to_string(), value.span());
                    group.then = Some(then.to_string());
                }
                ("after", DeValue::String(after)) => {
                    group.after = period(after);
                    if group.after.is_none() {
                        let message = format!(
                            "{} is not a length of time: use {}",
                            quoted(after),
                            period::FORM
                        );
                        self.fault(value.span(), "bad-group", message);
                    }
                }
                ("quiet", _) => group.quiet = self.quiet(field),
                (key_name, _) => {
                    let message = format!("{} {}", quoted(key_name), takes(key_name));
                    self.fault(key.span(), "schema", message);
                }
            }
        }
        self.check_whole(name, fields);
        group
    }

    /// What must be there, and what only goes together.
    fn check_whole(&mut self, name: &Key<'_>, fields: &DeTable<'_>) {
        let has = |wanted: &str| fields.iter().any(|(key, _)| key.get_ref() == wanted);
        for (is_wrong, message) in [
            (!has("members"), "a group needs members"),
            (has("then") != has("after"), "`then` and `after` go together"),
            (has("quiet") && !has("then"), "`quiet` is when `then` is asked at once: name one"),
        ] {
            if is_wrong {
                self.fault(name.span(), "bad-group", message.into());
            }
        }
    }

    fn members(&mut self, (key, value): Field<'_>) -> BTreeSet<String> {
        let DeValue::Array(items) = value.get_ref() else {
            let message = format!("\"members\" {}", takes("members"));
            self.fault(key.span(), "schema", message);
            return BTreeSet::new();
        };
        let mut members = BTreeSet::new();
        for item in items.iter().take(MEMBERS_MAX) {
            let Some(name) = item.get_ref().as_str().filter(|name| !name.is_empty()) else {
                self.fault(item.span(), "schema", "not the name of a person".into());
                continue;
            };
            if !members.insert(name.to_owned()) {
                let message = format!("{} is named twice", quoted(name));
                self.fault(item.span(), "bad-group", message);
            }
        }
        if items.is_empty() || items.len() > MEMBERS_MAX {
            let message = format!("a group has 1 to {MEMBERS_MAX} members");
            self.fault(value.span(), "bad-group", message);
        }
        members
    }

    fn quiet(&mut self, (key, value): Field<'_>) -> Option<Quiet> {
        let table = value.get_ref().as_table();
        let text = |wanted: &str| {
            let (_, value) = table?.iter().find(|(key, _)| key.get_ref() == wanted)?;
            value.get_ref().as_str()
        };
        let is_complete = table.is_some_and(|table| table.len() == 3);
        let quiet = match (text("from"), text("to"), text("zone")) {
            (Some(from), Some(to), Some(zone)) if is_complete => Quiet::parse(from, to, zone),
            _ => None,
        };
        if quiet.is_none() {
            let message = format!("\"quiet\" {}", takes("quiet"));
            self.fault(key.span(), "bad-group", message);
        }
        quiet
    }

    /// Every `then` leads to a group, and in no circle.
    fn check_order(&mut self) {
        for (name, at) in std::mem::take(&mut self.orders) {
            let then = |name: &str| self.groups.get(name).and_then(|group| group.then.clone());
            let Some(next) = then(&name) else { continue };
            if !is_built_in(&next) && !self.groups.contains_key(&next) {
                let message = format!(
                    "no group is named {}: use one of this file, \"{APPROVERS}\" or \"{ADMINS}\"",
                    quoted(&next),
                );
                self.fault(at, "bad-group", message);
                continue;
            }
            let chain = std::iter::successors(Some(next), |name| then(name));
            if chain.take(self.groups.len()).any(|after| after == name) {
                let message = format!("after {} in the end it is asked again", quoted(&name));
                self.fault(at, "bad-group", message);
            }
        }
    }
}

/// What a key of a group may be.
fn takes(key: &str) -> &'static str {
    match key {
        "members" => "is a list of people's names, such as [\"ada\", \"grace\"]",
        "not_own" => "is true or false",
        "then" => "is the name of a group",
        "after" => "is a length of time, such as \"15m\"",
        "quiet" => {
            "is { from = \"22:00\", to = \"07:00\", zone = \"+01:00\" }: different times of \
             day, and a fixed offset from UTC or \"Z\""
        }
        _ => "is not a key here: known are members, not_own, then, after and quiet",
    }
}
