//! Makes an event fit into an entry, however long what a client sent was.
//!
//! Cuts every free text and every list to the same limits, in steps, until the whole fits.
//! Ids, names, digests and numbers are never touched.

use std::{collections::BTreeMap, mem};

use super::{
    ENTRY_LEN_MAX,
    wire::{Admin, Intent, Outcome, Record, Server, Session, Text, Value, Wire},
};

/// Room for nearly every entry. Unit: bytes.
const USUAL_LEN: usize = 1536;

/// What a text or a list may keep in one step.
struct Limits {
    text_bytes_max: usize,
    items_max: usize,
}

/// The steps, mildest first. The last always fits: it leaves at most 100 texts (a context of
/// 8 sets of 8, 8 policies, a dozen fields) of 67 bytes, and JSON makes 6 bytes of one.
const STEPS: [Limits; 4] = [
    Limits { text_bytes_max: 8192, items_max: 512 },
    Limits { text_bytes_max: 2048, items_max: 128 },
    Limits { text_bytes_max: 512, items_max: 32 },
    Limits { text_bytes_max: 64, items_max: 8 },
];

/// Writes `wire`, shortened as little as makes it fit.
pub(super) fn to_fit(mut wire: Wire<'_>) -> Vec<u8> {
    let mut entry = json(&wire);
    for limits in &STEPS {
        if entry.len() <= ENTRY_LEN_MAX {
            break;
        }
        wire.shortened = Some(true);
        limits.record(&mut wire.record);
        entry = json(&wire);
    }
    entry
}

#[expect(clippy::expect_used, reason = "string keys only, no maps or types that can refuse")]
fn json(wire: &Wire<'_>) -> Vec<u8> {
    let mut entry = Vec::with_capacity(USUAL_LEN);
    serde_json::to_writer(&mut entry, wire).expect("an event is always JSON");
    entry
}

impl Limits {
    fn record(&self, record: &mut Record<'_>) {
        match record {
            Record::Intent(intent) => self.intent(intent),
            Record::Outcome(outcome) => self.outcome(outcome),
            Record::Refusal(refusal) => {
                self.texts([&mut refusal.code, &mut refusal.reason]);
                refusal.intent.iter_mut().for_each(|intent| self.intent(intent));
            }
            Record::Admin(admin) => self.admin(admin),
            Record::Session(Session::Started { by, .. }) => self.text(by),
            Record::Session(Session::Ended { reason }) => self.text(reason),
            Record::Server(Server::Started { version, .. }) => self.text(version),
            Record::Server(Server::Stopped {} | Server::ClockStepped { .. }) => {}
            Record::Witness(witness) => {
                self.texts([&mut witness.plane, &mut witness.tool_use]);
            }
            Record::Alert(alert) => {
                self.texts([&mut alert.rule, &mut alert.message]);
                self.map(&mut alert.detail, |text| self.text(text));
            }
            Record::Approval(approval) => {
                self.texts([&mut approval.by, &mut approval.step]);
                self.map(&mut approval.detail, |text| self.text(text));
                approval.intent.iter_mut().for_each(|intent| self.intent(intent));
            }
        }
    }

    fn intent(&self, intent: &mut Intent<'_>) {
        self.texts([
            &mut intent.plane,
            &mut intent.verb,
            &mut intent.resource_kind,
            &mut intent.resource_id,
            &mut intent.decision.reason,
        ]);
        self.texts(&mut intent.correlation.client_request);
        self.texts(&mut intent.correlation.client_session);
        self.texts(&mut intent.correlation.subagent);
        self.texts(&mut intent.correlation.tool_use);
        intent.decision.policies.truncate(self.items_max);
        self.texts(&mut intent.decision.policies);
        self.map(&mut intent.context, |value| match value {
            Value::Text(text) => self.text(text),
            Value::Texts(texts) => {
                texts.truncate(self.items_max);
                self.texts(texts);
            }
            Value::Tags { tags } => self.map(tags, |text| self.text(text)),
            Value::Bool(_) | Value::Long(_) | Value::BigLong { .. } => {}
        });
    }

    fn outcome(&self, outcome: &mut Outcome<'_>) {
        self.texts(&mut outcome.model);
        self.texts(&mut outcome.reason);
        self.texts(&mut outcome.stop_reason);
        self.texts(&mut outcome.upstream_request);
        outcome.tool_uses.truncate(self.items_max);
        for tool_use in &mut outcome.tool_uses {
            self.texts([&mut tool_use.id, &mut tool_use.name]);
        }
    }

    fn admin(&self, admin: &mut Admin<'_>) {
        self.texts([&mut admin.by, &mut admin.subject, &mut admin.verb]);
        self.map(&mut admin.detail, |text| self.text(text));
    }

    fn map<'a, V>(&self, map: &mut BTreeMap<Text<'a>, V>, value: impl Fn(&mut V)) {
        let whole = mem::take(map);
        for (mut name, mut it) in whole.into_iter().take(self.items_max) {
            self.text(&mut name);
            value(&mut it);
            map.insert(name, it);
        }
    }

    fn texts<'t, 'a: 't>(&self, texts: impl IntoIterator<Item = &'t mut Text<'a>>) {
        texts.into_iter().for_each(|text| self.text(text));
    }

    fn text(&self, text: &mut Text<'_>) {
        // A text cut in an earlier step ends in `…` already and may be cut again.
        if text.len() > self.text_bytes_max.saturating_add('…'.len_utf8()) {
            let end = text.floor_char_boundary(self.text_bytes_max);
            let text = text.to_mut();
            text.truncate(end);
            text.push('…');
        }
    }
}
