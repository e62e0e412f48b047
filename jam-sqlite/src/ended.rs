//! What callers hear of sessions that have expired where the database refuses to remove them.

use jam_core::{Error, Result};
use sqlx::SqliteConnection;

use crate::kind::{self, Explanation};
use crate::reader;
use crate::request::{Answer, Put, Request};
use crate::transaction::{Pen, Pending};

impl Pen<'_> {
    /// Answers those of these calls that take no write: what has expired is gone for them, though it stays for this reason.
    pub(crate) async fn answer_unwritten(self, connection: &mut SqliteConnection, calls: &mut [Pending], why: &Error) {
        for call in calls {
            call.answer = self.unwritten(connection, &call.request, why).await;
        }
    }

    /// The answer, unless it takes a write.
    async fn unwritten(
        self,
        connection: &mut SqliteConnection,
        request: &Request,
        why: &Error,
    ) -> Option<Result<Answer>> {
        // Before anything is found, for no lock is held: what looks expired afterwards somebody may just have prolonged.
        let now = self.clock.now();
        match request {
            Request::Load { place, .. }
            | Request::Touch { place, .. }
            | Request::Remove(place)
            | Request::Swap {
                put: Put { place, .. }, ..
            }
            | Request::Overwrite(Put { place, .. })
            | Request::Rename { from: place, .. } => {
                let found = reader::find(connection, self.statements, std::slice::from_ref(place)).await;
                match kind::explain(request, found.ok()?, now) {
                    Explanation::Answer(answer) if request.is_read() => answer.ok().map(Ok),
                    Explanation::Expired(answer) => {
                        note(why);
                        Some(answer)
                    }
                    Explanation::Answer(_) | Explanation::Again => None,
                }
            }
            Request::List(key) => {
                let mut entries = reader::list(connection, self.statements, key).await.ok()?;
                let found = entries.len();
                entries.retain(|entry| entry.expires_at.is_none_or(|at| at > now));
                if entries.len() < found {
                    note(why);
                }
                Some(Ok(Answer::Listed(entries)))
            }
            Request::Insert(_) | Request::Clear(_) | Request::Expire { .. } => None,
        }
    }
}

fn note(why: &Error) {
    tracing::debug!(
        error = why as &dyn std::error::Error,
        "an expired session stays, since the SQLite database refuses to remove it"
    );
}
