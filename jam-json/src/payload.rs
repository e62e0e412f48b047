//! How a payload is written into JSON text: embedded as it is where that is possible, in base64 where not.

use jam_core::Record;

/// How a payload is written into the journal and the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is the text of a JSON object and fits into a line: embedded verbatim.
    Json,
    /// Anything else: base64.
    Base64,
}

impl Form {
    /// Deeper nesting than other JSON readers take goes into base64, so that they can read the rest.
    const MAX_DEPTH: usize = 100;

    /// The form of a record's payload.
    pub(crate) fn of(record: &Record) -> Self {
        let fits = |json: &str| !json.contains(['\n', '\r']) && depth(json.as_bytes()) <= Self::MAX_DEPTH;
        match record.as_json_object() {
            Some(json) if fits(json) => Self::Json,
            _ => Self::Base64,
        }
    }
}

/// JSON text without the whitespace between its tokens: what an editor spread over lines fits into one again.
pub(crate) fn compact(json: &str) -> Vec<u8> {
    let kept = outside_strings(json.as_bytes());
    kept.filter(|(byte, outside)| !outside || !byte.is_ascii_whitespace())
        .map(|(byte, _)| byte)
        .collect()
}

fn depth(json: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for (byte, outside) in outside_strings(json) {
        match byte {
            b'{' | b'[' if outside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if outside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Every byte of a JSON text, with whether it stands outside of strings.
fn outside_strings(json: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    let (mut inside, mut escaped) = (false, false);
    json.iter().map(move |&byte| {
        let outside = !inside;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
        (byte, outside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_on_one_line_are_embedded() {
        for json in [r"{}", r#"{"a": [1, {"b":"\"{"}]}"#, "{\"ä\":\"\u{2028}\"}"] {
            assert_eq!(Form::of(&Record::new(json, None)), Form::Json, "{json}");
        }
        let items = format!(r#"{{"items":[{}{{}}]}}"#, "{},".repeat(2 * Form::MAX_DEPTH));
        assert_eq!(Form::of(&Record::new(items, None)), Form::Json, "many are not deep");
        let brackets = format!(r#"{{"text":"{}"}}"#, "[".repeat(2 * Form::MAX_DEPTH));
        assert_eq!(
            Form::of(&Record::new(brackets, None)),
            Form::Json,
            "brackets in a text do not nest"
        );
    }

    #[test]
    fn everything_else_is_base64() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let deep_beside_brackets = format!("{{\"a\":{}1{}}}", "[\"]\",".repeat(200), "]".repeat(200));
        let other: [&[u8]; 11] = [
            b"",
            b"[]",
            b"\"text\"",
            b"{",
            b"{}{}",
            b"{} ",
            b"{\"a\":\n1}",
            b"{\"a\":\"\xff\"}",
            b"J$_gAAAA",
            deep.as_bytes(),
            deep_beside_brackets.as_bytes(),
        ];
        for payload in other {
            assert_eq!(Form::of(&Record::new(payload.to_vec(), None)), Form::Base64);
        }
    }

    #[test]
    fn compacting_leaves_strings_alone() {
        let spread = "{\n  \"a b\": \"c \\\" d\",\n  \"e\": [ 1, 2 ]\n}";
        assert_eq!(compact(spread), br#"{"a b":"c \" d","e":[1,2]}"#);
    }
}
