//! The gate in a stream: text passes, a tool call waits until it is decided.
//!
//! Clients run a tool as soon as its block ends, so nothing of a `tool_use` block leaves before
//! the block is whole and allowed. A denied one leaves as a text that says so, in its place.
//! What cannot be read is not passed: an event longer than
//! [`provost_gateway::sse::EVENT_BYTES_MAX`] ends the stream.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use provost_gateway::{
    ToolCall,
    sse::{Event, Events, TooLong},
};
use provost_types::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{reply::Seen, turn::Turn};

/// A tool call the model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// `toolu_…`
    pub(crate) id: String,
    /// The tool's name.
    pub(crate) name: String,
    /// Its arguments: JSON, unless the model was cut off.
    pub(crate) input: String,
}

impl Call {
    /// What it would do. Where it would run is the client's business.
    pub(crate) fn action(&self) -> Action {
        let Self { id, name, input } = self;
        ToolCall { id, name, input, folder: None }.action()
    }
}

/// What is to be done next with a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this.
    Pass(Bytes),
    /// Decide this, and tell the gate; see [`Gate::release`] and [`Gate::replace`].
    Decide(Call),
    /// The model waits for the results of calls none of which left. Ask it again, or say that
    /// its turn is over: see [`Gate::go_on`] and [`Gate::close`].
    Stuck,
}

/// Where in an answer the gate is.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    events: Events,
    /// Events ready to be sent.
    ready: BytesMut,
    steps: VecDeque<Step>,
    held: Option<Held>,
    /// The model's turn as it is, denied calls included.
    turn: Turn,
    /// Calls of this part of the answer that left, and that did not.
    allowed: u32,
    denied: u32,
    /// The end of the turn, while it is not known whether it is one.
    ending: Option<Event>,
    /// Blocks sent in earlier parts of the answer.
    offset: u64,
    /// Output tokens of earlier parts.
    tokens: u64,
    part: u32,
}

/// A call that is not whole yet, or not decided.
#[derive(Debug)]
struct Held {
    index: u64,
    call: Call,
    raw: Vec<u8>,
}

/// The parts of an event that the gate looks at.
#[derive(Deserialize)]
struct Head {
    r#type: String,
    index: Option<u64>,
    content_block: Option<Value>,
    delta: Option<Value>,
    usage: Option<Value>,
}

/// The stream cannot be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    /// An event is longer than may be held.
    #[error("the upstream sent an event that is too long to be checked for tool calls")]
    TooLong,
    /// A block of a call has no form we know.
    #[error("the upstream sent a tool call that cannot be read")]
    Unlike,
}

impl From<TooLong> for GateError {
    fn from(_too_long: TooLong) -> Self {
        Self::TooLong
    }
}

impl Gate {
    /// Takes the next bytes of the stream. Take every step before the next bytes come.
    ///
    /// # Errors
    ///
    /// [`GateError`]: nothing more may be sent.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), GateError> {
        Ok(self.events.push(bytes)?)
    }

    /// The upstream sends no more.
    pub(crate) fn end(&mut self) {
        self.events.end();
    }

    /// The stream may end here: what is left of it, no whole event, goes as well.
    ///
    /// # Errors
    ///
    /// [`GateError`]: nothing more may be sent.
    pub(crate) fn rest(&mut self) -> Result<(), GateError> {
        self.events.rest().map_or(Ok(()), |event| self.take(event))
    }

    /// What is to be done next; `None` if more bytes are needed first. What the events say is
    /// noted in `seen`. What comes after a call is looked at when the call was decided.
    ///
    /// # Errors
    ///
    /// [`GateError`]: nothing more may be sent.
    pub(crate) fn step(&mut self, seen: &mut Seen) -> Result<Option<Step>, GateError> {
        while self.steps.is_empty() {
            match self.events.next() {
                Some(event) => {
                    seen.take(&event);
                    self.take(event)?;
                }
                // What comes while a call is not whole (pings keep the connection alive) may
                // pass.
                None if self.ready.is_empty() => return Ok(None),
                None => self.flush(),
            }
        }
        Ok(self.steps.pop_front())
    }

    /// The call that was to be decided may leave: its bytes, as they came.
    pub(crate) fn release(&mut self) -> Bytes {
        self.allowed = self.allowed.saturating_add(1);
        self.held.take().map(|held| held.raw.into()).unwrap_or_default()
    }

    /// The call that was to be decided may not leave: `why`, as a text in its place.
    pub(crate) fn replace(&mut self, why: &str) -> Bytes {
        self.denied = self.denied.saturating_add(1);
        let Some(held) = self.held.take() else { return Bytes::new() };
        self.turn.deny(held.call.id, why);
        text_block(held.index.saturating_add(self.offset), why)
    }

    /// Ends the turn as if the model had: what is to be sent before the rest.
    pub(crate) fn close(&mut self) -> Bytes {
        let ending = self.ending.take().unwrap_or_default();
        let Some(mut delta) = json_of(&ending) else { return ending.raw };
        if let Some(reason) = delta.pointer_mut("/delta/stop_reason") {
            *reason = json!("end_turn");
        }
        printed("message_delta", &delta)
    }

    /// What the model said, and the results of its calls, as messages that go on from its
    /// question; `None` if it is too much.
    pub(crate) fn messages(&self) -> Option<[Value; 2]> {
        self.turn.messages()
    }

    /// The next part of the answer begins: what the model says to [`Gate::messages`]. The rest
    /// of this part is no more.
    pub(crate) fn go_on(&mut self) {
        *self = Self {
            offset: self.offset.saturating_add(self.turn.len()),
            tokens: self.tokens,
            part: self.part.saturating_add(1),
            ..Self::default()
        };
    }

    fn take(&mut self, event: Event) -> Result<(), GateError> {
        let Some(head) = self.head(&event)? else {
            self.ready.extend_from_slice(&event.raw);
            return Ok(());
        };
        match (head.r#type.as_str(), head.index) {
            ("content_block_start", Some(index)) => self.start(event, index, head),
            ("content_block_delta", Some(index)) => {
                let delta = head.delta.unwrap_or_default();
                self.turn.add(&delta, event.raw.len());
                if let Some(held) = self.held.as_mut().filter(|held| held.index == index) {
                    let part = delta.get("partial_json").and_then(Value::as_str);
                    held.call.input.push_str(part.unwrap_or_default());
                }
                self.put(event, Some(index));
                Ok(())
            }
            ("content_block_stop", Some(index)) => {
                self.put(event, Some(index));
                self.turn.end_block();
                let held = self.held.as_ref().filter(|held| held.index == index);
                if let Some(call) = held.map(|held| held.call.clone()) {
                    self.flush();
                    self.steps.push_back(Step::Decide(call));
                }
                Ok(())
            }
            ("message_start", _) if self.part > 0 => Ok(()),
            ("message_delta", _) => self.delta(event, &head),
            _ => {
                self.put(event, None);
                Ok(())
            }
        }
    }

    /// The event's parts, if it is one that bears on blocks or on the end of the turn.
    fn head(&self, event: &Event) -> Result<Option<Head>, GateError> {
        let Some(data) = &event.data else { return Ok(None) };
        match serde_json::from_slice::<Head>(data) {
            Ok(head) => Ok(Some(head)),
            // Not an event of ours. But nobody shall hide a call in what we cannot read.
            Err(_) if memchr::memmem::find(data, b"tool_use").is_none() => Ok(None),
            Err(_) => Err(GateError::Unlike),
        }
    }

    fn start(&mut self, event: Event, index: u64, head: Head) -> Result<(), GateError> {
        let block = head.content_block.unwrap_or_default();
        self.turn.begin(&block, event.raw.len());
        if block.get("type").and_then(Value::as_str) != Some("tool_use") {
            self.put(event, Some(index));
            return Ok(());
        }
        if self.held.is_some() {
            return Err(GateError::Unlike);
        }
        let text = |name| block.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(id), Some(name)) = (text("id"), text("name")) else {
            return Err(GateError::Unlike);
        };
        let input = block.get("input").filter(|input| !is_empty(input));
        let input = input.map(Value::to_string).unwrap_or_default();
        self.flush();
        let call = Call { id, name, input };
        self.held = Some(Held { index, call, raw: Vec::new() });
        self.put(event, Some(index));
        Ok(())
    }

    fn delta(&mut self, event: Event, head: &Head) -> Result<(), GateError> {
        let reason = head.delta.as_ref().and_then(|delta| delta.get("stop_reason"));
        let waits = reason.and_then(Value::as_str) == Some("tool_use");
        let spent = head.usage.as_ref().and_then(|usage| usage.get("output_tokens"));
        let spent = spent.and_then(Value::as_u64).unwrap_or_default();
        let event = self.counted(event, spent);
        self.tokens = self.tokens.saturating_add(spent);
        if waits && self.allowed == 0 && self.denied > 0 {
            self.flush();
            self.ending = Some(event);
            self.steps.push_back(Step::Stuck);
        } else {
            self.ready.extend_from_slice(&event.raw);
        }
        Ok(())
    }

    /// The event with the output tokens of earlier parts added.
    fn counted(&self, event: Event, spent: u64) -> Event {
        if self.part == 0 {
            return event;
        }
        let Some(mut data) = json_of(&event) else { return event };
        if let Some(count) = data.pointer_mut("/usage/output_tokens") {
            *count = json!(spent.saturating_add(self.tokens));
        }
        Event::read(printed("message_delta", &data))
    }

    /// Puts an event where it belongs: to the call it is part of, or among what passes. In a
    /// later part of an answer its block's number follows those sent before.
    fn put(&mut self, event: Event, index: Option<u64>) {
        let raw = match index.filter(|_| self.offset > 0) {
            Some(index) => self.moved(&event, index),
            None => event.raw,
        };
        match self.held.as_mut() {
            Some(held) if index == Some(held.index) => held.raw.extend_from_slice(&raw),
            _ => self.ready.extend_from_slice(&raw),
        }
    }

    fn moved(&self, event: &Event, index: u64) -> Bytes {
        let Some(mut data) = json_of(event) else { return event.raw.clone() };
        let name = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(number) = data.get_mut("index") {
            *number = json!(index.saturating_add(self.offset));
        }
        printed(&name, &data)
    }

    /// Lets what is ready go before the step that comes next.
    fn flush(&mut self) {
        if !self.ready.is_empty() {
            self.steps.push_back(Step::Pass(self.ready.split().freeze()));
        }
    }
}

fn is_empty(input: &Value) -> bool {
    input.as_object().is_some_and(serde_json::Map::is_empty) || input.is_null()
}

fn json_of(event: &Event) -> Option<Value> {
    serde_json::from_slice(event.data.as_ref()?).ok()
}

fn printed(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn text_block(index: u64, text: &str) -> Bytes {
    let events = [
        json!({"type": "content_block_start", "index": index,
               "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": index,
               "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "content_block_stop", "index": index}),
    ];
    let names = ["content_block_start", "content_block_delta", "content_block_stop"];
    let printed = names.iter().zip(&events).map(|(name, data)| printed(name, data));
    printed.collect::<Vec<_>>().concat().into()
}

#[cfg(test)]
mod tests;
