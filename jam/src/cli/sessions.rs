//! The commands on sessions: thin wrappers around what an application calls.

use jam_core::{ErrorKind, SessionId, SessionInfo, Sessions};
use serde_json::{Value, json};

use super::args::Command;
use super::failure::Failure;
use super::output::{self, Output, count};
use super::store::Chosen;
use super::{Done, input, rfc3339, stats};
use crate::config::Access;

/// Runs one of them: reads what it needs, opens the store, closes it again.
pub(super) async fn run(command: Command, chosen: Chosen, output: Output) -> Done {
    // Before anything is opened: a mistake in the command line shall not depend on a server.
    let work = Work::read(command)?;
    let sessions = chosen.open(work.access()).await?;
    let done = work.on(&sessions, output).await;
    let closed = sessions.close().await;
    done?;
    Ok(closed?)
}

/// A command with everything the user hands over.
enum Work {
    Create { key: String, data: Value },
    Get { id: String },
    Update { id: String, data: Value },
    Delete { id: String },
    Clear { key: String },
    Rework { id: String },
    List { key: String },
    Revoke { key: String, handle: String },
    Sweep,
    Stats,
}

impl Work {
    fn read(command: Command) -> Result<Self, Failure> {
        Ok(match command {
            Command::Create { key, data } => Self::Create {
                key,
                data: Value::Object(input::data(&data)?),
            },
            Command::Get(id) => Self::Get { id: id.read()? },
            Command::Update { words, id_file } => {
                let (id, data) = input::id_and_data(&words, id_file.as_deref())?;
                Self::Update {
                    id,
                    data: Value::Object(data),
                }
            }
            Command::Delete(id) => Self::Delete { id: id.read()? },
            Command::Rework(id) => Self::Rework { id: id.read()? },
            Command::List { key } => Self::List { key },
            Command::Revoke {
                key,
                handle: Some(handle),
                ..
            } => Self::Revoke { key, handle },
            Command::Clear { key } | Command::Revoke { key, .. } => Self::Clear { key },
            Command::Sweep => Self::Sweep,
            Command::Stats => Self::Stats,
            Command::Keys { .. } | Command::Completions { .. } | Command::Migrate(_) | Command::Doctor => {
                return Err(Failure::unforeseen("this command opens no sessions"));
            }
        })
    }

    /// What it may do to the store by opening it. A `get` with `renew_on_read` is a look, too.
    fn access(&self) -> Access {
        match self {
            Self::Create { .. } => Access::Begin,
            Self::Get { .. } | Self::List { .. } | Self::Stats => Access::Look,
            Self::Update { .. }
            | Self::Delete { .. }
            | Self::Clear { .. }
            | Self::Rework { .. }
            | Self::Revoke { .. }
            | Self::Sweep => Access::Change,
        }
    }

    async fn on(self, sessions: &Sessions, output: Output) -> Done {
        match self {
            Self::Create { key, data } => create(sessions, &key, &data, output).await,
            Self::Get { id } => {
                let session = sessions.get(&id).await?.ok_or_else(Failure::no_such_session)?;
                output::print(&Value::Object(session.data()?.clone()).to_string())
            }
            Self::Update { id, data } => {
                sessions.update(&id, data).await.map_err(missing_or_failed)?;
                output.quietly(&json!({"updated": true}))
            }
            Self::Delete { id } => {
                found(sessions.delete(&id).await?)?;
                output.quietly(&json!({"ended": 1}))
            }
            Self::Clear { key } => ended(sessions.clear(&key).await?, output),
            Self::Rework { id } => {
                let new_id = sessions.rework(&id).await.map_err(missing_or_failed)?;
                print_id(sessions, &new_id, output).await
            }
            Self::List { key } => list(&sessions.list(&key).await?, output),
            Self::Revoke { key, handle } => {
                found(sessions.revoke(&key, &handle).await?)?;
                ended(1, output)
            }
            Self::Sweep => {
                let removed = sessions.remove_expired().await?;
                output.told(
                    &format!("{} removed", count(removed, "expired record")),
                    &json!({ "removed": removed }),
                )
            }
            Self::Stats => stats::run(sessions, output).await,
        }
    }
}

async fn create(sessions: &Sessions, key: &str, data: &Value, output: Output) -> Done {
    let id = sessions.create(key, data).await?;
    print_id(sessions, &id, output).await
}

/// Prints a new id, alone. Where that fails nobody knows it: the session would only be in the way until it expires.
async fn print_id(sessions: &Sessions, id: &SessionId, output: Output) -> Done {
    let printed = output.value("id", id.as_str());
    if printed.is_err() {
        sessions.delete(id).await?;
    }
    printed
}

fn list(infos: &[SessionInfo], output: Output) -> Done {
    if output.is_json() {
        let infos: Vec<_> = infos
            .iter()
            .map(|info| {
                json!({
                    "handle": info.handle().as_str(),
                    "created": info.created().map(rfc3339::exact),
                    "expires_at": info.expires_at().map(rfc3339::exact),
                })
            })
            .collect();
        return output::print(&Value::Array(infos).to_string());
    }
    if infos.is_empty() {
        return Ok(());
    }
    let row = |info: &SessionInfo| {
        vec![
            info.handle().to_string(),
            info.created().map_or_else(|| "unknown".to_owned(), rfc3339::readable),
            info.expires_at().map_or_else(|| "never".to_owned(), rfc3339::readable),
        ]
    };
    let rows: Vec<_> = infos.iter().map(row).collect();
    output::print(&output::table(&["HANDLE", "CREATED", "EXPIRES"], &rows))
}

fn ended(number: u64, output: Output) -> Done {
    output.told(
        &format!("{} ended", count(number, "session")),
        &json!({ "ended": number }),
    )
}

fn found(found: bool) -> Done {
    if found { Ok(()) } else { Err(Failure::no_such_session()) }
}

/// A session that is not there needs no more words than that.
fn missing_or_failed(error: jam_core::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::no_such_session(),
        _ => error.into(),
    }
}
