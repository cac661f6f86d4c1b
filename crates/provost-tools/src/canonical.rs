//! JSON in one form, so that two who printed the same thing differently are seen to agree.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::json::once;

/// Reads JSON as it stands. [`Value`] alone takes an object whose first key is
/// `$serde_json::private::RawValue` for the JSON in the text behind it.
///
/// # Errors
///
/// It is no JSON.
pub fn json_value(json: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(json).map(|Plain(value)| value)
}

/// The same, for what people or policy say yes to: two readers of an object that says a key
/// twice may keep different values.
///
/// # Errors
///
/// It is no JSON, or says a key twice.
pub fn json_value_once(json: &[u8]) -> Result<Value, serde_json::Error> {
    once(json)?;
    json_value(json)
}

/// JSON with sorted keys and no white space.
#[must_use]
pub fn canonical_json(mut value: Value) -> Vec<u8> {
    value.sort_all_objects();
    value.to_string().into_bytes()
}

struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainReader).map(Plain)
    }
}

struct PlainReader;

impl<'de> Visitor<'de> for PlainReader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Plain(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = serde_json::Map::new();
        while let Some((key, Plain(value))) = members.next_entry::<String, Plain>()? {
            read.insert(key, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical_json, json_value, json_value_once};

    #[test]
    fn a_key_that_is_said_twice_has_two_readings() {
        for (json, want) in [
            (r#"{"a":1,"b":{"a":1}}"#, true),
            (r#"{"a":1,"a":2}"#, false),
            (r#"[{"a":{"b":1,"b":1}}]"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            ("7", true),
            ("{", false),
        ] {
            assert_eq!(json_value_once(json.as_bytes()).is_ok(), want, "{json}");
        }
    }

    #[test]
    fn no_key_stands_for_other_json() {
        let canonical = |json: &str| json_value(json.as_bytes()).map(canonical_json).ok();
        let same = canonical(r#"{"b":1, "a":[{"d":2,"c":null}]}"#);
        assert_eq!(same, canonical(r#"{"a":[{"c":null,"d":2}],"b":1}"#));
        let odd = r#"{"$serde_json::private::RawValue":"{\"a\":1}"}"#;
        assert_eq!(canonical(odd), Some(odd.as_bytes().to_vec()));
        assert_eq!(canonical("{"), None);
    }
}
