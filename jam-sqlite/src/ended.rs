//! What reads hear of sessions that have expired where the database refuses to remove them.

use jam_core::Error;
use sqlx::SqliteConnection;

use crate::kind::{self, Explanation};
use crate::reader;
use crate::request::{Answer, Request};
use crate::transaction::{Pen, Pending};

impl Pen<'_> {
    /// Answers those of these calls that only read: what has expired is gone for them, though it stays for this reason.
    pub(crate) async fn answer_reads(self, connection: &mut SqliteConnection, calls: &mut [Pending], why: &Error) {
        for call in calls {
            call.answer = self.read(connection, &call.request, why).await.map(Ok);
        }
    }

    /// The answer, unless it takes a write.
    async fn read(self, connection: &mut SqliteConnection, request: &Request, why: &Error) -> Option<Answer> {
        // Before anything is found, for no lock is held: what looks expired afterwards somebody may just have prolonged.
        let now = self.clock.now();
        match request {
            Request::Load { place, .. } => {
                let found = reader::find(connection, self.statements, std::slice::from_ref(place)).await;
                match kind::explain(request, found.ok()?, now) {
                    Explanation::Answer(answer) => answer.ok(),
                    Explanation::Expired(answer) => {
                        note(why);
                        answer.ok()
                    }
                    Explanation::Again => None,
                }
            }
            Request::List(key) => {
                let mut entries = reader::list(connection, self.statements, key).await.ok()?;
                let found = entries.len();
                entries.retain(|entry| entry.expires_at.is_none_or(|at| at > now));
                if entries.len() < found {
                    note(why);
                }
                Some(Answer::Listed(entries))
            }
            _ => None,
        }
    }
}

fn note(why: &Error) {
    tracing::debug!(
        error = why as &dyn std::error::Error,
        "an expired session stays, since the SQLite database refuses to remove it"
    );
}
