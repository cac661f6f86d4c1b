//! JSON read without changing a byte of it, and refused where it could be read in two ways.
//!
//! Servers are written in languages whose readers take the first or the last of two equal keys,
//! and some that fold case; what we decide on must not depend on which.

use std::{collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Deepest nesting of what a client sends. Unit: objects and arrays. Ours: half of what most
/// readers take.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why bytes are not JSON that has one meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// Some byte is not UTF-8.
    #[error("it is not UTF-8 at byte {at}: send JSON in UTF-8")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A byte order mark comes first.
    #[error("it begins with a byte order mark: leave it out")]
    ByteOrderMark,
    /// It is broken, cut short, followed by something, nested too deep, or has a key twice.
    #[error("it is not JSON with one meaning: {0}")]
    Broken(String),
    /// It is JSON, but no object.
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// The text of `bytes`, if every reader gets the same out of it.
///
/// # Errors
///
/// [`JsonError`], which says where it has none or two meanings.
pub(crate) fn one_meaning(bytes: &[u8]) -> Result<&str, JsonError> {
    let text = text_of(bytes)?;
    let mut json = serde_json::Deserializer::from_str(text);
    // The bound on depth is ours.
    Scan { depth: DEPTH_MAX }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(broken)?;
    Ok(text)
}

/// `bytes` as text without a byte order mark.
///
/// # Errors
///
/// [`JsonError`] if it is none.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, JsonError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::NotUtf8 { at: error.valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        return Err(JsonError::ByteOrderMark);
    }
    Ok(text)
}

/// An object's members in their order.
pub(crate) type Members<'a> = Vec<(String, &'a RawValue)>;

/// The members of the object that `text` is, each key once.
///
/// # Errors
///
/// [`JsonError`] if it is something else.
pub(crate) fn members(text: &str) -> Result<Members<'_>, JsonError> {
    if !is_object(text) {
        return Err(JsonError::NotAnObject);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let Object(members) = Object::deserialize(&mut json).map_err(broken)?;
    json.end().map_err(broken)?;
    Ok(members)
}

/// Whether the JSON `text` is an object.
pub(crate) fn is_object(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{')
}

/// The member of this name.
pub(crate) fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// The items of the array that `text` is.
pub(crate) fn items(text: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(text).ok()
}

/// The string that `raw` is.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// JSON with sorted keys and no white space, without the member `_meta` if it is an object.
pub(crate) fn canonical(text: &str) -> Option<Vec<u8>> {
    let mut value = provost_tools::json_value(text.as_bytes()).ok()?;
    if let Some(object) = value.as_object_mut() {
        object.remove("_meta");
    }
    Some(provost_tools::canonical_json(value))
}

fn broken(error: serde_json::Error) -> JsonError {
    JsonError::Broken(error.to_string())
}

/// The keys and values of an object, values unread.
struct Object<'a>(Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectReader).map(Object)
    }
}

struct ObjectReader;

impl<'de> Visitor<'de> for ObjectReader {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut keys) = (Vec::new(), HashSet::new());
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key.clone()) {
                return Err(twice(&key));
            }
            members.push((key, map.next_value()?));
        }
        Ok(members)
    }
}

fn twice<E: serde::de::Error>(key: &str) -> E {
    let shown: String = key.chars().take(40).collect();
    E::custom(format_args!("the key {shown:?} is given twice"))
}

/// Looks through a value: no key twice, no nesting beyond `depth`.
struct Scan {
    depth: usize,
}

impl Scan {
    fn inside<E: serde::de::Error>(&self) -> Result<Self, E> {
        let deeper = self.depth.checked_sub(1);
        let depth = deeper.ok_or_else(|| E::custom("it is nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Scan {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { depth } = self.inside()?;
        while items.next_element_seed(Self { depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { depth } = self.inside()?;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value_seed(Self { depth })?;
            if keys.contains(&key) {
                return Err(A::Error::custom(twice::<A::Error>(&key)));
            }
            keys.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{canonical, members, one_meaning};

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        for (text, want) in [
            ("{}", None),
            (" {\"a\":[1,2.5,\"x\",null,true]}\n", None),
            (r#"{"a":{"b":1},"c":{"b":1}}"#, None), // not twice in one object
            (r#"{"a":1,"a":1}"#, Some("twice")),
            (r#"{"a":1,"\u0061":1}"#, Some("twice")), // the same key, escaped
            (r#"{"x":[{"a":1,"a":2}]}"#, Some("twice")),
            ("{} {}", Some("trailing")),
            ("{}x", Some("trailing")),
            ("\u{feff}{}", Some("byte order mark")),
            (r#"{"a":"\ud800"}"#, Some("hex escape")),
            (r#"{"a":NaN}"#, Some("expected")),
            (r#"{"a":1,}"#, Some("trailing comma")),
            ("", Some("EOF")),
            (&deep(64), None),
            (&deep(65), Some("too deep")),
        ] {
            let got = one_meaning(text.as_bytes()).err().map(|error| error.to_string());
            match want {
                None => assert_eq!(got, None, "{text}"),
                Some(part) => {
                    assert!(got.as_deref().unwrap().contains(part), "{text}: {got:?}")
                }
            }
        }
        assert!(one_meaning(b"{\"a\":\"\xff\"}").unwrap_err().to_string().contains("byte 6"));
    }

    #[test]
    fn members_are_the_bytes_that_came() {
        let members = members(r#" {"a" : 1.50 ,"b":{"x" : [ ]}} "#).unwrap();
        let shown: Vec<_> = members.iter().map(|(k, v)| format!("{k}={}", v.get())).collect();
        assert_eq!(shown, ["a=1.50", r#"b={"x" : [ ]}"#]);
    }

    #[test]
    fn the_canonical_form_does_not_depend_on_order_space_or_metadata() {
        let one = canonical(r#"{"name":"a","_meta":{"x":1},"inputSchema":{"b":1,"a":{}}}"#);
        let other = canonical(r#"{ "inputSchema": {"a": {}, "b": 1}, "name": "a" }"#);
        assert_eq!(one, other);
        let changed = canonical(r#"{"inputSchema":{"a":{},"b":2},"name":"a"}"#);
        assert_ne!(one, changed);
    }

    #[test]
    fn no_key_stands_for_something_else_in_the_canonical_form() {
        let hidden = r#"{"a":{"$serde_json::private::RawValue":"1"}}"#;
        assert_eq!(canonical(hidden).as_deref(), Some(hidden.as_bytes()));
        assert_ne!(canonical(hidden), canonical(r#"{"a":1}"#));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = one_meaning(&bytes);
            let _read = members(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn nearly_json_does_not_make_it_panic(text in r#"[\[\]{}:,"a\\01.e -]{0,60}"#) {
            let strict = one_meaning(text.as_bytes()).is_ok();
            // What is taken is JSON.
            prop_assert!(!strict || serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
    }
}
