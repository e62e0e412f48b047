//! The id factory: where the non-secret, unique part of an id comes from.

use std::fmt;

use uuid::Uuid;

/// Makes the `unique` part of new ids, which becomes the session's [`Handle`](crate::Handle): 1 to 64 characters of
/// `A-Z a-z 0-9 _ -`, different each time. It need not be secret: the secret part of an id never comes from here.
///
/// Every closure that gives a `String` is an id factory:
///
/// ```
/// use jam_core::{IdFactory, MemoryStore, Sessions, UuidV7};
///
/// let sessions = Sessions::builder(MemoryStore::new())
///     .id_factory(|| format!("web1-{}", UuidV7.next_id()))
///     .build()?;
/// # Ok::<(), jam_core::Error>(())
/// ```
///
/// Two sessions of one key with the same handle are two sessions, but whatever goes by handle (revoking, logging out
/// everywhere else) takes them for one. So a counter that starts anew with the process is no id factory.
pub trait IdFactory: Send + Sync + 'static {
    /// The next id.
    fn next_id(&self) -> String;
}

impl<F: Fn() -> String + Send + Sync + 'static> IdFactory for F {
    fn next_id(&self) -> String {
        self()
    }
}

impl fmt::Debug for dyn IdFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdFactory")
    }
}

/// Version 4 UUIDs (RFC 9562, 5.4), the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV4;

impl IdFactory for UuidV4 {
    fn next_id(&self) -> String {
        Uuid::new_v4().to_string()
    }
}

/// Version 7 UUIDs (RFC 9562, 5.7), which sort in the order they were made. The default where sessions per key are
/// capped, since eviction goes by creation and then by handle, and creation is known to the second. They can be guessed
/// from each other, so they are no factory for [`PlainIds`](crate::PlainIds), where nothing else is secret.
#[derive(Clone, Copy, Debug, Default)]
pub struct UuidV7;

impl IdFactory for UuidV7 {
    fn next_id(&self) -> String {
        Uuid::now_v7().to_string()
    }
}
