//! What is stored: sessions of about 200 bytes, five of each user.

use serde_json::{Map, Value, json};

use crate::Failure;

/// How many sessions are stored before anything is measured.
pub const SESSIONS: usize = 10_000;

/// How many users they belong to.
pub const USERS: usize = 2_000;

/// About 200 bytes, as a session of a web application has.
pub fn data() -> Value {
    json!({
        "role": "admin", "browser": "Firefox 130 on Linux", "place": "Lisbon", "language": "pt-PT", "visits": 17,
        "cart": [{"item": 4711, "count": 2}, {"item": 815, "count": 1}], "theme": "dark", "csrf": "5f2b1c9a7e",
    })
}

/// The same, as the fields of an object.
pub fn fields() -> Map<String, Value> {
    match data() {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The same, as text.
pub fn text() -> String {
    data().to_string()
}

/// Whose the session of this number is.
pub fn user(number: usize) -> String {
    format!("user{}", number % USERS)
}

/// What a handler does with one field: the text with one visit more.
///
/// # Errors
/// If it is not that text.
pub fn counted(text: &str) -> Result<String, Failure> {
    let mut fields: Map<String, Value> = serde_json::from_str(text)?;
    let visits = fields.get("visits").and_then(Value::as_u64).ok_or("no visits")?;
    fields.insert("visits".into(), (visits + 1).into());
    Ok(serde_json::to_string(&fields)?)
}
