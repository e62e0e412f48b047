//! The fields of a JSON payload where they stand, so that one is read or set without making anything of the others.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::data;
use crate::Result;

/// A payload that is known to be a JSON object, and what became of its fields since.
#[derive(Clone)]
pub(super) struct Fields {
    payload: Bytes,
    // In the order of the payload, new ones behind. Of one name the last counts, as in the whole data.
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: Name,
    value: Text,
}

#[derive(Clone)]
enum Name {
    /// Between its quotes in the payload, where nothing is escaped.
    There(Range<usize>),
    Own(String),
}

/// The JSON of a value.
#[derive(Clone)]
enum Text {
    There(Range<usize>),
    Own(Vec<u8>),
}

impl Fields {
    /// With more fields than this a change is cheaper on the whole data, where a field is not searched one by one.
    const MANY: usize = 64;

    /// Finds them all.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the payload is no JSON object.
    pub(super) fn of(payload: &Bytes) -> Result<Self> {
        let text = str::from_utf8(payload).map_err(|_| data::corrupt("it is not UTF-8"))?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let found = parser.deserialize_map(Find(text));
        let fields = found.map_err(|error| data::corrupt_at(&error))?;
        parser.end().map_err(|error| data::corrupt_at(&error))?;
        Ok(Self {
            payload: payload.clone(),
            fields,
        })
    }

    pub(super) fn are_many(&self) -> bool {
        self.fields.len() > Self::MANY
    }

    pub(super) fn get(&self, name: &str) -> Result<Option<Value>> {
        let found = self.fields.iter().rfind(|field| self.is_named(field, name));
        found
            .map(|field| serde_json::from_slice(self.value(field)).map_err(|error| data::corrupt_at(&error)))
            .transpose()
    }

    /// Sets one.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the value cannot be written, or could not be read back.
    pub(super) fn set(&mut self, name: String, value: &impl Serialize) -> Result<()> {
        let value = Text::Own(data::to_field(value)?);
        match self.forget_but_last(&name) {
            Some(at) => self.fields[at].value = value,
            None => self.fields.push(Field {
                name: Name::Own(name),
                value,
            }),
        }
        Ok(())
    }

    /// Takes one out and gives what was there.
    pub(super) fn remove(&mut self, name: &str) -> Result<Option<Value>> {
        let value = self.get(name)?;
        if let Some(at) = self.forget_but_last(name) {
            self.fields.remove(at);
        }
        Ok(value)
    }

    /// The payload as it is with the changes; what was not changed stands in it as it stood.
    pub(super) fn to_payload(&self) -> Vec<u8> {
        let texts = self.fields.iter().map(|field| {
            let name = match &field.name {
                Name::There(range) => range.len(),
                Name::Own(name) => name.len(),
            };
            name + self.value(field).len() + r#""":,"#.len()
        });
        let mut payload = Vec::with_capacity(texts.sum::<usize>() + 1);
        payload.push(b'{');
        for field in &self.fields {
            if payload.len() > 1 {
                payload.push(b',');
            }
            match &field.name {
                Name::There(range) => {
                    payload.push(b'"');
                    payload.extend_from_slice(self.there(range));
                    payload.push(b'"');
                }
                // Writing a text to memory cannot fail.
                Name::Own(name) => drop(serde_json::to_writer(&mut payload, name)),
            }
            payload.push(b':');
            payload.extend_from_slice(self.value(field));
        }
        payload.push(b'}');
        payload
    }

    fn is_named(&self, field: &Field, name: &str) -> bool {
        match &field.name {
            Name::There(range) => self.there(range) == name.as_bytes(),
            Name::Own(own) => own == name,
        }
    }

    fn value<'a>(&'a self, field: &'a Field) -> &'a [u8] {
        match &field.value {
            Text::There(range) => self.there(range),
            Text::Own(json) => json,
        }
    }

    fn there(&self, range: &Range<usize>) -> &[u8] {
        self.payload.get(range.clone()).unwrap_or_default()
    }

    /// Where the last of a name is, once it is the only one.
    fn forget_but_last(&mut self, name: &str) -> Option<usize> {
        let mut at = self.fields.iter().rposition(|field| self.is_named(field, name))?;
        while let Some(earlier) = self.fields[..at].iter().position(|field| self.is_named(field, name)) {
            self.fields.remove(earlier);
            at -= 1;
        }
        Some(at)
    }
}

/// Where a part of a text is in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

struct Find<'de>(&'de str);

impl<'de> Visitor<'de> for Find<'de> {
    type Value = Vec<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(name) = map.next_key_seed(FindName(self.0))? {
            let value: &RawValue = map.next_value()?;
            let value = Text::There(place(self.0, value.get()));
            fields.push(Field { name, value });
        }
        Ok(fields)
    }
}

struct FindName<'de>(&'de str);

impl<'de> DeserializeSeed<'de> for FindName<'de> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for FindName<'de> {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Name, E> {
        Ok(Name::There(place(self.0, name)))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
        Ok(Name::Own(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Data, ErrorKind};

    fn fields(text: &str) -> Fields {
        Fields::of(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn whole(payload: &[u8]) -> Data {
        data::from_payload(None, payload).unwrap()
    }

    const TEXTS: [&str; 6] = [
        r"{}",
        r#"{"a":1}"#,
        r#" { "b" : [1, {"a": 2}], "a" : {"a": null, "c": "\u00e9"}} "#,
        r#"{"a":1,"b":0,"a":2,"a":3}"#,
        r#"{"a\"b":"x","\u0061":true,"ä":1.5,"":{}}"#,
        "{\"a\\nb\":\"}{\\\"\", \"c\"\t:\n[[]] }",
    ];
    const NAMES: [&str; 7] = ["a", "b", "a\"b", "ä", "", "c", "a\nb"];

    #[test]
    fn a_field_that_is_picked_is_that_of_the_whole() {
        for text in TEXTS {
            let (fields, whole) = (fields(text), whole(text.as_bytes()));
            for name in NAMES {
                assert_eq!(fields.get(name).unwrap().as_ref(), whole.get(name), "{name} of {text}");
            }
        }
    }

    #[test]
    fn a_changed_field_leaves_the_others_as_they_stand() {
        let mut fields = fields(r#"{"z": 1.50,"n":123456789012345678901234567890,"a":"\u00e9", "b":[ ]}"#);
        fields.set("a".to_owned(), &"ü").unwrap();
        fields.set("new\n".to_owned(), &[1]).unwrap();
        assert_eq!(fields.remove("b").unwrap(), Some(Value::Array(Vec::new())));
        let payload = String::from_utf8(fields.to_payload()).unwrap();
        assert_eq!(
            payload,
            r#"{"z":1.50,"n":123456789012345678901234567890,"a":"ü","new\n":[1]}"#
        );
    }

    #[test]
    fn what_could_not_be_read_back_is_refused_and_changes_nothing() {
        let mut fields = fields(r#"{"a":1}"#);
        let deep = |levels| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        for (value, fits) in [(deep(126), true), (deep(127), false)] {
            let set = fields.set("deep".to_owned(), &value).map_err(|error| error.kind());
            assert_eq!(set, if fits { Ok(()) } else { Err(ErrorKind::InvalidInput) });
            assert_eq!(whole(&fields.to_payload()).len(), 2);
        }
        let wide = fields.set("a".to_owned(), &u128::MAX).unwrap_err();
        assert_eq!(wide.kind(), ErrorKind::InvalidInput);
        assert_eq!(fields.get("a").unwrap(), Some(1.into()));
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for text in [
            "",
            "[]",
            "null",
            "1",
            "\"a\"",
            "{",
            r#"{"a":1}x"#,
            r#"{"a":}"#,
            "{a:1}",
            r#"{"a":1"#,
            r#"{"a" 1}"#,
            r#"{"a":1,}"#,
        ] {
            let error = Fields::of(&Bytes::from_static(text.as_bytes())).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
            assert!(data::from_payload(None, text.as_bytes()).is_err(), "{text}");
        }
        let error = Fields::of(&Bytes::from_static(b"{\"a\":\"\xff\"}"))
            .map(drop)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn changes_to_the_fields_are_changes_to_the_whole(
            text in prop::sample::select(TEXTS.to_vec()),
            changes in prop::collection::vec((prop::sample::select(NAMES.to_vec()), prop::option::of(value())), 0..12),
        ) {
            let (mut fields, mut data) = (fields(text), whole(text.as_bytes()));
            for (name, value) in changes {
                if let Some(value) = value {
                    fields.set(name.to_owned(), &value).unwrap();
                    data.insert(name.to_owned(), value);
                } else {
                    prop_assert_eq!(fields.remove(name).unwrap(), data.remove(name));
                }
                prop_assert_eq!(fields.get(name).unwrap(), data.get(name).cloned());
                let payload = fields.to_payload();
                prop_assert_eq!(&whole(&payload), &data);
                prop_assert_eq!(&whole(&Fields::of(&payload.into()).unwrap().to_payload()), &data);
            }
        }
    }
}
