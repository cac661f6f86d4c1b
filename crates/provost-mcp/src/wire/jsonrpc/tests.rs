//! Messages, and what is refused.

use proptest::prelude::*;

use super::{Answer, Id, Message, error, folds_to, read_asked, read_told, request};

fn told(text: &str) -> String {
    match read_asked(text.as_bytes()) {
        Ok(Message::Request { id, method, .. }) => format!("request {id} {method}"),
        Ok(Message::Notification { method, .. }) => format!("notification {method}"),
        Ok(Message::Answer { id, answer }) => {
            let id = id.map_or_else(|| "null".to_owned(), |id| id.to_string());
            match answer {
                Answer::Result(raw) => format!("result {id} {raw}"),
                Answer::Error(raw) => format!("error {id} {raw}"),
            }
        }
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn messages_by_what_they_hold() {
    for (text, want) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
        (r#"{"id":"a\"b","method":"ping","jsonrpc":"2.0"}"#, r#"request "a\"b" ping"#),
        (r#"{"jsonrpc":"2.0","method":"x","params":{}}"#, "notification x"),
        (r#"{"jsonrpc":"2.0","id":-7,"result":[ 1 ]}"#, "result -7 [ 1 ]"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{}}"#, "error 1 {}"),
        (r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, "error null {}"),
        (r#"{"jsonrpc":"2.0","error":{}}"#, "error null {}"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","other":1}"#, "request 1 x"),
    ] {
        assert_eq!(told(text), want, "{text}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    for (text, want) in [
        ("", "cannot be read"),
        ("[]", "a batch"),
        (" [{}]", "a batch"),
        ("1", "not a JSON object"),
        (r#"{"id":1,"method":"x"}"#, "`jsonrpc`"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, "`jsonrpc`"),
        (r#"{"jsonrpc":2.0,"id":1,"method":"x"}"#, "`jsonrpc`"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":-0,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"x"}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, "twice"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","Method":"y"}"#, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","ID":2}"#, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a b"}"#, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "`method`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}"#, "`params`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#, "`params`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"a","Name":"b"}}"#, "`name`"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":{"b":1,"b":2}}}"#, "twice"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","result":1}"#, "neither"),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, "neither"),
        (r#"{"jsonrpc":"2.0","result":1}"#, "neither"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "neither"),
    ] {
        let got = told(text);
        assert!(got.starts_with('!') && got.contains(want), "{text}: {got}");
    }
}

#[test]
fn a_servers_result_may_hold_anything_but_its_envelope_may_not() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    let told = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{deep}}}"#);
    assert!(read_told(told.as_bytes()).is_ok());
    let two = br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"sampling/createMessage"}"#;
    assert!(read_told(two).is_err());
}

#[test]
fn readers_that_fold_case() {
    for (key, name, want) in [
        ("name", "name", true),
        ("NaMe", "name", true),
        ("ta\u{17f}k", "task", true),
        ("tas\u{212a}", "task", true),
        ("names", "name", false),
        ("näme", "name", false),
    ] {
        assert_eq!(folds_to(key, name), want, "{key}");
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(number in any::<i64>(), text in any::<String>(), words in ".*") {
        for id in [Id::Number(number), Id::Text(text.chars().take(60).collect())] {
            let bytes = request(&id, "tools/list", "{}");
            let Message::Request { id: read, .. } = read_asked(&bytes).unwrap() else {
                panic!("a request")
            };
            prop_assert_eq!(&read, &id);
            let bytes = error(Some(&id), -32010, &words);
            let Message::Answer { id: read, .. } = read_told(&bytes).unwrap() else {
                panic!("an answer")
            };
            prop_assert_eq!(read, Some(id));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _read = read_asked(&bytes);
        let _read = read_told(&bytes);
    }
}
