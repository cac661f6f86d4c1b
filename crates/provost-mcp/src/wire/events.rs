//! Events of a stream, made anew where their data changes. Splitting them is the gateway's.

use bytes::Bytes;

/// An event with one message.
pub(crate) fn message(json: &[u8]) -> Bytes {
    let mut event = String::from("event: message\n");
    push_data(&mut event, &String::from_utf8_lossy(json));
    event.push('\n');
    event.into()
}

/// The event `raw` with other data, or with none: then clients keep its id and see nothing.
pub(crate) fn with_data(raw: &[u8], text: Option<&str>) -> Bytes {
    let raw = String::from_utf8_lossy(raw);
    let mut event = String::new();
    for line in raw.split(['\n', '\r']).filter(|line| !line.is_empty() && !is_data(line)) {
        event.push_str(line);
        event.push('\n');
    }
    if let Some(text) = text {
        push_data(&mut event, text);
    }
    event.push('\n');
    event.into()
}

/// The event `raw` with something before its id.
pub(crate) fn marked(raw: &[u8], mark: &str) -> Bytes {
    let raw = String::from_utf8_lossy(raw);
    let mut event = String::new();
    for line in raw.split_inclusive(['\n', '\r']) {
        match line.strip_prefix("id:") {
            Some(id) => {
                event.push_str("id: ");
                event.push_str(mark);
                event.push_str(id.strip_prefix(' ').unwrap_or(id));
            }
            None => event.push_str(line),
        }
    }
    event.into()
}

fn is_data(line: &str) -> bool {
    line.split(':').next() == Some("data")
}

/// The JSON `text` as data: it may have line breaks between its parts.
fn push_data(event: &mut String, text: &str) {
    for line in text.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use provost_gateway::sse::Event;

    use super::{marked, message, with_data};

    #[test]
    fn only_the_data_changes() {
        for (raw, text, want) in [
            ("data: a\n\n", Some("b"), "data: b\n\n"),
            ("id: 1\ndata: a\ndata: c\n\n", Some("b"), "id: 1\ndata: b\n\n"),
            (
                "event: message\r\ndata:a\r\nretry: 5\r\n\r\n",
                Some("b"),
                "event: message\nretry: 5\ndata: b\n\n",
            ),
            ("data\nid: 1\n\n", Some("{\n}"), "id: 1\ndata: {\ndata: }\n\n"),
            ("id: 1\ndata: a\n\n", None, "id: 1\n\n"),
            ("data: a\n\n", None, "\n"),
            (": note\ndatas: x\ndata: a\n\n", None, ": note\ndatas: x\n\n"),
        ] {
            assert_eq!(with_data(raw.as_bytes(), text), want, "{raw:?}");
        }
    }

    #[test]
    fn ids_are_marked() {
        for (raw, want) in [
            ("id: 1\ndata: id: 1\n\n", "id: a:1\ndata: id: 1\n\n"),
            ("data: x\r\nid:1\r\n\r\n", "data: x\r\nid: a:1\r\n\r\n"),
            ("data: x\n\n", "data: x\n\n"),
        ] {
            assert_eq!(marked(raw.as_bytes(), "a:"), want, "{raw:?}");
        }
    }

    #[test]
    fn a_message_is_read_back() {
        for (text, want) in
            [("{\n \"a\": 1 }", "{\n \"a\": 1 }"), ("{\r\n\"a\":1\n\n}\n", "{\n\"a\":1\n}")]
        {
            let event = Event::read(message(text.as_bytes()));
            assert_eq!((event.name.as_str(), event.data.unwrap()), ("message", want.into()));
        }
    }
}
