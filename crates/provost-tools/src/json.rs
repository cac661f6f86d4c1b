//! JSON as a tool's input: read once, with no room for a second reading.
//!
//! An object that says a key twice is refused, for two readers may keep different values.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The top level of a tool's input; inner objects are checked and forgotten.
pub(crate) type Input = BTreeMap<String, Value>;

/// What a tool's rules can ask of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Absent in all but name.
    Null,
    /// A text.
    Text(String),
    /// Anything else.
    Other,
}

/// Reads an object, or nothing if it is not one, is malformed or says a key twice.
pub(crate) fn read(bytes: &[u8]) -> Option<Input> {
    match serde_json::from_slice(bytes).ok()? {
        Checked::Object(input) => Some(input),
        Checked::Plain(_) => None,
    }
}

/// Checks that the bytes are JSON in which no object says a key twice.
pub(crate) fn once(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Checked>(bytes).map(|_checked| ())
}

enum Checked {
    Object(Input),
    Plain(Value),
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = Checked;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON without repeated keys")
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Null))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Other))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Other))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Other))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Other))
    }

    fn visit_str<E>(self, text: &str) -> Result<Checked, E> {
        Ok(Checked::Plain(Value::Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Checked, A::Error> {
        while items.next_element::<Checked>()?.is_some() {}
        Ok(Checked::Plain(Value::Other))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Checked, A::Error> {
        let mut input = Input::new();
        while let Some(key) = entries.next_key::<String>()? {
            if input.contains_key(&key) {
                entries.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom("a key is there twice"));
            }
            let value = match entries.next_value()? {
                Checked::Plain(value) => value,
                Checked::Object(_) => Value::Other,
            };
            input.insert(key, value);
        }
        Ok(Checked::Object(input))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn only_an_object_that_says_each_key_once_is_read() {
        for (text, want) in [
            (r#"{"a":1,"a":2}"#, false),
            (r#"{"a":{"b":1,"\u0062":2}}"#, false), // deep, and escaped
            (r#"{"a":[{"b":1,"b":1}]}"#, false),
            (r#"{"a":1"#, false),
            (r#"{"a":1} x"#, false),
            ("[]", false),
            ("", false),
            (r#"{"a":{"a":{}},"b":[1,-1,1.5,true,null,"x"]}"#, true),
            ("{}", true),
        ] {
            assert_eq!(read(text.as_bytes()).is_some(), want, "text = {text}");
        }
    }
}
